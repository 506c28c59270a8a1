"""The answer is JSON that satisfies a JSON Schema and matches what the case expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.checks.jsontext import MAX_FINDINGS, Extract, json_path, read_json, show
from harness.checks.outcome import CheckKind, Finding, Outcome
from harness.checks.schemafile import read_schema
from harness.checks.validator import identity, violations
from harness.document import Document, Where
from harness.errors import Problem
from harness.files import digest

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema"],
    "properties": {
        "schema": {"type": ["string", "object"], "description": "the path of a JSON Schema, or the schema itself"},
        "extract": {"enum": ["strict", "fenced"]},
    },
}
EXPECT = {"description": "a part of the answer that must match; any JSON value"}


@dataclass(frozen=True)
class SchemaCheck:
    """Judges adherence (JSON that satisfies the schema) and, where a case has an `expect`, exact."""

    schema: Mapping[str, Any]
    extract: Extract = "strict"

    @property
    def references(self) -> str:
        """Digest of the schema and of how JSON is taken from the answer."""
        return digest([self.schema, self.extract])

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Judge one output: it passes when it adheres and, if something is expected, matches it."""
        text = read_json(output, self.extract)
        flaws = text.findings or tuple(islice(violations(self.schema, text.value), MAX_FINDINGS))
        if expect is None:
            return Outcome(float(not flaws), flaws, {"adherence": not flaws})
        misses = () if text.findings else tuple(islice(differences(expect, text.value), MAX_FINDINGS))
        exact = not flaws and not misses
        return Outcome(float(exact), (flaws + misses)[:MAX_FINDINGS], {"adherence": not flaws, "exact": exact})

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:  # noqa: ARG002
        """Nothing: the shape of an `expect` is all there is to hold it against."""
        return []


def differences(expect: Any, answer: Any, where: Where = ()) -> Iterator[Finding]:
    """Where `answer` does not match `expect`.

    Mappings match when every expected key matches; lists when they are equally long and match item by item; other
    values when they are equal as JSON (1 equals 1.0, true is not 1).
    """
    if isinstance(expect, dict) and isinstance(answer, dict):
        for key, wanted in expect.items():
            if key in answer:
                yield from differences(wanted, answer[key], (*where, key))
            else:
                yield Finding("expect", f"expected {show(wanted)}, but the key is missing", json_path((*where, key)))
    elif isinstance(expect, list) and isinstance(answer, list) and len(expect) == len(answer):
        for index, wanted in enumerate(expect):
            yield from differences(wanted, answer[index], (*where, index))
    elif isinstance(expect, list) and isinstance(answer, list):
        yield Finding("expect", f"expected a list of {len(expect)}, found one of {len(answer)}", json_path(where))
    elif identity(expect) != identity(answer):
        yield Finding("expect", f"expected {show(expect)}, found {show(answer)}", json_path(where))


def load(options: Mapping[str, Any], document: Document, where: Where) -> SchemaCheck:
    """Read the schema of a `check:` mapping; raises `AuthoringError` as `read_schema` does."""
    schema = read_schema(options["schema"], document, (*where, "schema"))
    return SchemaCheck(schema, options.get("extract", "strict"))


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    code=("harness.checks.schema", "harness.checks.validator", "harness.checks.jsontext"),
)
