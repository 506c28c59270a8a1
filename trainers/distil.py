"""Distillation: a teacher generates outputs for a task's inputs; those that pass the task's checks become rows."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import ASSISTANT
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.files import digest, file_digest, stamped, text_digest, write_atomically, write_json
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.cache import Cached, Run, Store, store_path
from tunegate.harness.models.model_options import (
    CACHE_MEGABYTES,
    REPLAY,
    ModelOptions,
    RungName,
    is_opaque,
    split_replay,
)
from tunegate.harness.models.opening import open_model, open_opaque
from tunegate.harness.models.prompts import WITH_SHOTS
from tunegate.harness.models.replay import Replay, read_replay
from tunegate.trainers.data.asked_rows import asked_rows
from tunegate.trainers.data.examples import Example, read_row_inputs
from tunegate.trainers.data.teacher import read_teacher, teacher_path
from tunegate.trainers.data.validation import all_failures, grade, why_not_graded

#: Prompting strategies whose output can be used as it is, and that need only an input.
TEACHABLE: tuple[RungName, ...] = ("as-is", "constrained", "few-shot", "few-shot-constrained")
NO_OUTPUT, CUT, FAILS = "no output", "cut at max_new_tokens", "fails the task's own checks"


@dataclass(frozen=True)
class Asking:
    """The inputs for a teacher: each line of the files verbatim, as a row without an output, and as a request."""

    task: Task
    files: Sequence[Path]
    lines: Sequence[Mapping[str, Any]]
    rows: Sequence[Example]
    requests: Sequence[Request]
    rung: RungName = "as-is"


@dataclass(frozen=True, slots=True)
class Dropped:
    """An output that does not become a row, and why."""

    row: Example
    why: str
    findings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A line of the file of dropped outputs."""
        return {
            "input": self.row.place, "unit": self.row.unit, "output": self.row.output, "why": self.why,
            "findings": list(self.findings),
        }  # fmt: skip


@dataclass(frozen=True)
class Distilled:
    """The rows made from a teacher's outputs, as JSON lines, the dropped outputs, and what no check could score."""

    inputs: Asking
    teacher: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    dropped: Sequence[Dropped]
    not_scored: Mapping[str, str]

    def render(self) -> Iterator[str]:
        """Yield the lines of a summary."""
        yield f"{len(self.lines)} of {len(self.inputs.rows)} outputs of {self.teacher['name']} become rows"
        for why, count in Counter(each.why for each in self.dropped).items():
            yield f"  dropped: {count}, {why}"
        for unit, what in self.not_scored.items():
            yield f"  {unit}: not scored: {what}"


def prepare_inputs(task: Task, files: Sequence[Path], rung: RungName = "as-is") -> Asking:
    """Read the inputs of files, each with the suites' request for it under a prompting strategy.

    Raises:
        AuthoringError: lines that are not valid inputs.
        Refused: a unit whose check cannot score an output without `expect`, or a strategy that inputs do not support.
    """
    if rung not in TEACHABLE:
        raise Refused(
            f"--rung: expected one of {', '.join(TEACHABLE)}, found {rung}: inputs have no passage, and rows no steps"
        )
    found = read_row_inputs(files, task)
    rows = [row for _, row in found]
    asked = {row.unit for row in rows}
    wrong = [f"{unit.name}: {why}" for unit in task.units if unit.name in asked and (why := why_not_graded(unit))]
    if wrong:
        raise Refused(
            "expected inputs of units whose check can score an output by itself, found others, whose outputs would "
            f"go unchecked: {'; '.join(wrong)}"
        )
    lacking = [unit.key for unit in task.units if unit.name in asked and rung in WITH_SHOTS and not unit.shots]
    if lacking:
        raise Refused(
            f"--rung {rung}: expected `shots:` in the fixture file of each unit, found none in {listed(lacking)}"
        )
    requests = [each.request for each in asked_rows(rows, task, rung)]
    return Asking(task, files, [line for line, _ in found], rows, requests, rung)


def open_teacher(name: str, inputs: Asking, watch: Watch, options: ModelOptions) -> Model:
    """Open the teacher that `--model` names.

    Raises:
        AuthoringError: recorded outputs with a wrong or missing digest.
        Refused, CouldNotRun: there is no such model, or it cannot run.
    """
    if name.startswith(REPLAY):
        called, path = split_replay(name)
        asked = dict.fromkeys((request.key for request in inputs.requests), 0)
        replayed = read_replay(path, asked, called, asked="an input, FILE:LINE")
        _check_digests(replayed, inputs)
        return replayed
    if is_opaque(name):
        return open_opaque(name, watch, options, inputs.rung)
    return open_model(name, watch, rung=inputs.rung, options=options)


def _check_digests(replayed: Replay, inputs: Asking) -> None:
    wanted = {request.key: request.digest for request in inputs.requests}
    problems = [
        Problem(
            replayed.path, source.line, "digest", f"the digest of {key}'s current request", source.digest[:8] or "none",
            "write the requests with tunegate distil TASK INPUTS.jsonl --prompts, and copy each digest",
        )
        for (key, _), source in replayed.sources.items() if source.digest != wanted[key]
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)


