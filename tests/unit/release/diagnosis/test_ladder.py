from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.records import write_desk
from tests.support.traffic import write_traffic
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import TrafficInput, traffic_in, write_snapshot
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint, Request, Unconstrainable
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.release.diagnosis.ladder import LADDER, SAMPLE, offers, promptable, run_ladder, sample

SHOTS = [{"input": "a cold radiator", "output": '{"product": "radiator"}'}]


class Scripted:
    """Answers rightly once the prompt holds what it needs."""

    can = frozenset({"generate"})

    def __init__(self, rung: str, needs: str) -> None:
        self.fingerprint = Fingerprint(
            {"model": "scripted-1", "rung": rung}, {"backend": "script"}, {"model": "scripted"}
        )
        self.needs = needs

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            helped = self.needs in " ".join(text for _, text in request.messages)
            output = '{"product": "boiler"}' if helped else "Certainly, a boiler."
            yield Completion(
                request.key, f"So. Answer: {output}" if "step by step" in request.messages[-1][1] else output, 9, 3
            )


def unit_of(root):
    return load_tasks(root)[0].units[0]


def test_a_sample_is_the_same_each_time_and_keeps_groups_together(tmp_path):
    write_desk(tmp_path, 100, case_keys=lambda index: {"group": f"g{index // 4}"})
    unit = unit_of(tmp_path)

    first, again, other = sample(unit, 30), sample(unit, 30), sample(unit, 30, seed=1)

    assert first.cases == again.cases != other.cases
    assert 30 <= len(first.cases) < 34
    groups = [case.group for case in first.cases]
    assert all(groups.count(group) == 4 for group in groups)
    assert [case.id for case in first.cases] == sorted(case.id for case in first.cases), "in the order of the file"


def test_a_small_unit_is_its_own_sample(tmp_path):
    write_desk(tmp_path, 7)
    assert len(sample(unit_of(tmp_path), SAMPLE).cases) == 7


def test_an_added_case_displaces_one_at_most(tmp_path):
    write_desk(tmp_path / "before", 80)
    write_desk(tmp_path / "after", 81)
    before, after = ({case.id for case in sample(unit_of(tmp_path / side)).cases} for side in ("before", "after"))
    assert len(before - after) <= 1


def test_who_can_climb(tmp_path):
    write_desk(tmp_path, 3)
    write_unit(tmp_path, ["one"], name="kept", sealed=True)
    folder = tmp_path / "desk"
    (folder / "passages.yaml").write_text(
        "version: 1\nsuite: retention\nunit: passages\ncheck: {measure: passages}\n"
        'cases:\n  - {id: a, input: "Some text."}\n'
    )
    [task] = load_tasks(tmp_path)
    assert [unit.name for unit in promptable(task.units)] == ["triage"]


def test_what_labels_decide_is_not_diagnosed(tmp_path):
    write_desk(tmp_path / "fixtures", 3)
    with traffic_in(tmp_path):
        sha = write_snapshot([TrafficInput("hello")])
        write_traffic(tmp_path / "fixtures", sha, "production", labels={"file": "some.jsonl", "sample": 40})
        [task] = load_tasks(tmp_path / "fixtures")

    assert [unit.name for unit in promptable(task.units)] == ["triage"]


@pytest.mark.parametrize(("more", "offered"), [
    ({}, ["as-is", "constrained", "optimised", "steps", "larger"]),
    ({"shots": SHOTS}, ["as-is", "constrained", "optimised", "few-shot", "few-shot-constrained", "steps", "larger"]),
    ({"context": "The boiler is old."}, ["as-is", "constrained", "optimised", "context", "steps", "larger"]),
])  # fmt: skip
def test_rungs_that_fixtures_offer(tmp_path, more, offered):
    shots = {"shots": more["shots"]} if "shots" in more else {}
    case_keys = {"context": more["context"]} if "context" in more else {}
    write_desk(tmp_path, 2, case_keys=lambda _: case_keys, **shots)
    assert [rung for rung in LADDER if offers(unit_of(tmp_path), rung)] == offered


