"""Files with `of: UNIT` in place of cases: the units that ask nothing and read another one's answers again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.checks.cost import Prices
from harness.checks.outcome import CheckKind
from harness.errors import Problem, show_path
from harness.parts import Part
from harness.policy import Policy
from harness.shape import did_you_mean
from harness.units import Unit

OF = ("of",)


def problems(part: Part, parts: Sequence[Part], policy: Policy, path: Path, complete: bool) -> Iterator[Problem]:
    """What is wrong with a file that rereads a unit; nothing where it rereads none.

    Args:
        part: the file.
        parts: those of its task; if they are not `complete`, another unit may be in a file that could not be read.
        policy: the task's.
        path: where that stands, or would.
        complete: see `parts`.
    """
    if not part.of:
        return
    yield from _source(part, {each.name: each.row for each in parts}, complete)
    if policy.prices is None and (policy.declared or not path.exists()):  # else its own mistakes are told
        found = "none" if policy.declared else "no such file"
        hint = "write prices: {currency: USD, input_per_million: .., output_per_million: .., reason: ..}"
        yield Problem(show_path(path), 1, "prices", f"prices, which {part.document.name} needs", found, hint)


def _source(part: Part, rows: Mapping[str, CheckKind], complete: bool) -> Iterator[Problem]:
    row, sources = rows.get(part.of), [name for name, each in rows.items() if not (each.rereads or each.texts)]
    expected = f"a unit of this task whose answers can be read again ({', '.join(sources) or 'there is none'})"
    if row is None:
        if complete:
            yield part.document.problem(OF, expected, repr(part.of), did_you_mean(part.of, sources))
    elif row.rereads:
        yield part.document.problem(OF, expected, f"{part.of!r}, which rereads another unit itself")
    elif row.texts:
        yield part.document.problem(OF, expected, f"{part.of!r}, which reads likelihoods and generates nothing")


def rereading(task: str, part: Part, source: Unit, prices: Prices) -> Unit:
    """The unit of a file that rereads `source`: its cases, and nothing of what they must meet."""
    check = part.row.load({"prices": prices}, part.document, OF)
    key, place = f"{task}/{part.name}", f"{part.document.name}:{part.document.line(OF)}"
    cases = [replace(case, unit=key, check=check, expect=None, critical=False, place=place) for case in source.cases]
    return Unit(
        task, part.name, part.suite, tuple(cases), shots=source.shots, sealed=source.sealed,
        asked={case.id: {"of": source.name} for case in cases}, of=source.key,
    )  # fmt: skip
