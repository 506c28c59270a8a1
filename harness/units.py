"""What is judged: cases, the units that share a verdict, and the tasks they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.checks.outcome import Check, CheckKind, Kind
from harness.checks.table import CHECKS, row_name
from harness.files import digest
from harness.placeholders import fill
from harness.policy import Policy


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a case's input becomes chat messages; `{input}` and `{context}` are replaced literally, other braces stay."""

    system: str | None = None
    template: str = "{input}"

    def fill(self, text: str, context: str | None) -> str:
        """The user message for an input, with its context where the template asks for it."""
        return fill(self.template, {"input": text, "context": context or ""})


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is decoded: greedy unless a temperature is given. `seed` counts only when sampling."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One fixture: an input, what a good answer must meet, and where it is written."""

    id: str
    unit: str
    input: str
    check: Check
    prompt: Prompt
    decoding: Decoding
    expect: Any = None
    context: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    group: str | None = None
    place: str = ""

    @property
    def key(self) -> str:
        """`<task>/<unit>/<id>`: its name in records, node ids and replay files."""
        return f"{self.unit}/{self.id}"

    @property
    def observation(self) -> tuple[str | None, ...]:
        """What it is one observation of: its group, else its question, which counts once however often it is asked."""
        if self.group:
            return ("group", self.group)
        return ("question", self.input, self.context, self.prompt.system, self.prompt.template)


@dataclass(frozen=True)
class Unit:
    """The cases that share a `unit:` key in one task: what has a baseline and a verdict.

    `of` is the key of the unit whose answers it rereads; it then has that unit's cases.
    """

    task: str
    name: str
    suite: str
    cases: tuple[Case, ...]
    measure: str = ""
    shots: tuple[tuple[str, str], ...] = ()
    sealed: bool = False
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    of: str = ""

    @property
    def key(self) -> str:
        """`<task>/<unit>`."""
        return f"{self.task}/{self.name}"

    @property
    def row(self) -> CheckKind:
        """Its row in the table of checks."""
        return CHECKS[row_name(self.suite, self.measure)]

    @property
    def kind(self) -> Kind:
        """Pass/fail or continuous."""
        return self.row.kind

    def texts(self, case: Case) -> tuple[str, ...]:
        """The texts whose likelihood a case asks for; none where it asks for an answer."""
        return self.row.texts(case.input, case.expect) if self.row.texts else ()

    @cached_property
    def questions(self) -> dict[str, str]:
        """The digest of each part of what the unit asks: two records compare only where all of them are equal.

        The order is the order in which a difference is worth telling.
        """
        return {
            "suite": row_name(self.suite, self.measure),
            "cases": digest(sorted(case.id for case in self.cases)),
            "inputs": self._digest(lambda case: [case.input, case.context, case.group]),
            "prompt": self._digest(lambda case: [case.prompt.system, case.prompt.template]),
            "shots": digest(self.shots),
            "checks": self._digest(lambda case: [self.asked[case.id], case.expect]),
            "marks": self._digest(lambda case: [dict(case.tags), case.critical]),
            "prices" if self.of else "references": self._digest(lambda case: case.check.references),
            "check version": str(self.row.version),
            "decoding": self._digest(lambda case: [getattr(case.decoding, name) for name in Decoding.__slots__]),
        }

    def _digest(self, part: Any) -> str:
        return digest({case.id: part(case) for case in self.cases})


@dataclass(frozen=True)
class Task:
    """A workflow: the units under `fixtures/<task>/` and the policy of its `task.yaml`."""

    name: str
    units: tuple[Unit, ...]
    policy: Policy

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """What task.yaml holds each unit to, by the unit's key."""
        return {unit.key: self.policy.as_dict(unit.name, unit.kind, unit.sealed) for unit in self.units}
