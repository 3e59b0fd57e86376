"""Measurements. Each room has the commands that Makefile runs; what is measured goes to `report`, and to the docs."""
