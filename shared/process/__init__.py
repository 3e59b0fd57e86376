"""This process: how it is measured, stopped and patched. Knows nothing of counts."""
