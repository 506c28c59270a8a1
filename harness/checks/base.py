"""What a check says about one output, and what every check looks like."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Protocol, runtime_checkable

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem

Kind = Literal["pass/fail", "continuous"]
Can = Literal["generate", "loglik"]
ClosedValue = tuple[str, str, bool]  # a field, a value that is expected of it as JSON, and whether no other will do


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check saw: which rule spoke, where in the output, and a sentence.

    `source` is where that rule is written, as FILE:LINE: a keyword of a schema, a house rule, a term; empty where it is
    written in no file. It is told to people and kept in no record, for it moves with every edit of that file.
    """

    rule: str
    message: str
    path: str = ""
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.rule}{f' at {self.path}' if self.path else ''}: {self.message}"

    @property
    def sourced(self) -> str:
        """Itself, with the line of its rule behind it."""
        return f"{self} ({self.source})" if self.source else str(self)


@dataclass(frozen=True, slots=True)
class FieldCount:
    """What one field of a JSON answer came to: its values that are right, that were expected, and that were answered.

    Where a field has a closed set of values, `taken` holds each that was expected beside the wrong one that it was
    taken for.
    """

    right: int
    expected: int
    answered: int
    taken: tuple[tuple[str, str], ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether nothing of it is wrong, missing or too much."""
        return self.right == self.expected == self.answered


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one output came to.

    `score` lies in [0, 1] for pass/fail checks and is any finite number for continuous ones; higher is better. `rates`
    holds further yes/no questions that the unit reports side by side, such as adherence and exact, `fields` what the
    fields of a JSON answer came to. `passed` is None where a score of 1.0 passes and nothing else does.
    """

    score: float
    findings: tuple[Finding, ...] = ()
    rates: Mapping[str, bool] = field(default_factory=dict)
    fields: Mapping[str, FieldCount] = field(default_factory=dict)
    passed: bool | None = None


class Check(Protocol):
    """A check with its references loaded, ready to score."""

    @property
    def references(self) -> str:
        """Digest of every file and option that can change an outcome (part of the unit's questions)."""

    def __call__(self, output: Any, expect: Any, prompt: str) -> Outcome:
        """Score one output; `expect` is the case's, `prompt` the text of its input and context.

        An output is a text or, where its kind asks about `texts`, the log-probabilities of their tokens in nats, a
        tuple for each text. Training rows have no `expect`: where its kind has `by_expect`, None is
        scored by all the rest.
        """

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """What this check's references say against a case's `expect`, which stands at `where` in `document`."""


@runtime_checkable
class HasWarnings(Protocol):
    """A check whose references hold what is allowed and probably not meant: `tunegate lint` tells."""

    @property
    def warnings(self) -> tuple[LintWarning, ...]:
        """Each of them, with its place."""


@runtime_checkable
class HasParts(Protocol):
    """A check of which not every case has the parts of its kind, or has more."""

    def parts(self, expect: Any) -> Collection[str]:
        """The names of the rates and fields that an answer to a case with this `expect` is scored by."""


@runtime_checkable
class HasClosedValues(Protocol):
    """A check that knows which fields of an answer have a closed set of values."""

    def closed_values(self, expect: Any) -> Sequence[ClosedValue]:
        """The values that a case with this `expect` expects of such fields."""


@runtime_checkable
class HasExpectWarnings(Protocol):
    """A check that can say what of a case's `expect` is allowed and probably not meant: `tunegate lint` tells."""

    def expect_warnings(self, expect: Any) -> tuple[str, ...]:
        """A sentence each, with the place inside the case."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A JSON Schema, as JSON, that an answer is held to while it is decoded; `file` is where it stands, for people."""

    schema: str
    file: str = field(default="", compare=False)


@runtime_checkable
class HasConstraint(Protocol):
    """A check whose answers can be held to a JSON Schema while they are decoded."""

    @property
    def constraint(self) -> Constraint:
        """What they are held to: no more than what the check asks of them."""


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A kind of check: how a suite's checks are written down, loaded and run.

    `options` and `expect` are JSON Schemas of a fixture's `check:` and a case's `expect:`. `load` reads the references
    of the `check:` mapping that stands at `where` in a document; paths are relative to the document; it raises
    `AuthoringError` with every mistake, needs no model and imports nothing heavy. `needs_expect` refuses cases
    without one. `version` is raised when an outcome changes: what an older version scored is scored again, and with the
    same one other scores are taken for an edit. It is a number and no digest of source text, which every rename would
    change.

    `texts` makes of a case's input and expect the texts whose likelihood is asked for; without it the model is asked
    to generate. `chat` says that they are answers to the case's prompt, else they are read as they are. `ignores` are
    the keys of a fixture file that would mean nothing here, and are refused. `derived` says that the answers are those
    of the unit that the file's `of` names: nothing is asked, and what is scored is a `checks.cost.Call`.

    `by_expect` says what only a case's `expect` decides; without it, nothing can be scored where there is none.
    `expect_of` makes, of a check and the text of an answer that is right, the `expect` of its case, which other answers
    are then held against; None where the answer tells none.
    `parts` are the `rates` of its outcomes, each with what it is called where people read it.
    `libraries` are the installed packages that can change an outcome: where their versions are others than those that
    scored a reference, its other scores are no sign of an edit.
    `supplied` says that the scores are those of another tool: nothing is scored here.
    """

    kind: Kind
    options: Mapping[str, Any]
    expect: Mapping[str, Any]
    load: Callable[[Mapping[str, Any], Document, Where], Check]
    version: int
    needs_expect: bool = False
    embeds: bool = False
    texts: Callable[[str, Any], tuple[str, ...]] | None = None
    chat: bool = True
    ignores: tuple[str, ...] = ()
    derived: bool = False
    knowledge: bool = False
    by_expect: str = ""
    expect_of: Callable[[Any, str], Any] | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    supplied: bool = False

    def read(self, options: Mapping[str, Any], document: Document, where: Where) -> Check:
        """The check of `options`, held against their schema first.

        Raises:
            AuthoringError: every mistake in them, or in what they name.
        """
        wrong = validate(document, self.options, where, options)
        if wrong:
            raise AuthoringError(wrong)
        return self.load(options, document, where)

    @property
    def asks(self) -> Can:
        """What a model must be able to do."""
        return "loglik" if self.texts else "generate"

    @property
    def scorer(self) -> dict[str, str]:
        """The versions of Python (its Unicode tables decide what is a word) and of `libraries`, where installed."""
        return {"python": ".".join(platform.python_version_tuple()[:2]), **_versions(self.libraries)}


@functools.cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]  # without the +cpu of a build
    return found
