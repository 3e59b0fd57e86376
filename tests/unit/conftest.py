"""How the generated examples of these tests are made."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("unit")
