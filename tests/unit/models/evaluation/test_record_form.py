"""The file of a record that has everything: it keeps the values of the form before, and from now on its bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped
from tunegate.harness.models.evaluation.record import read_record

GOLDEN = ROOT / "tests/golden/record.json"
BEFORE = ROOT / "tests/data/records/second_form.json"
ALIKE = {"n": 0, "same": 0, "constant": 0, "expected": ""}


def converted(before: dict[str, Any]) -> dict[str, Any]:
    """The third form: each part of a record under its name, and verdicts whole."""
    who = {name: before["fingerprint"].pop(name) for name in ("questions", "configurations", "scorers")}
    for unit, verdict in before["verdicts"].items():
        verdict |= {"unit": unit, "falls": [], "alike": ALIKE}  # before only in its remarks
    results = [one for each in before["cases"].values() for one in (each, *each.get("repeats", ()))]
    for fields in (each["fields"] for each in results if "fields" in each):
        fields |= {name: [*counts[:3], counts[3:]] for name, counts in fields.items() if counts[3:]}
    return before | who | {"schema_version": 3}


@pytest.mark.golden
def test_a_record_of_the_form_before_has_equal_values_in_this_one(tmp_path):
    path, new = tmp_path / "record.json", converted(json.loads(BEFORE.read_text()))
    path.write_text(json.dumps(stamped({key: each for key, each in new.items() if key != "digest"})))
    written = read_record(path).write(tmp_path / "again.json").path
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        GOLDEN.write_bytes(written.read_bytes())

    assert json.loads(written.read_text()) == json.loads(path.read_text())
    assert written.read_bytes() == GOLDEN.read_bytes(), "`make golden`, then read the diff"


def test_what_is_read_and_written_again_has_the_same_bytes(tmp_path):
    assert read_record(GOLDEN).write(tmp_path / "again.json").path.read_bytes() == GOLDEN.read_bytes()


def forged(path: Path, *where: str, value: Any) -> Path:
    """The golden record with another value at a place, stamped as if it were written so."""
    data = json.loads(GOLDEN.read_text())
    del data["digest"]
    part = data
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    path.write_text(json.dumps(stamped(data)))
    return path


T = "desk/triage"


@pytest.mark.parametrize(("where", "value", "found"), [
    # a number with a point is an integer to a schema, and none to a type
    (("verdicts", T, "n"), 4.0, r"Expected `int`, got `float` - at `\$\.verdicts\[\.\.\.\]\.n`"),
    (("verdicts", T, "unit"), "desk/other", "a verdict on desk/other as that on desk/triage"),
    # what stands in no file is not read from one
    (("shared",), {T: []}, "'shared' was unexpected"),
    (("adopted",), "trusted", "'trusted' is not one of"),
    (("path",), "/etc/passwd", "'path' was unexpected"),
    (("cases", f"{T}/c001", "findings", ), [{"rule": "a", "message": "b", "source": "x:1"}], "'source' was unexpected"),
])  # fmt: skip
def test_a_value_that_no_run_writes_is_refused(tmp_path, where, value, found):
    with pytest.raises(Refused, match=found):
        read_record(forged(tmp_path / "record.json", *where, value=value))
