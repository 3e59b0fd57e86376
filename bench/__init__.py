"""Measurements of the running system; docs/benchmarks.md quotes them."""
