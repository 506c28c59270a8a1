"""Which outputs are the same to labels, where a check does not say so itself."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.base import canonical_output

REPLY = "Do this:\n\n1. Close the valve.\n2. Wait.\n\n    if closed:\n        wait()"


@pytest.mark.parametrize("same", [f"\n {REPLY} \n", REPLY.replace("\n", " \t\r\n")])
def test_white_space_that_nobody_sees_is_no_difference(same):
    assert canonical_output(None, same) == REPLY


@pytest.mark.parametrize(
    "other", [" ".join(REPLY.split()), REPLY.replace("        ", "    "), REPLY.replace("\n\n", "\n")]
)
def test_lost_lines_and_indentation_are_a_difference(other):
    assert canonical_output(None, other) != canonical_output(None, REPLY)
