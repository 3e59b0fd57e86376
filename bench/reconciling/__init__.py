"""A reconciliation: its cost above the listing, its memory."""
