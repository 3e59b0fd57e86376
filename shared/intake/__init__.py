"""One delivered event: counted, of no concern, or kept."""
