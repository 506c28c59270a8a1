"""An incident becomes a case: an input out of a log of production, with an expectation, is added to a unit's file."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.scaffold.chat_rows import ANSWER, COMPLETION, MESSAGES, PROMPT, split_messages
from tunegate.harness.begin.scaffold.task import ONE_LINE
from tunegate.harness.cases.conversation import USER, Turns, Written, joined, last_turn_problem, read_input
from tunegate.harness.cases.file import collecting, read_fixture_file
from tunegate.harness.cases.json_schemas import snapshot_schema
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.base import Check
from tunegate.harness.checks.registry import Kinds
from tunegate.harness.checks.text.near_copies import folded_text
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_append import append_item
from tunegate.harness.core.authoring.yaml_reader import parse_yaml, read_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import listed

EXPECT = Path("--expect")  # the source of a given expectation, in errors
MOST_WORDS, MOST_LETTERS = 5, 48  # of an id
_NO_ID = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Incident:
    """A line of a log: its input as in a file, its context, and the output that was wrong, if the log has it."""

    place: str
    written: Written
    context: str | None = None
    output: str | None = None

    @property
    def text(self) -> str:
        """All that a case would have of it."""
        return "\n".join(filter(None, [joined(*read_input(self.written)), self.context]))


def read_incident(log: Path, wanted: str) -> Incident:
    """Return the line of a log (JSONL) with an `id`.

    Raises:
        AuthoringError: no line has it, or several; its input has another form.
    """
    problems: list[Problem] = []
    lines = [each for each in read_json_lines(log, "a log", problems) if _id_of(each.data) == wanted]
    if len(lines) != 1:
        numbers = listed([str(each.line(())) for each in lines])
        found = f"several (lines {numbers})" if lines else "none"
        raise AuthoringError([Problem(log, 0, "", f"one line with the id {wanted!r}", found), *problems])
    return _incident(lines[0])


def _id_of(data: Any) -> str | None:
    return str(data["id"]) if isinstance(data, Mapping) and "id" in data else None


def _incident(line: Document) -> Incident:
    cells: Mapping[str, Any] = line.data
    given = cells.get("input")
    if isinstance(given, list) and any(isinstance(turn, dict) and "role" in turn for turn in given):
        cells = {**{key: cell for key, cell in cells.items() if key != "input"}, MESSAGES: given}
    cells = split_messages(cells)
    written = next((cells[key] for key in ("input", MESSAGES, PROMPT) if key in cells), None)
    found = {"input": written} | ({"context": cells["context"]} if cells.get("context") else {})
    asked = Document(line.path, {} if written is None else found, {(): line.line(())})
    wrong = validate(asked, snapshot_schema()) or list(last_turn_problem(written or "", asked, ("input",)))
    if wrong:
        raise AuthoringError(wrong)
    output = next((cells[key] for key in ("output", ANSWER, COMPLETION) if cells.get(key) is not None), None)
    text = output if isinstance(output, str | None) else json.dumps(output, ensure_ascii=False)
    return Incident(line.place(()), asked.data["input"], found.get("context"), text)


def check_unit(unit: Unit) -> None:
    """Refuse a unit whose cases are not written in its file.

    Raises:
        UsageError: it has traffic, or derives its cases, or another tool scored them.
    """
    if unit.traffic or unit.of or unit.check_kind.supplied:
        what = "of traffic" if unit.traffic else f"that has the cases of {unit.of}" if unit.of else "of another tool"
        raise UsageError(f"case: expected a unit with cases of its own, found {unit.key}, a unit {what}")


def same_case(unit: Unit, incident: Incident) -> Case | None:
    """Return the unit's case with this input and context, in any letter case and white space; None if there is none."""
    earlier, last = read_input(incident.written)
    wanted = _folded((*earlier, (USER, last)), incident.context)
    return next((case for case in unit.cases if _folded(case.turns, case.context) == wanted), None)


def _folded(turns: Turns, context: str | None) -> tuple[Any, ...]:
    return (*((role, folded_text(text)) for role, text in turns), folded_text(context or ""))


