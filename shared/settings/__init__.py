"""Reads the environment once at the start, checks it, and turns it into records."""
