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
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.core.reading import MOST_BYTES, MOST_MISTAKES, NotJson, mistake_finder, open_file, parse_json
from tunegate.harness.evaluation.record import Record, Result
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

    `prompt` holds roles and texts, `texts` the texts whose likelihood is scored instead. `sources`
    are the sources of its findings, in order; empty for a finding without one.
    """

    file: str
    line: int
    expect: Any = None
    prompt: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    before: Mapping[str, Before] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


REQUIRED = ("file", "line", "expect")  # in each line; other values are left out if they are empty
_A_SIDECAR = "the sidecar of a record (JSONL)"


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
        f"{json.dumps(_line(key, each), ensure_ascii=True, allow_nan=False)}\n" for key, each in contexts.items()
    )  # fmt: skip


def _line(key: str, context: CaseContext) -> dict[str, Any]:
    values = {each.name: getattr(context, each.name) for each in fields(context)}
    values["before"] = {name: asdict(each) for name, each in context.before.items()}
    return {"case": key} | {name: value for name, value in values.items() if value or name in REQUIRED}


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
        handle = open_file(path, _A_SIDECAR)
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
            raise Unreadable(path, "a case of a sidecar", "; ".join(mistakes), line=number)
        yield data["case"], _context(data)


def _context(data: Mapping[str, Any]) -> CaseContext:
    before = data.get("before", {})
    return CaseContext(
        data["file"], data["line"], data["expect"],
        prompt=tuple((role, text) for role, text in data.get("prompt", ())),
        texts=tuple(data.get("texts", ())), tags=data.get("tags", {}), critical=data.get("critical", False),
        before={name: Before(each["passed"], each["score"], each["output"]) for name, each in before.items()},
        sources=tuple(data.get("sources", ())),
    )  # fmt: skip
