"""The sidecar of a record: the prompt and expectation of each open case, its file, and the outputs of the references.

A record contains outputs and no inputs. Its sidecar, `NAME.cases.jsonl` beside `NAME.json`, contains the rest that a
reader needs, including the sources of the rules behind its findings; the record names its digest. It contains nothing
of sealed units, and no input of traffic.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.core.reading import MOST_BYTES, MOST_MISTAKES, NotJson, mistake_finder, open_file, parse_json
from tunegate.harness.core.typed import OPTIONAL, Number, as_data, read_as
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import request


@dataclass(frozen=True, slots=True)
class Before:
    """The result of a case in a reference. `passed` is that of all repeats, or on labelled traffic of the first."""

    passed: bool | None
    score: float | None
    output: str | None


@dataclass(frozen=True, slots=True)
class CaseContext:
    """The facts about a case that a record lacks.

    Attributes:
        file: the fixture file, as the run named it.
        expect: what the check expects of the output.
        prompt: the messages, each a role and a text.
        texts: those whose likelihood is scored instead.
        before: by reference, the result of its output.
        sources: the place of the rule behind each of its findings, in order, as FILE:LINE, or empty.
    """

    file: str
    line: Number
    expect: Any = None
    prompt: tuple[tuple[str, str], ...] = field(default=(), metadata=OPTIONAL)
    texts: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    tags: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)
    critical: bool = field(default=False, metadata=OPTIONAL)
    before: Mapping[str, Before] = field(default_factory=dict, metadata=OPTIONAL)
    sources: tuple[str, ...] = field(default=(), metadata=OPTIONAL)


A_SIDECAR, A_CASE = "the sidecar of a record (JSONL)", "a case of a sidecar"


def sidecar_path(record: Path) -> Path:
    """Return the path of a record's sidecar, beside it."""
    return record.with_name(f"{record.stem}.cases.jsonl")


def case_contexts(
    units: Iterable[Unit], rung: RungName, references: Mapping[str, Record], results: Mapping[str, Result]
) -> Iterator[tuple[str, CaseContext]]:
    """Yield the context of each case of the open units by key; `results` were scored here, with their sources."""
    for unit in units:
        for case in unit.cases if not unit.sealed else ():
            yield case.key, _context_of(unit, case, rung, references, results[case.key])


def _context_of(
    unit: Unit, case: Case, rung: RungName, references: Mapping[str, Record], result: Result
) -> CaseContext:  # fmt: skip
    asked = None if unit.of or unit.traffic else request(unit, case, rung)
    before = {
        # the gate compares first outputs with labels, and people must be asked about the same ones
        name: Before(known.first.passed if unit.labels else known.passed, known.score, known.output)
        for name, reference in references.items()
        if (known := reference.cases.get(case.key))
    }
    return CaseContext(
        case.place.rpartition(":")[0], case.line, case.expect, asked.messages if asked else (),
        asked.texts if asked else (), case.tags, case.critical, before, _sources(result),
    )  # fmt: skip


def sidecar_text(contexts: Mapping[str, CaseContext]) -> str:
    """Return one line of JSON per case."""
    return "".join(
        f"{json.dumps({'case': key} | as_data(each), ensure_ascii=True, allow_nan=False)}\n"
        for key, each in contexts.items()
    )  # fmt: skip


def _sources(result: Result) -> tuple[str, ...]:
    sources = tuple(each.source for each in result.missed.findings)
    return sources if any(sources) else ()


def write_with_sidecar(record: Record, text: str, path: Path) -> Record:
    """Write the sidecar, then the record, so that an existing record is complete."""
    write_atomically(sidecar_path(path), text)
    return record.write(path)


def copy_with_sidecar(record: Record, path: Path) -> Record:
    """Copy the file of a record and its sidecar, the sidecar first."""
    kept = record.path or path
    for source, target in ((sidecar_path(kept), sidecar_path(path)), (kept, path)):
        with source.open(encoding="utf-8", newline="\n") as lines:
            write_atomically(target, lines)
    return record.at(path)


@no_collection()
def read_sidecar(record: Record) -> dict[str, CaseContext]:
    """Read the contexts of a record's cases from its sidecar, by key; empty if there is no sidecar.

    Refused if the sidecar is not the one that the record names, or is unreadable.
    """
    path = sidecar_path(record.path) if record.path and record.sidecar else None
    if path is None:
        return {}
    try:
        handle = open_file(path, A_SIDECAR)
    except Unreadable as error:
        if error.is_missing:
            return {}
        raise
    with os.fdopen(handle, "rb") as file:  # line by line: with many long prompts it is larger than any record
        if hashlib.file_digest(file, "sha256").hexdigest() != record.sidecar:
            raise Refused(
                f"{show_path(path)}: expected the sidecar that the record names, found another one; evaluate again"
            )
        file.seek(0)
        return dict(_contexts(path, file))


def _contexts(path: Path, file: BinaryIO) -> Iterator[tuple[str, CaseContext]]:
    mistakes_of = mistake_finder(published_schema("sidecar"))
    for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES), b""), start=1):
        try:
            data = parse_json(line.decode())
        except (NotJson, UnicodeDecodeError) as error:
            raise Unreadable(path, "one JSON object per line", str(error), line=number) from None
        if mistakes := mistakes_of(data, MOST_MISTAKES):
            raise Unreadable(path, A_CASE, "; ".join(mistakes), line=number)
        yield data["case"], read_as(data, CaseContext, path, A_CASE, number)
