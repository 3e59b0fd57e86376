"""What size costs: the arithmetic of docs/scaling.md."""
