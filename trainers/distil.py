"""Distillation: a teacher generates outputs for a task's inputs; those that pass the task's checks become rows.

With samples, each input is asked several times, and a passing and a failing output of one input can become a pair.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import ASSISTANT, chat_message, output_turn
from tunegate.harness.cases.model import Task
from tunegate.harness.cases.rewarding import rewarding_check
from tunegate.harness.checks.outputs.message import Message, read_output
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.files import digest, file_digest, stamped, text_digest, write_atomically, write_json
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.typed import as_data
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.backends import REPLAY, backend_of
from tunegate.harness.models.cache import Cached, Run, Store, store_path
from tunegate.harness.models.model_options import (
    CACHE_MEGABYTES,
    ModelOptions,
    RungName,
)
from tunegate.harness.models.prompts import WITH_SHOTS
from tunegate.harness.models.replay import Replay, read_replay
from tunegate.harness.rows.examples import Example, read_row_inputs
from tunegate.trainers.data.asked_rows import asked_rows
from tunegate.trainers.data.teacher import read_teacher, teacher_path
from tunegate.trainers.data.validation import all_failures, grade, why_not_graded

#: Prompting strategies whose output can be used as it is, and that need only an input.
TEACHABLE: tuple[RungName, ...] = ("as-is", "constrained", "few-shot", "few-shot-constrained")
NO_OUTPUT, CUT, FAILS = "no output", "cut at max_new_tokens", "fails the task's own checks"
REPEATS = "repeats another sample of its input"
ROWS = ".jsonl"  # with one suffix for all, each file of rows has a teacher's record of its own


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many outputs are sampled per input, at least 2, and at which temperature.

    The number of a sample, its input and the unit's `seed` decide how it is drawn.
    """

    count: int
    temperature: float


@dataclass(frozen=True)
class Asking:
    """The inputs for a teacher: each line of the files verbatim, as a row without an output, and as requests.

    There is one request per row or, with `sampling`, one per sample.
    """

    task: Task
    files: Sequence[Path]
    lines: Sequence[Mapping[str, Any]]
    rows: Sequence[Example]
    requests: Sequence[Request]
    rung: RungName = "as-is"
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output for an input's line, as a row, with the number of its sample; `why` and `findings` if it is dropped."""

    line: Mapping[str, Any]
    row: Example
    sample: int
    why: str = ""
    findings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A line of the file of dropped outputs."""
        return {
            "input": self.row.place, "unit": self.row.unit, "output": self.row.output, "why": self.why,
            "findings": list(self.findings), **({"sample": self.sample} if self.sample else {}),
        }  # fmt: skip

    def _turn(self) -> dict[str, Any]:
        if not self.row.tools:
            return {"role": ASSISTANT, "content": self.row.output}
        return chat_message(*output_turn(self.row.output, self.row.messages))

    def as_row(self) -> dict[str, Any]:
        """A line of the file of rows."""
        if "messages" in self.line:
            earlier = self.line["messages"]
            if self.row.tools:  # read as a chat, of which each turn would be trained on
                earlier = [{**each, "weight": 0} if each["role"] == ASSISTANT else each for each in earlier]
            return {**self.line, "messages": [*earlier, self._turn()]}
        return {**self.line, "output": self.row.output}


@dataclass(frozen=True)
class Distilled:
    """What was made from a teacher's outputs: rows and pairs, as JSON lines, what was dropped, and what is unscored."""

    inputs: Asking
    teacher: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    pairs: Sequence[Mapping[str, Any]]
    dropped: Sequence[Output]
    not_scored: Mapping[str, str]

    def render(self) -> Iterator[str]:
        """Yield the lines of a summary."""
        inputs, sampling = self.inputs, self.inputs.sampling
        what = "samples" if sampling else "outputs"
        yield f"{len(self.lines)} of {len(inputs.requests)} {what} of {self.teacher['name']} become rows"
        if sampling:
            yield (
                f"  sampled: {sampling.count} per input at temperature {sampling.temperature:g}, with fixed seeds; "
                f"pairs of a passing and a failing sample of one input: {len(self.pairs)}"
            )
        for why, count in Counter(each.why for each in self.dropped).items():
            yield f"  dropped: {count}, {why}"
        for unit, what in self.not_scored.items():
            yield f"  {unit}: not scored: {what}"


