"""An adapter in a change that brings records too: what it is compared with, and that the records are true."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import decision, edit, git, invoke, ok, put_in_service
from tests.support.records import stamp, training_record, write_policy
from tests.support.tiny import write_trained
from tests.support.units import write_unit
from tunegate.harness.core.files import file_digest
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append
from tunegate.harness.models.adapters import TRAINING, adapter_digest
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.huggingface import load_base

T = "desk/triage"
CASES = [{"id": f"c{number:03}", "input": f"ticket {number}"} for number in range(70)]


@pytest.fixture
def desk(tiny_model, tmp_path, monkeypatch) -> Path:
    """A project whose tiny model outputs something, in service, and an adapter of it that is not yet committed."""
    monkeypatch.chdir(tmp_path)
    check = {"schema": {"type": "string"}, "extract": "text"}
    options = {"check": check, "generate": {"max_new_tokens": 3}, "prompt": {"system": "Sort it."}}
    write_unit(tmp_path / "fixtures", [], cases=CASES[:60], **options)
    write_policy(tmp_path / "fixtures", triage={"margin": 0.1})
    (tmp_path / "pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{tiny_model}"\n')
    (tmp_path / ".gitignore").write_text(".tunegate/\n*.lock\n")
    ok("record")
    return tmp_path


def commit(tiny_model: Path) -> None:
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    write_trained(Path("adapters/x"), load_base(tiny_model))


def says_near(tiny_model: Path, cases: int, **more: Any) -> None:
    """The training record of the adapter, written by hand, says that rows came near the first cases."""
    adapter = Path("adapters/x")
    listed = [{"case": f"{T}/{each['id']}", "row": "rows.jsonl:1", "measure": "words", "value": 1.0} for each in CASES]
    parts = {"model": identify(str(tiny_model), tiny_model).as_dict(), "adapter": adapter_digest(adapter)}
    stamp(adapter / TRAINING, training_record(decontamination={"near": listed[:cases]}) | parts | more)


def copies(number: int) -> dict[str, Any]:
    """A file of rows that repeat the first cases, as a training record names it."""
    rows = [{"unit": "triage", "input": case["input"], "output": "a"} for case in CASES[:number]]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"file": "rows.jsonl", "form": "tunegate", "sha256": file_digest(Path("rows.jsonl")), "rows": number}


def forge(path: Path, *kinds: str, case: str = "c007") -> None:
    """Change one output of a record, and write it anew, with events of these kinds."""
    data = json.loads(path.read_text())
    data["cases"][case]["output"] = "another one"
    data["scorer"] = {"jsonschema": "0"}  # an older check: the outputs are scored again
    put_in_service(path, data, kinds)


gate = partial(decision, "--policy-from=main", "--adapter=adapters/x")


def test_a_record_of_more_cases_beside_an_adapter_is_compared_with_the_base_itself(desk, tiny_model):
    commit(tiny_model)
    edit(lambda data: data.update(cases=CASES))
    ok("record")

    assert gate()["untrue"] == []


def test_cases_without_a_record_are_left_out_beside_an_adapter_that_was_trained_on_them(desk, tiny_model):
    commit(tiny_model)
    edit(lambda data: data.update(cases=CASES))
    says_near(tiny_model, 70)

    found = gate()

    assert (found["refused"], found["untrue"]) == ("", [])
    assert found["added"][1].startswith(f"{T}: 10 cases (c060, c061, c062 and 7 more) without a recorded output")
    assert found["modified"][0].startswith(f"{T}: 60 of 60 cases are near by this change's own record")


def test_added_cases_of_a_record_come_with_its_being_in_service(desk, tiny_model):
    [path] = Path("baselines").glob("*/desk/triage.json")
    edit(lambda data: data["check"].update(schema={"pattern": "^(?!another)"}))
    ok("record")
    commit(tiny_model)
    edit(lambda data: data.update(cases=CASES))
    known = set(Path("baselines/ledger").glob("*.json"))
    ok("record")
    for event in set(Path("baselines/ledger").glob("*.json")) - known:
        event.unlink()
    forge(path, case="c065")  # the base of the adapter, on which nothing else would look
    forged = json.loads(path.read_text())
    append(Path("baselines"), Event("recorded", "desk", forged["subject"], {T: forged["digest"]}))

    done = invoke("gate", "--policy-from=main", "--adapter=adapters/x")

    assert done.exit_code == 4, done.output
    assert "has other cases (+c060, +c061, +c062 and 7 more); record it again" in done.output


def test_an_adapter_on_edited_decoding_is_compared_with_what_was_in_service(desk, tiny_model):
    [path] = Path("baselines").glob("*/desk/triage.json")
    outputs = {case["output"] for case in json.loads(path.read_text())["cases"].values()}
    edit(lambda data: data["check"].update(schema={"enum": sorted(outputs)}))
    ok("record")
    commit(tiny_model)
    edit(lambda data: data["generate"].update(max_new_tokens=6))
    ok("record")  # its own base is as wrong as the adapter

    found = gate()

    for each in found["by_rules"]:
        assert each["verdicts"][T] == "regressed", each


def test_where_the_engine_repeats_itself_every_case_of_a_record_has_the_result_that_the_gate_finds(desk, tiny_model):
    [path] = Path("baselines").glob("*/desk/triage.json")
    outputs = {case["output"] for case in json.loads(path.read_text())["cases"].values()}
    edit(lambda data: data["check"].update(schema={"enum": sorted(outputs)}))
    ok("record")
    commit(tiny_model)
    edit(lambda data: data["generate"].update(seed=5))  # of greedy outputs: they stay the same
    ok("record")
    assert gate()["untrue"] == []

    forge(path, "recorded", "serves")
    [line] = gate()["untrue"]
    assert "has 98.3 %, and the gate finds 100.0 %: another result in 1 of 60 cases (c007); record it again" in line


def test_a_list_of_near_cases_that_nothing_here_can_check_waits_for_approval_above_a_tenth(desk, tiny_model):
    commit(tiny_model)
    says_near(tiny_model, 6)
    assert gate()["modified"] == []

    says_near(tiny_model, 7)
    found = gate()

    [line] = found["modified"]
    assert line.startswith(f"{T}: 7 of 60 cases are near by this change's own record (adapters/x, list ")
    assert not found["passes"]
    assert gate(f"--approve={found['approve']}")["approved"]

    says_near(tiny_model, 8)
    assert not gate(f"--approve={found['approve']}")["approved"]


def test_a_list_that_the_branch_has_does_not_wait_again(desk, tiny_model):
    commit(tiny_model)
    says_near(tiny_model, 30)
    git("add", "-A")
    git("commit", "-qm", "adapter")
    git("branch", "-f", "main")

    assert gate()["modified"] == []

    write_trained(Path("adapters/x"), load_base(tiny_model), r=2)
    assert len(gate()["modified"]) == 1, "the list is of other weights"


def test_without_a_branch_the_gate_only_says_so(desk, tiny_model):
    commit(tiny_model)
    says_near(tiny_model, 30)

    done = invoke("gate", "--adapter=adapters/x")

    [first, *_] = done.stdout.splitlines()
    assert "30 of 60 cases of desk/triage are near by this change's own record." in done.stdout, first


def test_near_cases_that_the_list_leaves_out_are_found_where_the_rows_are(desk, tiny_model):
    commit(tiny_model)
    says_near(tiny_model, 0, rows=[copies(9)])

    found = gate()

    assert found["modified"] == []
    [path] = [each["record"] for each in found["by_rules"] if each["record"]]
    record = read_record(Path(path))
    assert (record.near, record.near_claimed) == ({T: [each["id"] for each in CASES[:9]]}, {})


def test_a_list_that_the_rows_bear_out_never_waits(desk, tiny_model):
    commit(tiny_model)
    says_near(tiny_model, 30, rows=[copies(30)])
    assert gate()["modified"] == []

    Path("rows.jsonl").write_text(Path("rows.jsonl").read_text().replace("ticket", "Ticket"))
    [line] = gate()["modified"]
    assert "30 of 60 cases are near by this change's own record" in line


@pytest.fixture
def on_another_base(desk, tiny_model, tied_model) -> Path:
    """A change to an adapter on another base, whose record, at this path, it brings and does not put in service."""
    edit(lambda data: data["check"].update(schema={"pattern": "^(?!another)"}))
    ok("record")
    commit(tiny_model)
    write_trained(Path("adapters/x"), load_base(tied_model))
    Path("pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{tied_model}"\n')
    known = set(Path("baselines/ledger").glob("*.json"))
    ok("record")
    for event in set(Path("baselines/ledger").glob("*.json")) - known:
        if json.loads(event.read_text())["kind"] == "serves":
            event.unlink()
    [path] = Path("baselines").glob("tied-*/desk/triage.json")
    return path


def test_the_record_of_a_base_that_is_not_in_service_is_what_the_gate_finds_too(on_another_base):
    assert gate()["untrue"] == []

    forge(on_another_base, "recorded")
    [line] = gate()["untrue"]
    assert "another result in 1 of 60 cases (c007); record it again" in line


def test_a_new_record_of_a_model_that_nothing_here_runs_cannot_be_checked(on_another_base, tiny_model):
    Path("pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{tiny_model}"\n')
    write_trained(Path("adapters/x"), load_base(tiny_model))

    [line] = gate()["untrue"]
    assert "is of another configuration than this change runs" in line
