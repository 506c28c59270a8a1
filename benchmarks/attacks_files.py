"""Attempts that were invented without sight of the code."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.attack_world import Attempt

ATTEMPTS: Mapping[str, Attempt] = {}
