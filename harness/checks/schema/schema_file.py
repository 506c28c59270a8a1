"""Read the schema of a fixture file, and refuse it with every mistake before a model is loaded.

References stay inside the schema's own file, patterns are supported, and validation terminates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.checks.outputs.json_text import read_json_text, show_json
from tunegate.harness.checks.schema.dialects import DRAFTS, TooLarge, draft_named
from tunegate.harness.checks.schema.lint import dialect_notes, format_notes, schema_typos, warn_once
from tunegate.harness.checks.schema.mistakes import mistakes
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.authoring.yaml_reader import part, read_yaml
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem, show_path
from tunegate.harness.core.garbage import no_collection

UNFORESEEN = "a schema that the validator accepts"


@dataclass(frozen=True)
class SchemaFile:
    """A usable schema, and its valid but suspicious entries."""

    schema: Mapping[str, Any]
    validator: Validator
    warnings: tuple[LintWarning, ...] = ()


def read_schema(schema: Any, document: Document, where: Where) -> SchemaFile:
    """Read the schema at `where` in `document`, or in the file whose path is there.

    Raises:
        AuthoringError: no such file, not JSON or YAML, not a valid schema of a known draft, a reference that leaves
                the file or has no target, an invalid pattern, a schema that the validator refuses.
    """
    if isinstance(schema, str):
        document, where = read_document(schema, document, where, "the path of a schema file"), ()
        schema = document.data
    try:
        return _checked(schema, document, where)
    except RecursionError:
        problem = document.problem(where, "a schema of a few levels", "endless nesting")
        raise AuthoringError([problem]) from None
    except AuthoringError:
        raise
    except Exception as error:  # an unexpected error of the library: an unusable schema must not pass
        found = f"one that crashes the library ({type(error).__name__}: {str(error)[:100]})"
        hint = "remove parts to find the cause, and please report it"
        raise AuthoringError([document.problem(where, UNFORESEEN, found, hint)]) from error


def read_document(name: str, document: Document, where: Where, expected: str) -> Document:
    """Read the JSON or YAML file whose path, relative to a document, is at `where` in it.

    Raises:
        AuthoringError: no such file, or not JSON or YAML.
    """
    path = document.path.parent / name
    if not path.is_file():
        there = [each.name for each in path.parent.glob("*.*")] if path.parent.is_dir() else []
        raise AuthoringError([
            document.problem(where, expected, f"no file {show_path(path)}", did_you_mean(path.name, there))
        ])  # fmt: skip
    return _read_json(path) if path.suffix == ".json" else read_yaml(path)


_TRAILING = re.compile(r",\s*[}\]]")


def _read_json(path: Path) -> Document:
    """Read JSON, with line numbers from the YAML reader: YAML covers nearly all JSON, but not tabs."""
    text = read_utf8(path)
    read = read_json_text(text)
    if "\t" not in text and {flaw.rule for flaw in read.findings} == {"json.duplicate-key"}:
        read_yaml(path)  # also refuses it, with line numbers
    if read.findings:
        hint = "JSON has no comma after the last entry" if _TRAILING.search(text) else ""
        raise AuthoringError([
            Problem(path, read.line, flaw.path, "JSON", flaw.message.replace("not JSON", "a mistake", 1), hint)
            for flaw in read.findings
        ])  # fmt: skip
    try:
        return Document(path, read.value, read_yaml(path).lines)
    except AuthoringError:
        return Document(path, read.value, {})


@no_collection()
def _checked(schema: Any, document: Document, where: Where) -> SchemaFile:
    if problem := _unfit(schema, document, where):
        raise AuthoringError([problem])
    try:
        validator = Validator(schema, part(document, where, schema))
    except TooLarge as error:
        raise AuthoringError([document.problem(where, "a schema of manageable size", str(error))]) from None
    except ValueError as error:
        raise AuthoringError(mistakes(schema, document, where, error)) from None
    endless = validator.steps.endless()
    if endless is not None:
        found = "one that refers back to itself for the same value"
        raise AuthoringError([document.problem((*where, *endless), "a schema that terminates", found)])
    parts, dialects = validator.parts, validator.dialects
    notes = [*dialect_notes(schema, dialects, where), *format_notes(parts, dialects, where)]
    return SchemaFile(schema, validator, (*schema_typos(parts, document, where), *warn_once(notes, document)))


def _unfit(schema: Any, document: Document, where: Where) -> Problem | None:
    """Why `schema` cannot be examined."""
    if not isinstance(schema, dict):
        return document.problem(where, "a JSON Schema (a mapping)", show_json(schema))
    if "$schema" in schema and draft_named(schema["$schema"]) is None:
        expected, hint = f"one of {', '.join(DRAFTS)}", "name the draft of the schema"
        return document.problem((*where, "$schema"), expected, show_json(schema["$schema"]), hint)
    return None
