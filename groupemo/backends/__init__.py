"""Emotion backends, one adapter a file; `groupemo.plugins` imports them by name when asked for."""