def prepare_inputs(
    task: Task, files: Sequence[Path], rung: RungName = "as-is", sampling: Sampling | None = None
) -> Asking:
    """Read the inputs of files, each with the suites' request for it under a prompting strategy, or its samples.

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
    requests = [one for each in asked_rows(rows, task, rung) for one in _sampled(each.request, sampling)]
    return Asking(task, files, [line for line, _ in found], rows, requests, rung, sampling)


def _sampled(request: Request, sampling: Sampling | None) -> list[Request]:
    if sampling is None:
        return [request]
    decoding = replace(request.decoding, temperature=sampling.temperature)
    return [replace(request, decoding=decoding, repeat=number) for number in range(sampling.count)]


def open_teacher(name: str, inputs: Asking, watch: Watch, options: ModelOptions, adapter: Path | None = None) -> Model:
    """Open the teacher that `--model` names, with its adapter if it has one.

    Raises:
        AuthoringError: recorded outputs with a wrong or missing digest.
        Refused, CouldNotRun: there is no such model, or it cannot run.
    """
    backend = backend_of(name)
    if adapter and not backend.has_weights:
        raise Refused(f"--adapter: expected a local model with it, found {name}, which holds its adapters itself")
    if backend.is_supplied:
        called, path = REPLAY.split(name)
        asked = dict.fromkeys((request.key for request in inputs.requests), 0)
        replayed = read_replay(path, asked, called, asked="an input, FILE:LINE")
        _check_digests(replayed, inputs)
        return replayed
    return backend.open(name, watch, options, inputs.rung, adapter)


def _check_digests(replayed: Replay, inputs: Asking) -> None:
    wanted = {(request.key, request.repeat): request.digest for request in inputs.requests}
    problems = [
        Problem(
            replayed.path, source.line, "digest", f"the digest of {key}'s current request", source.digest[:8] or "none",
            "write the requests with tunegate distil TASK INPUTS.jsonl --prompts, and copy each digest",
        )
        for (key, repeat), source in replayed.sources.items() if source.digest != wanted.get((key, repeat))
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)


def distil_rows(inputs: Asking, teacher: Model, watch: Watch, fresh: bool = False) -> Distilled:
    """Generate the teacher's outputs and score them; cached outputs are reused unless `fresh`.

    Raises:
        Refused: no output passes.
        CouldNotRun: the teacher cannot run.
    """
    made = list(_without_repeats(_outputs(inputs, _ask(inputs, teacher, watch, fresh))))
    grades = grade([each.row for each in made if not each.why], inputs.task, watch)
    failed = {id(each.row): tuple(str(finding) for finding in each.findings) for each in all_failures(grades)}
    made = [
        replace(each, why=FAILS, findings=failed[id(each.row)]) if id(each.row) in failed else each for each in made
    ]
    kept, dropped = [each for each in made if not each.why], [each for each in made if each.why]
    if not kept:
        first = f"; the first: {dropped[0].why} ({dropped[0].row.place})"
        raise Refused(f"expected an output that passes the task's checks, found none of {len(made)}{first}")
    not_scored = {unit.name: unit.not_scored for unit in grades if unit.not_scored}
    by_input = groupby(made, key=lambda each: each.row.place)
    pairs = [line for _, own in by_input for line in _pairs(list(own))]
    return Distilled(inputs, _who(teacher, inputs), [each.as_row() for each in kept], pairs, dropped, not_scored)


def _ask(inputs: Asking, teacher: Model, watch: Watch, fresh: bool) -> dict[tuple[str, int], Completion]:
    with closing(Store(store_path(), CACHE_MEGABYTES)) as store:
        run = Run(uuid.uuid4().hex) if fresh else None
        model = teacher if isinstance(teacher, Replay) else Cached(teacher, store, run=run)
        with watch(f"Asking {_name(teacher.fingerprint)}", len(inputs.requests)) as done:
            found = {}
            for output in model.complete(inputs.requests):
                found[output.key, output.repeat] = output
                done(1)
    return found


def _outputs(inputs: Asking, completions: Mapping[tuple[str, int], Completion]) -> Iterator[Output]:
    """Yield the outputs by input and sample; those that are empty or cut are dropped."""
    for line, row in zip(inputs.lines, inputs.rows, strict=True):
        for number in range(inputs.sampling.count if inputs.sampling else 1):
            found = completions.get((row.place, number))
            # A model would learn surrounding white space, which checks ignore. An unpaired surrogate cannot be encoded.
            text = (found.output or "").strip().encode("utf-8", "replace").decode() if found else ""
            text = "" if row.tools and _is_nothing(text) else text
            cut = CUT if found and found.finish == "length" else ""
            yield Output(line, replace(row, output=text), number, cut if text else NO_OUTPUT)


def _without_repeats(outputs: Iterable[Output]) -> Iterator[Output]:
    seen: set[tuple[str, str]] = set()
    for each in outputs:
        known = (each.row.place, each.row.output) in seen
        seen.add((each.row.place, each.row.output))
        yield replace(each, why=REPEATS) if known and not each.why else each


def _pairs(outputs: Sequence[Output]) -> Iterator[dict[str, Any]]:
    """Yield pairs of a passing and a failing output of one input, as preference rows; each output is in one at most."""
    passing, failing = ([each for each in outputs if each.why == why] for why in ("", FAILS))
    for chosen, rejected in zip(passing, failing, strict=False):
        differ = chosen.row.output.split() != rejected.row.output.split()  # rows refuse two that differ in spaces only
        if differ and _can_be_written(rejected.row):
            yield chosen.as_row() | {"rejected": rejected.row.output}


def _can_be_written(row: Example) -> bool:
    """Whether an output can be a row: with tools, all its calls are calls."""
    return not (row.tools and read_output(row.output).flaws)


def _is_nothing(text: str) -> bool:
    """Whether an output of a request with tools has neither text nor a call."""
    return read_output(text) == Message()


def _who(teacher: Model, inputs: Asking) -> dict[str, Any]:
    who, outputs = teacher.fingerprint, teacher.path if isinstance(teacher, Replay) else None
    given = {"outputs": file_digest(outputs)} if outputs else {}
    subject, asked = {**who.subject, **given}, {row.unit for row in inputs.rows}
    sampled = {"samples": inputs.sampling.count, "temperature": inputs.sampling.temperature} if inputs.sampling else {}
    return {
        "name": _name(who), "digest": digest(subject), "subject": subject, "engine": dict(who.engine),
        "rung": inputs.rung, **sampled,
        "selected": [as_data(rewarding_check(unit)) for unit in inputs.task.units if unit.name in asked],
    }  # fmt: skip


def _name(who: Fingerprint) -> str:
    model, adapter = str(who.names.get("model") or who.subject["model"]), who.names.get("adapter")
    return f"{model} with {show_path(Path(adapter))}" if adapter else model


def pairs_path(rows: Path) -> Path:
    """The path of the preference pairs that are written next to rows."""
    return rows.with_suffix(".pairs.jsonl")


def write_distilled(path: Path, found: Distilled, pairs: bool = False) -> dict[str, Path]:
    """Write the dropped outputs and the teacher's record next to `path`, then the rows, and the pairs if asked for.

    Pairs are a file of rows with a teacher's record of their own; without a pair there is none.

    Returns:
        The written files by what they hold.

    Raises:
        Refused: as in `check_rows`.
    """
    beside = pairs_path(path)
    for each in (path, beside) if pairs else (path,):
        check_rows(each)
        each.unlink(missing_ok=True)  # so that a kill never pairs one teacher's rows with another teacher's record
    dropped = path.with_suffix(".dropped.jsonl")
    write_atomically(dropped, _json_lines([each.as_dict() for each in found.dropped]))
    if pairs and found.pairs:
        _write_rows(beside, found, found.pairs)
    _write_rows(path, found, found.lines)
    return {
        "rows": path, **({"pairs": beside} if beside.exists() and pairs else {}), "teacher": teacher_path(path),
        "dropped": dropped,
    }  # fmt: skip


def _write_rows(path: Path, found: Distilled, lines: Sequence[Mapping[str, Any]]) -> None:
    text = _json_lines(lines)
    write_json(teacher_path(path), stamped({
        "schema_version": 1,
        "teacher": dict(found.teacher),
        "task": found.inputs.task.name,
        "inputs": [{"file": show_path(file), "sha256": file_digest(file)} for file in found.inputs.files],
        "asked": len(found.inputs.requests),
        "kept": len(lines),
        "dropped": dict(Counter(each.why for each in found.dropped)),
        "rows": text_digest(text),
    }))  # fmt: skip
    write_atomically(path, text)


def check_rows(path: Path) -> None:
    """Refuse to replace rows that were written or edited by hand, or the teacher's record of other rows.

    Raises:
        Refused: the file holds such rows, or does not end in .jsonl, so that it could share a record.
    """
    if path.suffix != ROWS:
        raise Refused(
            f"{show_path(path)}: expected a name that ends in {ROWS}, found {path.name!r}; name another --output"
        )
    if path.exists() and read_teacher(path).get("teacher", {}).get("edited", True):
        raise Refused(
            f"{show_path(path)}: expected no file, or unedited rows from tunegate distil, found other rows; name "
            "another --output"
        )


def _json_lines(lines: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
