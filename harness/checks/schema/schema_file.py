"""The schema of a fixture file: read, and refused with every mistake in it, before any model is loaded.

References stay inside the schema's own file, patterns can be checked here, and checking with it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.utf8 import read_utf8
from tunegate.harness.authoring.validation import did_you_mean
from tunegate.harness.authoring.yaml_reader import part, read_yaml
from tunegate.harness.checks.schema.dialects import DRAFTS, Dialects, draft_named
from tunegate.harness.checks.schema.json_reader import read_json_text, show_json
from tunegate.harness.checks.schema.keyword_places import KeywordPlaces
from tunegate.harness.checks.schema.lint import dialect_notes, schema_typos, warn_once
from tunegate.harness.checks.schema.validator import LIMIT, violations
from tunegate.harness.checks.schema.walk import Walk, invalid
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem, show_path

UNFORESEEN = "a schema that can be judged with"


@dataclass(frozen=True)
class SchemaFile:
    """A schema that can be judged with, its places, and what in it is allowed and probably not meant."""

    schema: Mapping[str, Any]
    places: KeywordPlaces
    warnings: tuple[LintWarning, ...] = ()


def read_schema(schema: Any, document: Document, where: Where) -> SchemaFile:
    """The schema that stands at `where` in `document`, or in the file whose path stands there.

    Raises:
        AuthoringError: no such file, not JSON or YAML, not a valid schema of a known draft, a reference that leaves
            the file or leads nowhere, a pattern that is none, a schema that cannot be judged with.
    """
    if isinstance(schema, str):
        path = document.path.parent / schema
        if not path.is_file():
            there = [each.name for each in path.parent.glob("*.*")] if path.parent.is_dir() else []
            found = f"no file {show_path(path)}"
            hint = did_you_mean(path.name, there)
            raise AuthoringError([document.problem(where, "the path of a schema file", found, hint)])
        document, where = _read_json(path) if path.suffix == ".json" else read_yaml(path), ()
        schema = document.data
    try:
        return _checked(schema, document, where)
    except RecursionError:
        problem = document.problem(where, "a schema of a few levels", "nesting without end")
        raise AuthoringError([problem]) from None
    except AuthoringError:
        raise
    except Exception as error:  # of a library, which nobody foresaw: what cannot be judged with may not pass
        found = f"one at which its library breaks ({type(error).__name__}: {str(error)[:100]})"
        hint = "leave parts of it out to find which, and please report it"
        raise AuthoringError([document.problem(where, UNFORESEEN, found, hint)]) from error


_TRAILING = re.compile(r",\s*[}\]]")


def _read_json(path: Path) -> Document:
    """JSON, and its lines as YAML counts them: YAML reads nearly all JSON, but not tabs."""
    text = read_utf8(path)
    read = read_json_text(text)
    if "\t" not in text and {flaw.rule for flaw in read.findings} == {"json.duplicate-key"}:
        read_yaml(path)  # refuses them too, and names their lines
    if read.findings:
        hint = "JSON has no comma after the last entry" if _TRAILING.search(text) else ""
        problems = [Problem(path, read.line, flaw.path, "JSON", flaw.message, hint) for flaw in read.findings]
        raise AuthoringError(
            [replace(problem, found=problem.found.replace("not JSON", "a mistake", 1)) for problem in problems]
        )
    try:
        return Document(path, read.value, read_yaml(path).lines)
    except AuthoringError:
        return Document(path, read.value, {})


def _checked(schema: Any, document: Document, where: Where) -> SchemaFile:
    _raise(_unfit(schema, document, where))
    dialects = Dialects.of(schema)
    _raise(
        problem
        for place, draft, resource in dialects.resources(schema)
        for problem in invalid(resource, document, (*where, *place), draft)
    )
    settled = dialects.settled(schema)
    walk = Walk(settled, document, where, dialects.whole)
    _raise(walk.problems())
    _raise(_endless(settled, document, where))
    once = warn_once([*dialect_notes(schema, dialects, where), *walk.notes], document)
    return SchemaFile(
        settled, KeywordPlaces(settled, part(document, where, settled)),
        (*schema_typos(schema, document, where), *once),
    )  # fmt: skip


def _raise(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise AuthoringError(found)


def _unfit(schema: Any, document: Document, where: Where) -> list[Problem]:
    """What keeps `schema` from being looked into."""
    if not isinstance(schema, dict):
        return [document.problem(where, "a JSON Schema (a mapping)", show_json(schema))]
    if "$schema" in schema and draft_named(schema["$schema"]) is None:
        expected = f"one of {', '.join(DRAFTS)}"
        hint = "name the draft that it is written in"
        return [document.problem((*where, "$schema"), expected, show_json(schema["$schema"]), hint)]
    return []


def _endless(schema: Mapping[str, Any], document: Document, where: Where) -> Iterator[Problem]:
    """A schema that cannot even check the simplest answers, because it refers to itself or doubles."""
    # by trying: whether a schema ends depends on what its references and alternatives come to
    simplest: list[Any] = [None, {}, [], "", 0]
    for finding in chain.from_iterable(violations(schema, value) for value in simplest):
        if finding.rule == LIMIT:
            yield document.problem(where, "a schema that comes to an end", finding.message)
