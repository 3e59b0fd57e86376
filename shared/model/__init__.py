"""Values, pure functions and ports: what the counts are, and how an event changes them."""