def test_without_a_schema_there_is_nothing_to_hold_answers_to(tmp_path):
    more = {"suite": "retention", "check": {"measure": "questions"}, "shots": SHOTS}
    write_desk(tmp_path, 2, case_keys=lambda _: {"expect": {"answer": ["boiler"]}}, **more)
    offered = [rung for rung in LADDER if offers(unit_of(tmp_path), rung)]
    assert offered == ["as-is", "optimised", "few-shot", "steps", "larger"]


def test_a_passage_that_the_prompt_holds_already_is_no_rung(tmp_path):
    prompt = {"template": "{context}\n{input}"}
    write_desk(tmp_path, 2, case_keys=lambda _: {"context": "The boiler is old."}, prompt=prompt)
    assert not offers(unit_of(tmp_path), "context")


def test_each_rung_asks_with_its_own_prompt(tmp_path):
    write_desk(tmp_path, 5, shots=SHOTS)
    write_desk(tmp_path, 5, name="bare")
    units = load_tasks(tmp_path)[0].units
    rungs = {rung: lambda rung=rung: Scripted(rung, "cold radiator") for rung in ("as-is", "few-shot", "steps")}

    records, unconstrainable = run_ladder(units, rungs, quiet())

    assert unconstrainable == {}
    means = {(rung, unit): summary.mean for rung, record in records.items() for unit, summary in record.units.items()}
    assert means == {
        ("as-is", "desk/bare"): 0, ("as-is", "desk/triage"): 0, ("few-shot", "desk/triage"): 1,
        ("steps", "desk/bare"): 0, ("steps", "desk/triage"): 0,
    }  # fmt: skip
    assert all(record.partial for record in records.values()), "nothing can be released on a sample"
    assert {rung: record.rung for rung, record in records.items()} == {rung: rung for rung in rungs}


class Constraining(Scripted):
    """Holds answers to schemas, but for those of some files, or for none (`files` is None)."""

    def __init__(self, rung: str, files: Collection[str] | None) -> None:
        super().__init__(rung, "")
        self.files = files

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        held = dict.fromkeys(each.constraint for each in requests if each.constraint)
        if held and self.files is None:
            raise Unconstrainable("constrained decoding: ignored", everywhere="it ignores them")
        if why := {each: "unknown keyword" for each in held if Path(each.file).name in self.files}:
            raise Unconstrainable("expected schemas", why)
        yield from super().complete(requests)


def run_constrained(tmp_path: Path, files: Collection[str] | None) -> tuple[dict[str, set[str]], dict[str, str]]:
    write_desk(tmp_path, 3, shots=SHOTS)
    write_desk(tmp_path, 3, name="odd", check={"schema": {"type": "object", "minProperties": 1}}, shots=SHOTS)
    units = load_tasks(tmp_path)[0].units
    rungs = {rung: lambda rung=rung: Constraining(rung, files) for rung in RUNGS}
    records, why = run_ladder(units, rungs, quiet())
    return {rung: set(record.units) for rung, record in records.items()}, why


def test_a_unit_whose_schema_cannot_be_held_is_left_out_of_those_rungs_and_told(tmp_path):
    records, why = run_constrained(tmp_path, {"odd.yaml"})
    both = {"desk/triage", "desk/odd"}
    assert records == {
        "as-is": both, "constrained": {"desk/triage"}, "few-shot": both, "few-shot-constrained": {"desk/triage"},
        "steps": both,
    }  # fmt: skip
    assert list(why) == ["desk/odd"]
    assert why["desk/odd"].endswith("desk/odd.yaml: unknown keyword")


def test_a_server_that_holds_answers_to_no_schema_leaves_those_rungs_out(tmp_path):
    records, why = run_constrained(tmp_path, None)
    assert list(records) == ["as-is", "few-shot", "steps"]
    assert {unit: said.rpartition(": ")[2] for unit, said in why.items()} == dict.fromkeys(
        ("desk/odd", "desk/triage"), "it ignores them"
    )
