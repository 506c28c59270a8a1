"""The kind of check `facts`: what an output states stands in its case, and what is due is stated.

The entry point in pyproject.toml names `KIND`. Tunegate reads what stands here as literals without running it; the
rest runs when a fixture names the suite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunegate import CheckKind, Document, Finding, Outcome, Problem, Where
from tunegate_facts.calendar_type import Said
from tunegate_facts.facts import missing, stated, unfounded

TEXT = {"type": "string", "pattern": r"\S", "description": "a number, a day, a name or a phrase"}
OPTIONS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["language"],
    "properties": {
        "language": {"enum": ["de", "en", "es", "fi", "fr"], "description": "the language of the outputs"},
        "also": {
            "type": "array",
            "items": TEXT,
            "description": "what any output may state, such as the names of products",
        },
    },
}
EXPECT: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "facts": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": TEXT,
            "description": "what the output must state, such as `£46` or `Friday`",
        },
        "also": {
            "type": "array",
            "items": TEXT,
            "description": "what the output may state beside its case",
        },
    },
}


@dataclass(frozen=True)
class Facts:
    """Compares the facts of an output with those of its case."""

    language: str
    also: tuple[str, ...] = ()

    @property
    def references(self) -> str:
        """The options: nothing else can change an outcome."""
        return json.dumps([self.language, *self.also])

    def __call__(self, output: str, expect: Mapping[str, Any] | None, prompt: str) -> Outcome:
        """Score one output; `prompt` holds the notes: the case's `input` and `context`."""
        findings = tuple(self._findings(output, expect or {}, prompt))
        return Outcome(0.0 if findings else 1.0, findings)

    def expect_problems(self, expect: Mapping[str, Any], document: Document, where: Where) -> list[Problem]:
        """Facts that no output can state, for they hold neither a letter nor a digit."""
        return [
            document.problem((*where, "facts", place), TEXT["description"], repr(fact))
            for place, fact in enumerate(expect.get("facts", ()))
            if not any(char.isalnum() for char in fact)
        ]

    def _findings(self, output: str, expect: Mapping[str, Any], prompt: str) -> Iterator[Finding]:
        if not output.strip():
            yield Finding("empty", "the output is empty")
            return
        due = expect.get("facts", ())
        sources = (prompt, *due, *expect.get("also", ()), *self.also)
        known = frozenset[Said]().union(*(stated(text, self.language) for text in sources))
        for seen in dict.fromkeys(fact.seen for fact in unfounded(output, known, self.language)):
            yield Finding("unfounded", f"{seen!r} stands nowhere in its case")
        for fact in missing(due, output, self.language):
            yield Finding("missing", f"{fact!r} is not stated")


def load(options: Mapping[str, Any], document: Document, where: Where) -> Facts:  # noqa: ARG001
    """The check of a fixture file's `check:`; no file is read."""
    return Facts(options["language"], tuple(options.get("also", ())))


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=1,
    by_expect="the facts that are due",
    libraries=("tunegate", "regex", "simplemma", "confusable-homoglyphs"),
)
