"""The environment, read once at the start, checked, and turned into records."""
