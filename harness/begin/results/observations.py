"""Which ids of a result file are one observation: those that ask one question, since their scores move together.

Counted singly, 20 questions under 10 ids each are falsely regressed in a third of all comparisons of equal models.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.begin.results.samples import ResultFile, some_ids
from tunegate.harness.core.errors import Refused

_WORD = r"(?:epoch|repeat|repetition|rep|run|trial|attempt|try|seed|iteration|iter)"
_BETWEEN = r"[\s_./:|@#=()-]"
#: `q1_epoch_2`, `q1 (run 2)`; behind a digit also `q1#2` and `q1/2`: `HumanEval/2` is a question of its own.
_REPEAT = re.compile(
    rf"(?P<base>.+?)(?:(?:{_BETWEEN}+|(?<=\d)){_WORD}{_BETWEEN}*|(?<=\d)[#/])\d+\)?", re.IGNORECASE | re.DOTALL
)
_TWO_PARTS = re.compile(
    rf"(?P<base>.*[^\s])(?:{_BETWEEN}+|(?<=\d)(?=[^\W\d_]))(?P<end>[^\s_./:|@#=()-]+){_BETWEEN}*", re.DOTALL
)
DENSE = 0.8  # of all combinations of two parts: names that are no pairs of anything have far fewer


@dataclass(frozen=True)
class Observations:
    """The observation of each id, called by its first id, and how ids were found to be one."""

    of: Mapping[str, str]
    why: str = ""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(set(self.of.values()))


def observations_of(file: ResultFile) -> Observations:
    """Return the observation of each id of a file.

    Raises:
        Refused: there are ids without an input, and they may be repeats or may not.
    """
    shared = _shared(file)
    unasked = [name for name, found in shared.items() if not found]
    bases = _bases(file, unasked)
    repeated = "that differ only in the number of a repeat" if bases else ""
    asked = "with the same input or group" if len(unasked) < len(shared) else ""
    of = together({name: found or {f"id {bases.get(name, name)}"} for name, found in shared.items()})
    return Observations(of, " or ".join(filter(None, (asked, repeated))))


def has_groups(file: ResultFile) -> bool:
    """Whether a file says of any sample what it shares with others."""
    return any(sample.groups for sample in file.samples)


def grouped(file: ResultFile) -> dict[str, str]:
    """Return the first id that each one is an observation with, by what their samples share."""
    return together(_shared(file))


def _shared(file: ResultFile) -> dict[str, set[str]]:
    return {name: {each for one in samples for each in one.groups} for name, samples in file.by_id.items()}


def together(shared: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the first of the names that each is one with: those that share something, also by way of others."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(each: tuple[str, str]) -> tuple[str, str]:
        while above.setdefault(each, each) != each:
            above[each] = above[above[each]]
            each = above[each]
        return each

    for name, found in shared.items():
        for each in found:
            above[top(("shared", each))] = top(("name", name))
    first: dict[tuple[str, str], str] = {}
    return {name: first.setdefault(top(("name", name)), name) for name in shared}


def _bases(file: ResultFile, ids: Sequence[str]) -> dict[str, str]:
    """The ids without the number of a repeat; empty where they are none.

    Raises:
        Refused: only some have one, or all are combinations of two parts.
    """
    bases = {name: found["base"] for name in ids if (found := _REPEAT.fullmatch(name))}
    if len({*bases.values(), *(set(ids) - bases.keys())}) < 2:  # `test_run_1` to `test_run_200` repeat no question
        return {}
    single = [name for name in ids if name not in bases and name not in bases.values()]
    if bases and single:
        raise _unclear(file, f"some end with the number of a repeat, and {some_ids(single)} with none")
    if not bases:
        _check_clear(file, ids)
    return bases


def _check_clear(file: ResultFile, ids: Iterable[str]) -> None:
    """Refuse ids that are nearly all combinations of two parts: the questions may be those of one part."""
    parts = [(found["base"], found["end"]) if (found := _TWO_PARTS.fullmatch(each)) else (each, "") for each in ids]
    bases, ends = dict.fromkeys(base for base, _ in parts), dict.fromkeys(end for _, end in parts)
    if min(len(bases), len(ends)) > 1 and len(parts) >= DENSE * len(bases) * len(ends):
        raise _unclear(file, f"each of {some_ids(list(bases))} goes with each of {some_ids(list(ends))}")


def _unclear(file: ResultFile, why: str) -> Refused:
    return Refused(
        f"{file.name}: expected to know which ids ask the same question, which are one observation: {why}; "
        "add to both files a column `input`, or `group`: the same for all ids of a question, or the id itself"
    )
