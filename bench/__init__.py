"""Measurements of the running system; docs/benchmarks.md will quote them."""
