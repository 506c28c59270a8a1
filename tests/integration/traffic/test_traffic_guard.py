"""Traffic as a guard, by command: a snapshot, labels of what differs, and verdicts that 60 cases cannot give."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import BAD, GOOD, commit_to_main, decided, git, invoke, ok
from tests.support.records import write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import traffic_in
from tunegate.harness.evaluation.record import read_record
from tunegate.harness.gate.labelled_outputs import labelled_outputs
from tunegate.harness.traffic.labels import Label, append_label

INPUTS, LABELS = 600, Path("fixtures/desk/production.labels.jsonl")
OTHER = '{"product": "radiator"}'
GATE = ["gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl"]
SMALL = [f"c{number:02d}" for number in range(60)]


def keys() -> dict[str, list[str]]:
    """The keys of all cases, by unit."""
    return {
        unit.key: [case.key for case in unit.cases] for task in load_tasks(Path("fixtures")) for unit in task.units
    }


def write_outputs(path: str, other: Callable[[str, int], str]) -> None:
    """Outputs for every case: what `other` says of a unit and a number."""
    lines = [
        {"case": key, "output": other(unit, number)}
        for unit, every in keys().items()
        for number, key in enumerate(every)
    ]
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))


def candidate(differing: Collection[int], cases: Collection[int] = range(2)) -> None:
    """Outputs of a candidate that says something else on these inputs, and on these of the 60 cases."""
    write_outputs("outputs.jsonl", lambda unit, number: _said(unit, number, differing, cases))


def _said(unit: str, number: int, differing: Collection[int], cases: Collection[int]) -> str:
    where = differing if unit == "desk/production" else cases
    return OTHER if number in where else GOOD


def label(right: Callable[[int, str], bool], out: str = "record.json") -> int:
    """Label what the gate asked for, as `tunegate label` does; return how many inputs that were."""
    [unit] = [each for task in load_tasks(Path("fixtures")) for each in task.units if each.labels]
    record = read_record(Path(out))
    number = record.verdicts[unit.key]["labelled"]["number"]
    [path] = Path("baselines/replay-gpt/desk").glob("production.json")
    reference = read_record_of(path, record)
    found = labelled_outputs(unit, record, reference, number)
    for index, each in enumerate(found.missing):
        for given in (each.before, each.after):
            append_label(LABELS, Label(each.input, given.output, right(index, given.output), "anna"))
    return len(found.missing)


def read_record_of(path: Path, like: Any) -> Any:
    from dataclasses import replace

    from tunegate.harness.baselines.store import read_baseline

    found = read_baseline(path, "desk/production")
    return replace(like, cases={f"desk/production/{case}": each for case, each in found.results.items()})


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A repository with 60 cases and labelled traffic of 600 inputs, whose base is right everywhere."""
    monkeypatch.chdir(tmp_path)
    with traffic_in(tmp_path / "kept"):
        Path("log.jsonl").write_text("".join(json.dumps({"input": f"message {n}"}) + "\n" for n in range(INPUTS)))
        [line] = [each for each in ok("traffic", "log.jsonl").splitlines() if each.startswith("traffic: ")]
        path = write_unit(Path("fixtures"), [], "production")
        data = json.loads(path.read_text())
        del data["cases"]
        named = {"traffic": line.removeprefix("traffic: "), "labels": {"file": LABELS.name, "sample": 40}}
        path.write_text(json.dumps(data | named))
        write_unit(Path("fixtures"), SMALL)
        write_policy(Path("fixtures"), triage={"margin": 0.05}, production={"margin": 0.05})
        Path("pyproject.toml").write_text("[tool.tunegate]\n")
        Path(".gitignore").write_text(".tunegate/\nkept/\nlog.jsonl\nrecord.json\n*.lock\n")
        write_outputs("base.jsonl", lambda unit, number: GOOD)
        Path("requests.jsonl").write_text(invoke("prompts").stdout)
        ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl")
        yield tmp_path


def verdicts(*options: str) -> dict[str, Any]:
    invoke(*GATE, "--out=record.json", *options)
    return dict(read_record(Path("record.json")).verdicts)


def test_few_labels_hold_what_60_cases_cannot(desk):
    candidate(range(0, INPUTS, 10))
    asked = verdicts()
    assert asked["desk/triage"]["verdict"] == "inconclusive"
    assert asked["desk/production"]["verdict"] == "inconclusive"
    said = asked["desk/production"]["reason"]
    assert "40 of 40 labels are missing, of snapshot sha256:" in said
    assert ": tunegate label desk/production. 600 inputs; 60 outputs differ (10.0 %)." in said

    assert label(lambda index, output: True) == 40

    found = verdicts()["desk/production"]
    assert found["verdict"] == "held", found["reason"]
    assert "40 labelled: 0 better, 0 worse" in found["reason"]
    assert found["labelled"]["missing"] == 0


def test_labels_show_a_loss(desk):
    candidate(range(0, INPUTS, 5))
    verdicts()
    label(lambda index, output: "boiler" in output)

    found = verdicts()["desk/production"]

    assert found["verdict"] == "regressed", found["reason"]
    assert "40 labelled: 0 better, 40 worse" in found["reason"]
    assert len(found["regressed_cases"]) == 40
