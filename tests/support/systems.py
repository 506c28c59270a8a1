"""What not every system has."""

from __future__ import annotations

import os

import pytest

posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows has no named pipes, devices, alarms, forks or locks of this kind"
)
