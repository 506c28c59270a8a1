"""How many examples a law is tried with."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(each_time: int, fuzzed: int = 2_000, **more: Any) -> settings:
    """More than usual of what is cheap, or fewer of what is not; `fuzzed`: at most so many in `make fuzz`."""
    if settings.get_current_profile_name() == "same":
        return settings(max_examples=each_time, **more)
    return settings(max_examples=min(fuzzed, settings.default.max_examples), **more)
