"""benchmarks/attacks.py: what is stopped is, and what gets through is called so."""

from __future__ import annotations

from benchmarks import attacks
from benchmarks.attack_world import Attempt
from tunegate.harness.core.progress import quiet

HONEST = Attempt("Outputs that are better, which is no attack", lambda world: world.outputs(38))


def test_known_ways_are_stopped():
    found = attacks.attack("settings-below", quiet())
    assert [(each.name, each.code, each.wrong) for each in found] == [
        ("settings-below", 4, ()), ("settings-below-lint", 4, ()),
    ]  # fmt: skip


def test_what_ends_with_0_is_through(monkeypatch):
    monkeypatch.setattr(attacks, "ATTEMPTS", {"none": {"honest": HONEST}})
    [tried] = attacks.attack("", quiet())
    assert tried.is_through
    assert tried.wrong == ("it ended with 0",)
    assert "1 attempts" in attacks.report([tried], "")
    assert "**through: it ended with 0**" in attacks.report([tried], "")
