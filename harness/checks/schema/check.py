"""The answer is JSON that satisfies a JSON Schema and matches what the case expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from tunegate.harness.authoring.document import Document, Where, show_value
from tunegate.harness.checks.base import CheckKind, Finding, Outcome
from tunegate.harness.checks.schema.expected_keys import unknown_keys
from tunegate.harness.checks.schema.json_reader import (
    MAX_FINDINGS,
    Extract,
    equality_key,
    json_path,
    read_json_text,
    show_json,
)
from tunegate.harness.checks.schema.lint import Impossible, impossible
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.checks.schema.validator import violations
from tunegate.harness.core.errors import LintWarning, Problem
from tunegate.harness.core.files import digest

Match = Literal["subset", "whole"]

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema"],
    "properties": {
        "schema": {"type": ["string", "object"], "description": "the path of a JSON Schema, or the schema itself"},
        "extract": {
            "enum": ["strict", "fenced"],
            "description": "strict: the answer is JSON and nothing else; fenced: one ```json block is allowed too",
        },
        "match": {
            "enum": ["subset", "whole"],
            "description": "subset: what `expect` does not name is free; whole: the answer is `expect`, no key more",
        },
    },
}
EXPECT = {"description": "what the answer must match, a part of it unless `match: whole`; any JSON value"}


@dataclass(frozen=True)
class SchemaCheck:
    """Scores adherence (JSON that satisfies the schema) and, where a case has an `expect`, exact."""

    schema: Mapping[str, Any]
    extract: Extract = "strict"
    match: Match = "subset"
    warnings: tuple[LintWarning, ...] = field(default=(), repr=False, compare=False)
    _looked_at: dict[str, tuple[Impossible, ...]] = field(default_factory=dict, repr=False, compare=False)
    _keys_looked_at: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def references(self) -> str:
        """Digest of the schema, of how JSON is taken from the answer and of how it is matched."""
        return digest([self.schema, self.extract, self.match])

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Score one output: it passes when it adheres and, if something is expected, matches it."""
        text = read_json_text(output, self.extract)
        flaws = text.findings or tuple(islice(violations(self.schema, text.value), MAX_FINDINGS))
        if expect is None:
            return Outcome(float(not flaws), flaws, {"adherence": not flaws})
        found = () if text.findings else mismatches(expect, text.value, whole=self.match == "whole")
        misses = tuple(islice(found, MAX_FINDINGS))
        exact = not flaws and not misses
        return Outcome(float(exact), (flaws + misses)[:MAX_FINDINGS], {"adherence": not flaws, "exact": exact})

    def _impossible(self, expect: Any) -> tuple[Impossible, ...]:
        """Many cases expect the same: each different one is looked at once."""
        key = repr(expect)
        if key not in self._looked_at:
            self._looked_at[key] = tuple(impossible(self.schema, expect))
        return self._looked_at[key]

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """What no answer can match, since the schema refuses it."""
        return [
            document.problem((*where, *each.where), "what the schema allows", show_value(each.value), each.message)
            for each in self._impossible(expect)
        ]

    def expect_warnings(self, expect: Any) -> tuple[str, ...]:
        """Keys of a case's `expect` that the schema does not name."""
        key = repr(expect)
        if key not in self._keys_looked_at:
            self._keys_looked_at[key] = tuple(unknown_keys(self.schema, expect))
        return self._keys_looked_at[key]


def mismatches(expect: Any, answer: Any, where: Where = (), *, whole: bool = False) -> Iterator[Finding]:
    """Where `answer` does not match `expect`.

    Mappings match when every expected key matches and, if `whole`, no other key is there; lists when they are equally
    long and match item by item; other values when they are equal as JSON (1 equals 1.0, true is not 1).
    """
    if isinstance(expect, dict) and isinstance(answer, dict):
        for key, wanted in expect.items():
            if key in answer:
                yield from mismatches(wanted, answer[key], (*where, key), whole=whole)
            else:
                yield Finding(
                    "expect", f"expected {show_json(wanted)}, but the key is missing", json_path((*where, key))
                )
        for key in [key for key in answer if whole and key not in expect]:
            message = f"expected no key {show_value(key)}, found {show_json(answer[key])}"
            yield Finding("expect", message, json_path((*where, key)))
    elif isinstance(expect, list) and isinstance(answer, list):
        if len(expect) != len(answer):
            yield Finding("expect", _lengths(expect, answer, whole), json_path(where))
            return
        for index, wanted in enumerate(expect):
            yield from mismatches(wanted, answer[index], (*where, index), whole=whole)
    elif equality_key(expect) != equality_key(answer):
        yield Finding("expect", f"expected {show_json(expect)}, found {show_json(answer)}", json_path(where))


def _lengths(expect: list[Any], answer: list[Any], whole: bool) -> str:
    """How two lists of different length differ, and from which item on."""
    pairs = enumerate(zip(expect, answer, strict=False))
    parted = (index for index, (wanted, found) in pairs if any(mismatches(wanted, found, whole=whole)))
    index = next(parted, min(len(expect), len(answer)))
    wanted, found = (show_json(items[index]) if index < len(items) else "nothing" for items in (expect, answer))
    plural = "" if len(expect) == 1 else "s"
    return f"expected {len(expect)} item{plural}, found {len(answer)}; at [{index}] expected {wanted}, found {found}"


def load(options: Mapping[str, Any], document: Document, where: Where) -> SchemaCheck:
    """Read the schema of a `check:` mapping; raises `AuthoringError` as `read_schema` does."""
    read = read_schema(options["schema"], document, (*where, "schema"))
    return SchemaCheck(read.schema, options.get("extract", "strict"), options.get("match", "subset"), read.warnings)


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=2,
    libraries=("jsonschema", "referencing", "regex", "idna"),
    by_expect="which values are right",
)
