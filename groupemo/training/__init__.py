"""Training an emotion net: faces with votes, architectures, recipes, export."""
