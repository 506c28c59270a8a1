"""A model of an installed package: recorded, gated, compared with another at its address, and never run too early."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import decision, edit, git, invoke, ok
from tests.support.packages import installed
from tests.support.prompted import settings
from tests.support.records import write_policy
from tests.support.units import write_unit

#: It is right as often as its name says: `echo:here#36` in 36 cases of 40.
ECHO = """
from tunegate import Completion, Fingerprint, Opened


class Echo(Opened):
    can = frozenset({"generate"})

    def __init__(self, name, watch, options, rung):
        self.name, self.rung = name, rung

    @property
    def fingerprint(self):
        subject = {"model": f"echo-{self.name[-2:]}", "base": self.name, "adapter": None, "rung": self.rung}
        return Fingerprint(subject, {"backend": "echo"}, {"model": self.name})

    def complete(self, requests):
        for request in requests:
            right = int(request.messages[-1][1].split()[-1]) < int(self.name[-2:])
            yield Completion(request.key, '{"product": "boiler"}' if right else "no idea", repeat=request.repeat)
"""
IDS = [f"c{number:02d}" for number in range(40)]
WAITS = "not evaluated: its model is code that needs approval"


@pytest.fixture
def package(tmp_path_factory, monkeypatch) -> Iterator[Path]:
    with installed(tmp_path_factory.mktemp("site"), ECHO, monkeypatch, models={"echo": "tone_code:Echo"}) as file:
        yield file


@pytest.fixture
def desk(package, tmp_path, monkeypatch) -> Path:
    """A repository whose model is one of the package, with the record of what is in service on main."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path.parent / f"{tmp_path.name}-config"))
    cases = [{"id": name, "input": f"ticket {number}", "expect": {"product": "boiler"}}
             for number, name in enumerate(IDS)]  # fmt: skip
    write_unit(Path("fixtures"), [], cases=cases, prompt={"system": "Sort."})
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.2})
    settings("echo:here#36")
    Path(".gitignore").write_text(".tunegate/\n*.lock\n")
    ok("record")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    sys.modules.pop("tone_code", None)
    return tmp_path


gate = partial(decision, "--policy-from=main")


def verdicts(found: dict[str, Any]) -> set[str]:
    return {each["verdicts"]["desk/triage"] for each in found["by_rules"]}


def test_its_prompt_is_a_candidate_as_that_of_any_hosted_model(desk):
    edit(lambda data: data.update(prompt={"system": "Sort it."}))

    found = gate()
    assert (found["passes"], found["modified"], verdicts(found)) == (True, [], {"held"})


@pytest.mark.parametrize(("name", "verdict"), [("echo:here#35", "held"), ("echo:here#10", "regressed")])
def test_another_model_at_its_address_is_compared_with_the_one_in_service(desk, name, verdict):
    settings(name)

    found = gate()
    assert (found["modified"], verdicts(found)) == ([], {verdict})


@pytest.mark.parametrize("name", ["echo:elsewhere#36", "echo:36"])
def test_another_address_waits_and_nothing_is_sent_there(desk, name):
    settings(name)

    found = gate()
    assert not found["passes"]
    assert found["by_rules"] == []
    assert any("its model" in note for note in found["notes"])
    assert "tone_code" not in sys.modules


def test_a_package_that_a_change_names_anew_is_not_imported_before_it_is_approved(desk):
    settings("replay:expected=outputs.jsonl")
    git("commit", "-qam", "supplied outputs")
    git("branch", "-f", "main")
    settings("echo:here#36")

    found = gate()
    assert not found["passes"]
    assert any("tone 1.0, echo = tone_code:Echo" in line for line in found["modified"])
    assert any(WAITS in note or "its model" in note for note in found["notes"])
    assert "tone_code" not in sys.modules


def test_a_package_of_the_repository_is_not_imported(desk, package):
    edit(lambda data: data.update(prompt={"system": "Sort it."}))
    package.rename("tone_code.py")
    package.symlink_to(Path("tone_code.py").resolve())

    done = invoke("gate", "--policy-from=main")
    assert done.exit_code == 4
    assert "tone_code.py, which a change of this checkout edits; install a wheel of it" in done.output
    assert "tone_code" not in sys.modules
