"""A repository whose model is behind an address, and is right as often as its prompt deserves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import FaultServer, Handler, reply, serving
from tests.support.gated import BAD, GOOD, edit, git, ok
from tests.support.records import write_policy
from tests.support.units import write_unit

CASES = 120
IN_SERVICE, REWORDED, BETTER, WORSE = "Sort the ticket.", "Please sort the ticket.", "Sort it; think.", "Sort."
#: How many cases a prompt gets right, from the first on, and those that it gets wrong besides.
RIGHT: dict[str, tuple[int, set[int]]] = {
    IN_SERVICE: (110, set()), REWORDED: (110, {7}), BETTER: (119, set()), WORSE: (91, set()),
}  # fmt: skip


def act(handler: Handler, body: dict[str, Any]) -> None:
    """A model that is right as often as its prompt deserves; the smaller one is right less often."""
    texts = {each["role"]: each["content"] for each in body["messages"]}
    most, but = RIGHT.get(texts.get("system", ""), (60, set()))
    most -= 30 if body["model"] == "small" else 0
    most -= 25 if body.get("temperature") else 0
    number = int(texts["user"].rpartition(" ")[2]) if texts["user"][-1:].isdigit() else -1
    output = GOOD if number < most and number not in but else BAD
    handler.send(json.dumps(reply(body, output, model=body["model"])))


@pytest.fixture
def server(monkeypatch) -> Iterator[FaultServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(act) as served:
        yield served


@pytest.fixture
def desk(server, tmp_path, monkeypatch) -> Path:
    """A repository whose model is behind an address, with the record of what is in service on main."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    make_desk(server.model)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    return tmp_path


def make_desk(model: str) -> None:
    """Write the project in the working directory, and record the model."""
    cases = [{"id": f"c{n:03}", "input": f"ticket {n}", "expect": {"product": "boiler"}} for n in range(CASES)]
    write_unit(Path("fixtures"), [], cases=cases, prompt={"system": IN_SERVICE})
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.05})
    settings(model)
    Path(".gitignore").write_text(".tunegate/\n*.lock\n")
    ok("record")


def settings(model: str, **more: str) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"model": model, **more}.items()]
    Path("pyproject.toml").write_text("\n".join(["[tool.tunegate]", *lines, ""]))


def prompt(text: str) -> None:
    edit(lambda data: data.update(prompt={"system": text}))


def record_as(right: tuple[int, set[int]], text: str = REWORDED) -> None:
    """Record a prompt while the model is right on other cases than the gate finds: digests, scores and ledger fit."""
    honest = RIGHT[text]
    prompt(text)
    RIGHT[text] = right
    ok("record", "--fresh")
    RIGHT[text] = honest
