"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes depends on what else the machine does: no test may fail because of it.
settings.register_profile("gradchain", deadline=None)
settings.load_profile("gradchain")
