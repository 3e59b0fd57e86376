"""Measures, stops and patches this process. Knows nothing of counts."""
