"""A repository whose task has 60 cases and labelled traffic, outputs for all of it, and labels by command."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from tests.support.gated import GOOD, invoke, ok
from tests.support.records import write_policy
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.cases.traffic.labels import Label, Pair, append_label
from tunegate.harness.labelling.judge import judge_requests
from tunegate.harness.labelling.of_unit import differing_outputs, unit_questions
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.verdict import UnitVerdict

OTHER = '{"product": "radiator"}'
KEY = "desk/production"
LABELS = Path("fixtures/desk/production.labels.jsonl")
SMALL = [f"c{number:02d}" for number in range(60)]
JUDGE = ("label", KEY, "--judge=replay:judge=said.jsonl")
GATE = ("gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl", "--out=record.json")


def write_traffic(root: Path, sha: str, name: str = "triage", **more: Any) -> Path:
    """A schema unit of the task `desk` whose cases are a snapshot's inputs."""
    path = write_unit(root, [], name)
    data = {key: value for key, value in json.loads(path.read_text()).items() if key != "cases"}
    path.write_text(json.dumps(data | {"traffic": f"sha256:{sha}"} | more))
    return path


def units() -> dict[str, Unit]:
    """The units of the working directory's fixtures."""
    return {unit.key: unit for task in load_tasks(Path("fixtures")) for unit in task.units}


def write_outputs(path: str, other: Callable[[str, int], str]) -> None:
    """Outputs for every case: what `other` says of its unit and its number there."""
    lines = [
        {"case": case.key, "output": other(key, number)}
        for key, unit in units().items()
        for number, case in enumerate(unit.cases)
    ]
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_candidate(differing: Collection[int], cases: Collection[int] = range(2)) -> None:
    """Outputs of a candidate that says something else on these inputs of traffic, and on these of the 60 cases."""
    write_outputs(
        "outputs.jsonl", lambda key, number: OTHER if number in (differing if key == KEY else cases) else GOOD
    )


def make_traffic_repository(inputs: Sequence[str], sample: int = 40) -> None:
    """Make it in the working directory, without git: the base is right everywhere."""
    Path("log.jsonl").write_text("".join(json.dumps({"input": each}) + "\n" for each in inputs))
    [line] = [each for each in ok("traffic", "log.jsonl").splitlines() if each.startswith("traffic: sha256:")]
    labels = {"file": LABELS.name, "sample": sample}
    write_traffic(Path("fixtures"), line.removeprefix("traffic: sha256:"), "production", labels=labels)
    write_unit(Path("fixtures"), SMALL)
    write_policy(Path("fixtures"), triage={"margin": 0.05}, production={"margin": 0.05})
    Path("pyproject.toml").write_text("[tool.tunegate]\n")
    Path(".gitignore").write_text(".tunegate/\ntraffic/\nlog.jsonl\nrecord.json\n*.lock\n")
    write_outputs("base.jsonl", lambda key, number: GOOD)
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl")


def verdicts(*options: str) -> dict[str, UnitVerdict]:
    """The verdicts of the gate on `outputs.jsonl`."""
    invoke(*GATE, *options)
    return dict(read_record(Path("record.json")).verdicts)


def label(right: Callable[[str], bool], by: str = "anna") -> int:
    """Label what the last gate lacked; return how many inputs that were."""
    asked = unit_questions(units()[KEY], read_record(Path("record.json")))
    for each in asked:
        for sha, output in each.pairs:
            append_label(LABELS, Label(sha, output, right(output), by))
    return len(asked)


def differing() -> dict[Pair, Case]:
    """All outputs of the last gate that differ, with their cases."""
    return differing_outputs(units()[KEY], read_record(Path("record.json")))


def with_judge(right: Callable[[int, str], bool]) -> None:
    """Let the unit name a judge, which says of all outputs that differ what `right` says of a number and an output."""
    path = Path("fixtures/desk/production.yaml")
    data = json.loads(path.read_text())
    data["labels"]["judge"] = {"model": "judge", "rubric": "The product is the one that the message names."}
    path.write_text(json.dumps(data))
    verdicts()
    numbers = {case.key: number for number, case in enumerate(units()[KEY].cases)}
    judge = units()[KEY].labels.judge
    lines = [
        {"case": each.key, "repeat": each.repeat, "output": said}
        for (_, output), each in judge_requests(judge, differing()).items()
        for said in ["RIGHT." if right(numbers[each.key], output) else "Wrong"]
    ]
    Path("said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
