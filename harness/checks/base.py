"""The interface of every check, and the outcome of checking one output."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from tunegate.harness.checks.outputs.finding import Finding as Finding
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem
from tunegate.harness.core.typed import Count

Kind = Literal["pass/fail", "continuous"]
Can = Literal["generate", "loglik", "tools", "scores"]
ClosedValue = tuple[str, str, bool]  # field, expected value as JSON, whether it is the only accepted value


class FieldCount(NamedTuple):
    """Counts of the values of one field of a JSON output: right, expected, and found in the output (`answered`).

    For a field with a closed set of values, `taken` holds the confusions as pairs (expected value, wrong value).
    """

    right: Count
    expected: Count
    answered: Count
    taken: tuple[tuple[str, str], ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether no value is wrong, missing or extra."""
        return self.right == self.expected == self.answered


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of scoring one output.

    `score` is in [0, 1] for pass/fail checks and any finite number for continuous ones; higher is better. `rates` holds
    further yes/no results that the unit reports separately, such as adherence and exact; `fields` holds the counts for
    the fields of a JSON output. If `passed` is None, only a score of 1.0 passes.
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
        """Digest of every file and option that can change an outcome (part of the unit's questions); empty if none."""
        return ""

    def __call__(self, output: Any, expect: Any, prompt: str) -> Outcome:
        """Score one output; `expect` is the case's, `prompt` the text of its input and context.

        An output is a text. For kinds with `texts` it is a tuple per text of the log-probabilities of its tokens, in
        nats. Training rows have no `expect`: for kinds with `by_expect`, an `expect` of None is scored by all the
        other rules of the check.
        """

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:  # noqa: ARG002
        """Problems of a case's `expect`, found at `where` in `document`, with this check's references."""
        return []


@runtime_checkable
class HasWarnings(Protocol):
    """A check whose references can hold valid but suspicious entries, which `tunegate lint` reports."""

    @property
    def warnings(self) -> tuple[LintWarning, ...]:
        """The warnings, each with its place."""


@runtime_checkable
class HasParts(Protocol):
    """A check whose parts depend on the case."""

    def parts(self, expect: Any) -> Collection[str]:
        """The names of the rates and fields that score an output for a case with this `expect`."""


@runtime_checkable
class HasClosedValues(Protocol):
    """A check that knows which fields of an output have a closed set of values."""

    def closed_values(self, expect: Any) -> Sequence[ClosedValue]:
        """The expected values of such fields in a case with this `expect`."""


@runtime_checkable
class HasExpectWarnings(Protocol):
    """A check that can find valid but suspicious entries in a case's `expect`, which `tunegate lint` reports."""

    def expect_warnings(self, expect: Any) -> tuple[str, ...]:
        """One sentence per warning, with the place inside the case."""


@runtime_checkable
class HasCanonicalOutput(Protocol):
    """A check that knows which outputs are the same to it."""

    def canonical_output(self, output: str) -> str:
        """The part of an output that is scored, in one form: equal texts are right or wrong together."""


def canonical_output(check: object, output: str) -> str:
    """An output as two are compared: what its check scores of it, or its text without white space at ends of lines."""
    if isinstance(check, HasCanonicalOutput):
        return check.canonical_output(output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


@runtime_checkable
class HasTools(Protocol):
    """A check of messages with calls, held to the tools that a case offers; any other scores a message's text."""

    def offered(self, tools: Any, document: Document, where: Where) -> Check:
        """The check of a case that offers these tools (`tools.definitions.ToolSet`).

        Raises:
            AuthoringError: its options do not fit the tools.
        """

    def tags(self, expect: Any) -> Mapping[str, str]:
        """The tags of a case with this `expect`, beside its own."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A JSON Schema, as JSON, that constrains decoding; `file` is its path, for messages."""

    schema: str
    file: str = field(default="", compare=False)


@runtime_checkable
class HasConstraint(Protocol):
    """A check whose outputs can be constrained to a JSON Schema during decoding."""

    @property
    def constraint(self) -> Constraint | None:
        """The constraint, never stricter than the check; None if outputs are not JSON."""


def constraint_of_check(check: object) -> Constraint | None:
    """The constraint of a check; None if it has none."""
    return check.constraint if isinstance(check, HasConstraint) else None


@runtime_checkable
class IsLabelled(Protocol):
    """A check that leaves it to people which outputs are right."""

    def label_note(self, expect: Any) -> str:
        """What people need to know to label the outputs of a case with this `expect`."""


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A kind of check: how a suite's checks are declared, loaded and run.

    `options` and `expect` are JSON Schemas of a fixture's `check:` and a case's `expect:`. `load` reads the references
    of the `check:` mapping at `where` in a document. Paths are relative to the document. `load` raises
    `AuthoringError` with every mistake, needs no model and imports nothing heavy. `needs_expect` refuses cases
    without one. Increase `version` when outcomes change: outputs scored by an older version are scored again, whereas
    different scores from the same version count as an edit. It is a number because a digest of the source would change
    with every rename.

    `texts` returns the texts whose likelihood is measured for a case's input and expect; without it, the model
    generates. With `chat` they are replies to the case's prompt, without it they are read as they are. `ignores` lists
    keys of a fixture file that have no meaning here and are refused. `derived` kinds score the outputs of the unit
    named by the file's `of`: no model is called, and the scored value is a `checks.cost.Call`.

    `by_expect` names what only a case's `expect` decides; if it is empty, an output without an `expect` cannot be
    scored. `expect_of` takes a check and the text of a correct output and returns the `expect` against which other
    outputs are scored, or None if it cannot be derived. `parts` maps the `rates` of outcomes to their display names;
    `form` is the one of them without which an output has no other part right.
    `libraries` are the installed packages that can change an outcome: if their versions differ from those that scored
    a reference, different scores do not count as an edit. `supplied` scores are those of another tool: nothing is
    scored here. Units of `labelled` kinds need `labels`, which decide; the check is an `IsLabelled` and only rejects
    outputs that need none. `caveat` says what holding such a unit does not show. `by_runner` kinds take the scores of
    a tool's result file: no model generates for them.
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
    form: str = ""
    libraries: tuple[str, ...] = ()
    supplied: bool = False
    labelled: bool = False
    caveat: str = ""
    by_runner: bool = False

    def read(self, options: Mapping[str, Any], document: Document, where: Where) -> Check:
        """Validate `options` against their schema and load the check.

        Raises:
            AuthoringError: lists every mistake in the options and in the files they name.
        """
        wrong = validate(document, self.options, where, options)
        if wrong:
            raise AuthoringError(wrong)
        return self.load(options, document, where)

    @property
    def asks(self) -> Can:
        """The capability that the model needs."""
        return "scores" if self.by_runner else "loglik" if self.texts else "generate"

    @property
    def scorer(self) -> dict[str, str]:
        """The versions of Python (its Unicode tables define words) and of those `libraries` that are installed."""
        return {"python": ".".join(platform.python_version_tuple()[:2]), **_versions(self.libraries)}


@functools.cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]  # without a build suffix such as +cpu
    return found
