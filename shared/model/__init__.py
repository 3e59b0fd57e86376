"""Values, pure functions and ports: the counts, and how an event changes them."""