def distil_rows(inputs: Asking, teacher: Model, watch: Watch, fresh: bool = False) -> Distilled:
    """Generate the teacher's outputs and score them; cached outputs are reused unless `fresh`.

    Raises:
        Refused: no output passes.
        CouldNotRun: the teacher cannot run.
    """
    outputs = _ask(inputs, teacher, watch, fresh)
    completed = [_with(row, outputs.get(row.place)) for row in inputs.rows]
    dropped = [found for row in completed if (found := _unusable(row, outputs.get(row.place)))]
    gone = {each.row.place for each in dropped}
    grades = grade([row for row in completed if row.place not in gone], inputs.task, watch)
    dropped += [
        Dropped(each.row, FAILS, tuple(str(finding) for finding in each.findings)) for each in all_failures(grades)
    ]
    gone = {each.row.place for each in dropped}
    kept = [(line, row) for line, row in zip(inputs.lines, completed, strict=True) if row.place not in gone]
    if not kept:
        first = f"; the first: {dropped[0].why} ({dropped[0].row.place})"
        raise Refused(f"expected an output that passes the task's checks, found none of {len(completed)}{first}")
    not_scored = {unit.name: unit.not_scored for unit in grades if unit.not_scored}
    lines = [_line(line, row.output) for line, row in kept]
    return Distilled(inputs, _who(teacher, inputs.rung), lines, dropped, not_scored)


def _ask(inputs: Asking, teacher: Model, watch: Watch, fresh: bool) -> dict[str, Completion]:
    with closing(Store(store_path(), CACHE_MEGABYTES)) as store:
        run = Run(uuid.uuid4().hex) if fresh else None
        model = teacher if isinstance(teacher, Replay) else Cached(teacher, store, run=run)
        with watch(f"Asking {_name(teacher.fingerprint)}", len(inputs.requests)) as done:
            found = {}
            for output in model.complete(inputs.requests):
                found[output.key] = output
                done(1)
    return found


def _with(row: Example, completion: Completion | None) -> Example:
    # A model would learn surrounding white space, which checks ignore. An unpaired surrogate cannot be encoded.
    text = (completion.output or "").strip() if completion else ""
    return replace(row, output=text.encode("utf-8", "replace").decode())


def _unusable(row: Example, completion: Completion | None) -> Dropped | None:
    if not row.output:
        return Dropped(row, NO_OUTPUT)
    return Dropped(row, CUT) if completion and completion.finish == "length" else None


def _line(line: Mapping[str, Any], output: str) -> dict[str, Any]:
    if "messages" in line:
        return {**line, "messages": [*line["messages"], {"role": ASSISTANT, "content": output}]}
    return {**line, "output": output}


def _who(teacher: Model, rung: RungName) -> dict[str, Any]:
    who, outputs = teacher.fingerprint, teacher.path if isinstance(teacher, Replay) else None
    given = {"outputs": file_digest(outputs)} if outputs else {}
    subject = {**who.subject, **given}
    return {"name": _name(who), "digest": digest(subject), "subject": subject, "engine": dict(who.engine), "rung": rung}


def _name(who: Fingerprint) -> str:
    return str(who.names.get("model") or who.subject["model"])


def write_distilled(path: Path, found: Distilled) -> tuple[Path, Path]:
    """Write the dropped outputs and the teacher's record next to `path`, then the rows.

    Returns:
        The paths of the dropped outputs and of the teacher's record.

    Raises:
        Refused: the file exists and was written or edited by hand.
    """
    check_rows(path)
    path.unlink(missing_ok=True)  # so that a kill never pairs one teacher's rows with another teacher's record
    text = _json_lines(found.lines)
    dropped, teacher = path.with_suffix(".dropped.jsonl"), teacher_path(path)
    write_atomically(dropped, _json_lines([each.as_dict() for each in found.dropped]))
    write_json(teacher, stamped({
        "schema_version": 1,
        "teacher": dict(found.teacher),
        "task": found.inputs.task.name,
        "inputs": [{"file": show_path(file), "sha256": file_digest(file)} for file in found.inputs.files],
        "asked": len(found.inputs.rows),
        "kept": len(found.lines),
        "dropped": dict(Counter(each.why for each in found.dropped)),
        "rows": text_digest(text),
    }))  # fmt: skip
    write_atomically(path, text)
    return dropped, teacher


def check_rows(path: Path) -> None:
    """Refuse to replace rows that were written or edited by hand.

    Raises:
        Refused: the file holds such rows.
    """
    if path.exists() and read_teacher(path).get("teacher", {}).get("edited", True):
        raise Refused(
            f"{show_path(path)}: expected no file, or unedited rows from tunegate distil, found other rows; name "
            "another --output"
        )


def _json_lines(lines: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
