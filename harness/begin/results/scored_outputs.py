"""The result file of a runner as supplied outputs: what it says of each case of a `scored` unit, and its outputs.

Results are found by what they ask and what scored it, not by their place or id: tests may move, and another question
or assertion has no result. Rows of one question are one case. Cases of other units of the task, of the same id, get
the output that the runner saw.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.begin.results.directions import LOWER, better_by_name
from tunegate.harness.begin.results.read import A_RESULT, MOST_LINE, read_results
from tunegate.harness.begin.results.samples import ResultFile, ScoredSample, brief
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.scored import UNKNOWN, ScoredCheck, Statement
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.reading import NotJson, open_file, parse_foreign_json
from tunegate.harness.models.api import Completion
from tunegate.harness.models.replay import Replay, Source, replay_fingerprint

_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")
Place = tuple[str, int]


@dataclass(frozen=True)
class ScoredOutputs:
    """What a result file holds for units, and lines on the cases without a score."""

    outputs: Replay
    notes: tuple[str, ...]


def has_scores(path: Path, units: Sequence[Unit]) -> bool:
    """Whether a file of supplied outputs is a runner's: a unit takes scores, and its first line is no output."""
    if not any(unit.check_kind.by_runner for unit in units) or not path.is_file():
        return False
    with os.fdopen(open_file(path, A_RESULT), "rb") as file:
        first = file.readline(MOST_LINE)
    try:
        value = parse_foreign_json(first.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except (NotJson, UnicodeDecodeError):
        return True
    return not (isinstance(value, dict) and isinstance(value.get("case"), str))


def column_called(name: str) -> str:
    """What a column of a result file is called in `replay:NAME=FILE`."""
    return _NO_NAME.sub("-", name).strip("-.")[:64].strip("-.")


def read_scored_outputs(path: Path, units: Sequence[Unit], name: str, rung: str) -> ScoredOutputs:
    """Read what a runner's result file holds for units; of several providers or prompts, those that `name` names.

    Raises:
        Refused: it is of another tool, version or metric than a unit names, or `name` names none of several columns.
    """
    file = _one_column(read_results(path), name)
    found: dict[str, list[ScoredSample]] = {}
    for sample in file.samples:
        found.setdefault(sample.whole_question, []).append(sample)
    completions: dict[Place, Completion] = {}
    sources: dict[Place, Source] = {}
    notes: list[str] = []
    for unit in _of_runner(file, units):
        without = []
        for case in unit.cases:
            rows = found.get(case.expect["question"], [])
            said = _statement(case, rows, file)
            if isinstance(said, str):
                without.append(f"{case.id}: {said}")
            else:
                completions[case.key, 0] = Completion(case.key, said.write())
            for other in _beside(case, unit, units, rows):
                completions[other.key, 0] = other
                sources[other.key, 0] = Source(rows[0].line, "")
        if without:
            count = quantity(len(without), "case")
            notes.append(f"{file.name}: no score for {count} of {unit.key} ({listed(without)})")
    replay = Replay(
        completions, replay_fingerprint(path, name, rung), path, sources, texts=frozenset(completions)
    )  # fmt: skip
    return ScoredOutputs(replay, tuple(notes))


def _of_runner(file: ResultFile, units: Sequence[Unit]) -> list[Unit]:
    """The units that the tool of a file scores; those of other tools have no score in it.

    Raises:
        Refused: there are none.
    """
    named = {unit.key: {case.check.runner for case in unit.cases if isinstance(case.check, ScoredCheck)}
             for unit in units if unit.check_kind.by_runner}  # fmt: skip
    found = [unit for unit in units if file.tool in named.get(unit.key, ())]
    if not found:
        runners = ", ".join(sorted({each for names in named.values() for each in names}))
        raise Refused(
            f"{file.name}: expected results of {runners}, which scores {listed(list(named))}, found results of "
            f"{file.tool}"
        )
    return found


def _one_column(file: ResultFile, name: str) -> ResultFile:
    if not file.columns:
        return file
    named = [each for each in file.columns if name and name in (each, column_called(each))]
    if len(named) == 1:
        return read_results(file.path, named[0])
    there = [f"replay:{column_called(each)}={show_path(file.path)}" for each in file.columns]
    hint = did_you_mean(name, [column_called(each) for each in file.columns]) if name else ""
    raise Refused(
        f"{show_path(file.path)}: expected one provider or prompt, found {len(file.columns)}; name one: "
        f"{listed([brief(each, 120) for each in there])}{hint and '; ' + hint}"
    )


def _statement(case: Case, rows: Sequence[ScoredSample], file: ResultFile) -> Statement | str:
    """What the runner says of a case; why it says nothing, as a text.

    Raises:
        Refused: the file is not what the check of the case names.
    """
    check = case.check
    if not isinstance(check, ScoredCheck):
        raise TypeError(f"{case.key}: {type(check).__name__}")
    _check_runner(case, check, file)
    if not rows:
        return "no result with its input and its assertions"
    scores = [row.scores.get(check.metric) for row in rows]
    if any(score is None for score in scores):
        row = rows[scores.index(None)]
        reason = row.reasons.get(check.metric) or row.reasons.get("", "")
        return f"no {brief(check.metric)}{reason and ', ' + brief(reason, 100)}"
    known = tuple(float(score) for score in scores if score is not None)
    if odd := [score for score in known if not 0 <= score <= 1]:
        raise Refused(
            f"{file.name}:{rows[0].line}: expected a {brief(check.metric)} from 0 to 1 for {case.key}, found "
            f"{odd[0]:g}; name another metric, or compare the files: tunegate compare"
        )
    passed = tuple(row.passed.get(check.metric, score == 1.0) for row, score in zip(rows, known, strict=True))
    reasons = [row.reasons.get(check.metric) or row.reasons.get("", "") for row in rows]
    return Statement(
        check.runner, check.version, check.metric, case.expect["question"], known, passed,
        next(filter(None, reasons), ""), rows[0].output,
    )  # fmt: skip


def _check_runner(case: Case, check: ScoredCheck, file: ResultFile) -> None:
    version = file.version or UNKNOWN
    where = f"{file.name}: expected"
    if file.tool != check.runner:
        raise Refused(f"{where} results of {check.runner}, which scores {case.unit}, found those of {file.tool}")
    if version != check.version:
        raise Refused(
            f"{where} results of {file.tool} {brief(check.version)}, which scores {case.unit}, found version "
            f"{brief(version)}; another version may score otherwise: write it into {case.place}, and record again"
        )
    if check.metric not in file.metrics:
        hint = did_you_mean(check.metric, file.metrics) or f"it has {brief(', '.join(file.metrics), 200)}"
        raise Refused(f"{where} the metric {brief(check.metric)} of {case.unit}, found none of that name; {hint}")
    if check.metric in file.lower or (
        check.metric not in file.higher and better_by_name(check.metric) == LOWER
    ):  # fmt: skip
        raise Refused(f"{where} a metric of which more is better for {case.unit}, found {brief(check.metric)}")


def _beside(case: Case, unit: Unit, units: Sequence[Unit], rows: Sequence[ScoredSample]) -> Iterator[Completion]:
    """The output of a case for the cases of its id in the other units of its task."""
    if len({row.output for row in rows}) != 1 or rows[0].output is None:  # of several, none is the output
        return
    for other in units:
        if other.task == unit.task and other.check_kind.asks == "generate" and not other.of:
            yield from (Completion(each.key, rows[0].output) for each in other.cases if each.id == case.id)
