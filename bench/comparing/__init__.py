"""The comparison of the ways to follow the counts."""
