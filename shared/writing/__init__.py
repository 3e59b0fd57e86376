"""The only way to change a row or the tally."""
