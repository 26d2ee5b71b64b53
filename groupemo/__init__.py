"""groupemo: how far to trust emotion recognition on group photos."""
