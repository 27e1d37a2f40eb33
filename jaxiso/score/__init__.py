"""The geometry of one's own vectors."""
