"""What is left of a stored record where cases were added, edited or removed since."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import ENGINE, LOCAL, record, units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import CHECK_VERSION, Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines import service
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.history.baselines.recording import write_baselines
from tunegate.harness.history.baselines.service import (
    anchor_records,
    find_anchor,
    first_records,
    records_in_service,
    records_of_branch,
    shared_part,
    spent_anchors,
)
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline, state
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Noise

NOISE = {"desk/triage": Noise(4, 2, ("c000", "c001"))}
T, COST, SLUG = "desk/triage", "desk/cost", str(LOCAL["model"])


@pytest.fixture
def home(tmp_path) -> Path:
    """Four cases, of which the model in service passes two: c001 and c003."""
    write_desk(tmp_path / "fixtures", 4)
    serve(tmp_path, {T: "0101"}, noise=NOISE)
    return tmp_path


def units(home: Path) -> dict[str, Unit]:
    return units_of(load_tasks(home / "fixtures"))


def serve(home: Path, scores: dict[str, Any], **more: Any) -> None:
    """Put a record in service."""
    made = record(load_tasks(home / "fixtures"), scores, **more)
    of = [unit for key, unit in units(home).items() if key in scores]
    write_baselines(home / "baselines", SLUG, made, of, state(home / "baselines", SLUG, of), serves=True)


def stored(home: Path, unit: str = T) -> Baseline:
    return read_baseline(baseline_path(home / "baselines", SLUG, unit), unit)


def cases(home: Path, change: Any) -> Unit:
    """Change the cases of the unit, and return it."""
    path = home / "fixtures/desk/triage.yaml"
    data = json.loads(path.read_text())
    change(data["cases"])
    path.write_text(json.dumps(data))
    return units(home)[T]


def add(number: int) -> Any:
    more = [{"id": f"x{n}", "input": f"more {n}", "expect": {"product": "boiler"}} for n in range(number)]
    return lambda cases: cases.extend(more)


def test_a_record_of_the_same_cases_is_whole(home):
    found = stored(home)
    assert shared_part(found, units(home)[T]) is found
    assert shared_part(found, cases(home, list.reverse)) is found


def test_a_part_has_the_numbers_of_the_cases_that_are_left(home):
    def change(cases: list[dict[str, Any]]) -> None:
        cases[0]["input"] = "another message"
        del cases[1]
        add(2)(cases)

    found = stored(home)
    unit = cases(home, change)
    part = shared_part(replace(found, questions={**found.questions, CHECK_VERSION: "older"}), unit)

    assert part
    assert set(part.results) == part.shared == {"c002", "c003"}
    assert (part.summary.n, part.summary.mean) == (2, 0.5)
    assert part.noise == Noise(2, 2, ())
    assert part.questions == {**unit.with_cases(part.results).questions, CHECK_VERSION: "older"}


def test_a_part_that_has_all_cases_of_now_is_no_less(home):
    found = stored(home)
    for change in (lambda cases: cases[0].update(tags={"a": "b"}), lambda cases: cases.pop(0)):
        part = shared_part(found, cases(home, change))
        assert part
        assert part.shared is None


def test_nothing_is_left_where_no_case_is_or_of_another_snapshot_of_traffic(home):
    found = stored(home)
    added = cases(home, add(1))
    assert shared_part(found, added)
    assert shared_part(found, replace(added, traffic="a" * 64)) is None
    assert (
        shared_part(found, cases(home, lambda cases: [each.update(input="other " + each["id"]) for each in cases]))
        is None
    )


def test_the_anchor_is_the_first_record_of_which_a_case_is_left(home):
    first = stored(home)
    unit = cases(home, add(1))
    serve(home, {T: "01010"})
    ledger = read_ledger(home / "baselines")
    anchor = find_anchor(home / "baselines", ledger, unit)
    assert anchor
    assert (anchor.digest, len(anchor.results)) == (first.digest, 4)
    assert [each.digest for each in anchor_records(home / "baselines", ledger, [unit], [stored(home)])] == [
        first.digest
    ]

    alone = cases(home, lambda cases: cases.__delitem__(slice(0, 4)))
    anchor = find_anchor(home / "baselines", ledger, alone)
    assert anchor
    assert anchor.digest == stored(home).digest
    assert anchor_records(home / "baselines", ledger, [alone], [stored(home)]) == []


def test_each_case_has_its_first_record_and_each_file_is_read_once(home, monkeypatch):
    first, read = stored(home), []
    for outputs in ("0111", "0011", "1011"):
        serve(home, {T: outputs})
    unit = cases(home, add(1))
    serve(home, {T: "01010"})
    monkeypatch.setattr(service, "read_baseline", lambda *place: read.append(place) or read_baseline(*place))
    found = list(first_records(home / "baselines", read_ledger(home / "baselines"), unit))
    assert [len(each.results) for each in found] == [4, 1]
    assert found[0].digest == first.digest
    assert len(read) == len(set(read))


def test_a_record_of_its_own_is_asked_for_where_that_of_the_branch_has_only_some_cases(home, tmp_path_factory):
    branch = tmp_path_factory.mktemp("branch") / "baselines"
    (home / "baselines").rename(branch)
    (home / "baselines").symlink_to(branch)
    unit = cases(home, add(1))
    with pytest.raises(Refused, match="record it again"):
        records_in_service(home / "baselines", read_ledger(branch), [unit], False, branch)


@pytest.fixture
def priced(home) -> Path:
    """The same with a unit of the costs of its outputs."""
    (home / "fixtures/desk/cost.yaml").write_text(
        json.dumps({"version": 1, "suite": "cost", "unit": "cost", "of": "triage"})
    )
    path = write_policy(home / "fixtures", triage={"margin": 0.05}, cost={"margin": 0.01})
    prices = {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "reason": "a test"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prices": prices}))
    return home


def parts(home: Path) -> dict[str, set[str]]:
    found = records_of_branch(home / "baselines", list(units(home).values()))
    return {unit: set(each.results) for unit, each in found.items()}


def test_a_derived_unit_has_no_case_without_an_output_of_its_source(priced):
    serve(priced, {T: "0101", COST: [1.0, 2.0, 3.0, 4.0]})
    assert parts(priced) == {T: {"c000", "c001", "c002", "c003"}, COST: {"c000", "c001", "c002", "c003"}}
    cases(priced, add(1))
    serve(priced, {COST: [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert parts(priced) == {T: {"c000", "c001", "c002", "c003"}, COST: {"c000", "c001", "c002", "c003"}}


def test_a_derived_unit_without_any_output_of_its_source_is_left_out(priced):
    kept = (priced / "fixtures/desk/triage.yaml").read_text()
    serve(priced, {T: "0101", COST: [1.0, 2.0, 3.0, 4.0]})
    cases(priced, lambda cases: [add(1)(cases), cases.__delitem__(slice(0, 4))])
    serve(priced, {COST: [5.0]})
    (priced / "fixtures/desk/triage.yaml").write_text(kept)
    cases(priced, add(1))
    assert parts(priced).keys() == {T}


def anchors(home: Path) -> dict[str, str]:
    ledger, of = read_ledger(home / "baselines"), list(units(home).values())
    serving = records_in_service(home / "baselines", ledger, of, False)
    return {each.unit: each.digest for each in anchor_records(home / "baselines", ledger, of, serving)}


def test_the_anchor_of_costs_comes_with_the_outputs_that_it_is_of(priced):
    serve(priced, {T: "0101", COST: [1.0, 2.0, 3.0, 4.0]}, noise=NOISE)
    first = {unit: stored(priced, unit).digest for unit in (T, COST)}
    assert anchors(priced) == {}
    serve(priced, {T: "0101", COST: [1.0, 2.0, 3.0, 5.0]}, noise=NOISE)  # as with a tighter margin
    assert anchors(priced) == first


def test_costs_of_other_outputs_than_those_of_the_anchor_are_no_anchor(priced):
    serve(priced, {T: "1111", COST: [1.0, 2.0, 3.0, 4.0]})
    serve(priced, {T: "1110", COST: [1.0, 2.0, 3.0, 5.0]})
    assert anchors(priced).keys() == {T}
    [line] = spent_anchors(priced / "baselines", read_ledger(priced / "baselines"), list(units(priced).values()))
    assert line.startswith("desk/cost: no record of it is of the outputs of the anchor of desk/triage")


def test_every_unit_of_a_task_has_its_anchor_whatever_models_they_are_of(home):
    """A name that two of them share would hide one."""
    for number, name in enumerate(("triage", "replies", "orders", "calls")):
        write_desk(home / "fixtures", 4, name)
        subject = LOCAL | {"adapter": None, "base": f"{number}" * 64, "model": f"m{number}-12345678"}
        fingerprint = {"subject": subject, "engine": ENGINE, "names": {"model": "tiny"}}
        for scores in ("0101", "1101"):
            made = record(load_tasks(home / "fixtures"), {f"desk/{name}": scores}, fingerprint=fingerprint)
            of = [units(home)[f"desk/{name}"]]
            root, slug = home / "baselines", str(subject["model"])
            write_baselines(root, slug, made, of, state(root, slug, of), serves=True)
    tasks = load_tasks(home / "fixtures")
    found = baseline_references(
        home / "baselines", tasks, list(tasks[0].units), Fingerprint(LOCAL | {"adapter": None}, ENGINE), None
    )
    for name in ("baseline", "anchor"):
        named = [key for each, one in found.items() if each.startswith(name) for key in one.units]
        assert sorted(named) == sorted(units(home))
