"""Configurations of a comparison, as they are named on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunegate.harness.session.sides import Side, read_sides


@pytest.mark.parametrize(
    ("given", "side"),
    [
        ("openai:http://h/v1#command-r+", Side("command-r+", "openai:http://h/v1#command-r+")),
        (
            "openai:http://h/v1#command-r++short.yaml",
            Side("command-r++short", "openai:http://h/v1#command-r+", prompt=Path("short.yaml")),
        ),
        ("new=smollm2+short.yaml", Side("new", "smollm2", prompt=Path("short.yaml"))),
        ("short.yaml", Side("short", prompt=Path("short.yaml"))),
    ],
)  # fmt: skip
def test_a_plus_joins_parts_unless_it_ends_a_name(given, side):
    assert read_sides([given, "smollm2"])[0] == side
