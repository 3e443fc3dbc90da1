"""Generated examples are the same in every run, and leave no files behind."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "jobdash",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("jobdash")
