"""What the box says of itself."""

from __future__ import annotations

import os

from tunegate.harness.checks.box import Box


def test_what_a_system_does_not_keep_from_a_check_is_said(monkeypatch):
    assert Box(files=True, network=True, limits=True).gaps == ()
    monkeypatch.delattr(os, "killpg")
    assert Box(files=False, network=True, limits=False).gaps == (
        "write files", "take memory and processor time without a limit", "leave programs running",
    )  # fmt: skip
