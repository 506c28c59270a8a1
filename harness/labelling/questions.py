"""What people are asked: inputs with one output, or with two that differ."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import Written, last_turn_problem
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.snapshot import input_digest
from tunegate.harness.cases.traffic.labels import Pair
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.validation import text_schema, validate
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.files import digest

MOST_OUTPUTS = 2  # of a question


@dataclass(frozen=True)
class Question:
    """An input with one output to rate, or two as they are compared, of unnamed models; `notes` help to decide."""

    input: Written
    outputs: tuple[str, ...]
    context: str | None = None
    notes: str = ""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """What its labels are about, in the order of `outputs`."""
        sha = input_digest(self.input, self.context)
        return tuple((sha, output) for output in self.outputs)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what is labelled, whatever the order of the outputs."""
        return digest(sorted(self.pairs))


@functools.cache
def _schema() -> dict[str, Any]:
    shared = published_schema("file")["$defs"]
    outputs = {
        "type": "array", "minItems": 1, "maxItems": MOST_OUTPUTS, "uniqueItems": True, "items": {"type": "string"},
        "description": "a list of one output, or of two that differ",
    }  # fmt: skip
    own = {"input": shared["input"], "outputs": outputs, "context": text_schema(), "notes": text_schema()}
    return {
        "type": "object", "required": ["input", "outputs"], "additionalProperties": False, "properties": own,
        "$defs": shared,
    }  # fmt: skip


def read_questions(path: Path) -> list[Question]:
    """Read a JSONL file of questions: `{"input": ..., "outputs": [...], "context": optional, "notes": optional}`.

    Raises:
        AuthoringError: mistakes with their lines, or a question twice, or none.
    """
    problems: list[Problem] = []
    found: dict[str, Question] = {}
    for document in read_json_lines(path, "questions", problems):
        mistakes = validate(document, _schema()) or list(
            last_turn_problem(document.data["input"], document, ("input",))
        )
        problems += mistakes
        if mistakes:
            continue
        question = Question(**document.data | {"outputs": tuple(document.data["outputs"])})
        if question.digest in found:
            problems.append(document.problem((), "each question once", "one that an earlier line asks"))
        found[question.digest] = question
    if not (problems or found):
        problems.append(Problem(path, 0, "", "at least one question", "an empty file"))
    if problems:
        raise AuthoringError(problems)
    return list(found.values())