def read_expectation(unit: Unit, text: str) -> Any:
    """Return the `expect` that a text means: YAML of the form of the unit's check, the text itself, or a right output.

    Raises:
        AuthoringError: none of them is an expectation of the unit, by its own check.
    """
    value, expect_of = _as_yaml(text), unit.check_kind.expect_of
    output = expect_of(_check(unit), text) if expect_of else None
    if isinstance(value, str):  # without quotes, YAML joins its lines and cuts off what follows ` #`
        is_quoted = text.lstrip().startswith(("'", '"'))
        readings = [value, text, output] if is_quoted else [text, value, output]
    elif output == text:  # outputs are texts
        readings = [text]
    else:
        readings = [value] if value is None or isinstance(value, dict | list) else [value, text]
    first: list[Problem] = []
    for reading in readings:
        if reading is not None and not (problems := _expect_problems(unit, reading)):
            return reading
        first = first or (problems if reading is not None else [])
    raise AuthoringError(first or [Problem(EXPECT, 0, "", unit.check_kind.expect["description"], "nothing")])


def _as_yaml(text: str) -> Any:
    try:
        return parse_yaml(EXPECT, text).data
    except AuthoringError:
        return text


def _expect_problems(unit: Unit, value: Any) -> list[Problem]:
    document = Document(EXPECT, {"expect": value}, {})
    wrong = validate(document, unit.check_kind.expect, ("expect",), value)
    return wrong or _check(unit).expect_problems(value, document, ("expect",))


def _check(unit: Unit) -> Check:
    """The check of the file: that of most cases."""
    checks = {id(case.check): case.check for case in unit.cases}
    return checks[Counter(id(case.check) for case in unit.cases).most_common(1)[0][0]]


def asks_expectation(unit: Unit) -> bool:
    """Whether an expectation of a case decides anything in this unit."""
    return unit.check_kind.needs_expect or bool(unit.check_kind.by_expect)


def findings_of(unit: Unit, incident: Incident, expect: Any) -> list[str] | None:
    """Return what the unit's check finds in the log's output; None where there is none that it can score."""
    kind = unit.check_kind
    if incident.output is None or kind.texts or kind.embeds or (kind.needs_expect and expect is None):
        return None
    outcome = _check(unit)(incident.output, expect, incident.text)
    passed = outcome.score == 1.0 if outcome.passed is None else outcome.passed
    return [] if passed else [finding.message for finding in outcome.findings] or ["its score is too low"]


def case_id(unit: Unit, incident: Incident, name: str | None) -> str:
    """Return a name, or an id of the input's first words that no case of the unit has."""
    if name is not None:
        return name
    words = _NO_ID.sub(" ", read_input(incident.written)[1].lower()).split()[:MOST_WORDS]
    base = "-".join(words)[:MOST_LETTERS].strip("-") or "incident"
    taken = {case.id for case in unit.cases}
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([base], numbered) if each not in taken)


def add_case(unit: Unit, data: Mapping[str, Any], kinds: Kinds, comments: Sequence[str] = ()) -> Path:
    """Append a case to the file of the unit's last case, of which every other byte stays; return the file.

    Args:
        unit: the unit.
        data: the case as in a file.
        kinds: the kinds of check of the project.
        comments: lines written above the case.

    Raises:
        AuthoringError: the case is no valid one of the unit; nothing was written.
        Refused: the file's list of cases cannot be added to; nothing was written.
    """
    path = Path(os.path.realpath(unit.cases[-1].path))
    text = path.read_bytes().decode("utf-8")
    read_utf8(path)
    said = "".join(f"# {shown(line)}\n" for line in comments) + write_yaml([data], ONE_LINE)
    new = append_item(text, "cases", said)
    before = read_yaml(path).data
    wanted = {**before, "cases": [*before["cases"], dict(data)]}
    if new is None or not _replaced(path, new, wanted, kinds):
        by_hand = "write each case on lines of its own below `cases:`, or add this one by hand:\n"
        raise Refused(f"{show_path(path)}: expected a list of cases that can be added to; {by_hand}{said}")
    return path


def _replaced(path: Path, text: str, wanted: Any, kinds: Kinds) -> bool:
    """Put a text in a file's place if it holds the wanted data and valid cases; return whether it holds the data."""
    new = path.with_name(f".new-{path.name}")  # beside it, for its references
    try:
        write_atomically(new, text)
        if read_yaml(new).data != wanted:
            return False
        _check_file(new, path, kinds)
    finally:
        new.unlink(missing_ok=True)
    write_atomically(path, text, path.stat().st_mode & 0o777)
    return True


def _check_file(new: Path, path: Path, kinds: Kinds) -> None:
    problems: list[Problem] = []
    with collecting(problems):
        read_fixture_file(new, problems, kinds)
    if problems:
        raise AuthoringError([replace(each, file=path) if each.file == new else each for each in problems])
