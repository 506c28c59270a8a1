"""Compare the prompts of a served model with the evaluated ones, token by token, and name what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed

Seen = Literal["token ids", "lengths", "sent as token ids"]
AROUND = 24  # characters shown from the point where two prompts differ


@dataclass(frozen=True, slots=True)
class PromptParity:
    """The number of prompts (`of`) that are the `same`; `seen` is what could be compared of them."""

    seen: Seen
    same: int
    of: int
    findings: tuple[Finding, ...] = ()

    def line(self) -> str:
        """The line that `tunegate parity` prints."""
        how = {
            "token ids": "the same token ids in", "lengths": "only their lengths are known, and equal in",
            "sent as token ids": "sent as token ids, without the server's template:",
        }  # fmt: skip
        return f"prompts: {how[self.seen]} {self.same} of {self.of}"


def prompt_parity(
    tokenizer: Any, expected: Mapping[str, list[int]], served: Mapping[str, Sequence[int]]
) -> PromptParity:
    """Compare the token ids that were evaluated with those that the served model reads, by case.

    `tokenizer` is the evaluated model's.
    """
    by_rule: dict[str, dict[str, str]] = {}
    for key, ids in expected.items():
        for finding in _differences(tokenizer, ids, list(served[key])):
            by_rule.setdefault(finding.rule, {})[key] = finding.message
    differing = {key for found in by_rule.values() for key in found}
    findings = tuple(_together(rule, found, len(expected)) for rule, found in by_rule.items())
    return PromptParity("token ids", len(expected) - len(differing), len(expected), findings)


def length_parity(expected: Mapping[str, int], served: Mapping[str, int | None], begins: bool) -> PromptParity:
    """Compare prompts by their number of tokens only; `begins` says whether the evaluated ones begin with a BOS."""
    counts = {key: count for key in expected if (count := served[key]) is not None}
    gaps = {key: count - expected[key] for key, count in counts.items() if count != expected[key]}
    findings = []
    if gaps:
        [(gap, _)] = Counter(gaps.values()).most_common(1)
        by = f"{abs(gap)} token{'s' if abs(gap) > 1 else ''} {'more' if gap > 0 else 'fewer'} most often"
        rule, like = _by_gap(gap, begins)
        message = f"{len(gaps)} of {len(expected)} prompts differ in length, by {by}{like}"
        findings.append(Finding(rule, f"{message}; first: {next(iter(gaps))}"))
    if lacking := len(expected) - len(counts):
        findings.append(Finding("unseen", f"the server returned no token count for {lacking} prompts"))
    return PromptParity("lengths", len(counts) - len(gaps), len(expected), tuple(findings))


def _by_gap(gap: int, begins: bool) -> tuple[str, str]:
    if gap == 1:
        return "doubled-bos", f", as where {'the BOS is doubled' if begins else 'a BOS is added'}"
    return "template", ", as where an end of turn is missing, or with another template" if gap < 0 else ""


def _together(rule: str, found: Mapping[str, str], of: int) -> Finding:
    first = next(iter(found))
    return Finding(rule, f"{found[first]} (in {len(found)} of {of} prompts: {listed(list(found))})")


def _differences(tokenizer: Any, expected: list[int], served: list[int]) -> Iterator[Finding]:
    if expected == served:
        return
    before, after = (tokenizer.decode(ids, skip_special_tokens=False) for ids in (expected, served))
    bos = str(tokenizer.bos_token or "")
    twice = _leading(after, bos) - _leading(before, bos)
    if twice > 0:
        already = _leading(before, bos) > 0
        yield Finding("doubled-bos", f"the text begins with {bos}{' twice' if already else ', which is added'}")
    elif twice < 0:
        yield Finding("lost-bos", f"the text does not begin with {bos}, as the evaluated one does")
    before, after = (text[_leading(text, bos) * len(bos) :] for text in (before, after))
    if lost := _lost_end(tokenizer, before, after):
        yield Finding("end-of-turn", f"a turn does not end with {lost}")
    elif before != after:
        at = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None)
        at = min(len(before), len(after)) if at is None else at
        old, new = (shown(repr(text[at : at + AROUND])) for text in (before, after))
        yield Finding("template", f"the prompts differ from character {at} on: {new} instead of {old}")
    elif not twice:
        at = next((at for at, (one, other) in enumerate(zip(expected, served, strict=False)) if one != other), 0)
        yield Finding("tokenizer", f"the same text has other token ids from token {at} on")


def _leading(text: str, bos: str) -> int:
    """The number of times the token begins the text."""
    count = 0
    while bos and text.startswith(bos, count * len(bos)):
        count += 1
    return count


def _lost_end(tokenizer: Any, expected: str, served: str) -> str:
    """The special token that is missing from an otherwise equal prompt; empty if there is none."""
    added = [str(each.content) for each in tokenizer.added_tokens_decoder.values() if each.special]
    for token in sorted({*map(str, tokenizer.all_special_tokens), *added}):
        if expected.count(token) > served.count(token) and _without(expected, token) == _without(served, token):
            return token
    return ""


def _without(text: str, token: str) -> str:
    """The text without the token and without white space, which may go with it."""
    return "".join(text.replace(token, "").split())
