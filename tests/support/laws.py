"""How many examples a law is tried with."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(each_time: int, in_a_search: int = 2_000, **more: Any) -> settings:
    """More than usual of what is cheap, or fewer of what is not; a search tries as many as it is worth."""
    return settings(max_examples=each_time if settings.get_current_profile_name() == "same" else in_a_search, **more)
