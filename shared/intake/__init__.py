"""Takes one delivered event: it is counted, of no concern, or kept."""
