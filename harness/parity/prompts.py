"""Whether a prompt is served as it was judged: token for token, and where not, what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunegate.harness.checks.base import Finding
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed

Seen = Literal["token ids", "lengths", "sent as token ids"]
AROUND = 24  # characters that are shown from where two prompts differ


@dataclass(frozen=True, slots=True)
class PromptParity:
    """How many of `of` prompts are the `same`, by what could be `seen` of them."""

    seen: Seen
    same: int
    of: int
    findings: tuple[Finding, ...] = ()

    def line(self) -> str:
        """In words."""
        how = {
            "token ids": "the same token ids in", "lengths": "seen by their lengths alone, which are the same in",
            "sent as token ids": "sent as token ids, so the template of the server is not looked at:",
        }  # fmt: skip
        return f"prompts: {how[self.seen]} {self.same} of {self.of}"


def prompt_parity(
    tokenizer: Any, expected: Mapping[str, list[int]], served: Mapping[str, Sequence[int]]
) -> PromptParity:
    """Compare prompts by their token ids, each by the key of its case.

    Args:
        tokenizer: that of the model that was judged.
        expected: what it read.
        served: what is read where it is served.
    """
    by_rule: dict[str, dict[str, str]] = {}
    for key, ids in expected.items():
        for finding in _differences(tokenizer, ids, list(served[key])):
            by_rule.setdefault(finding.rule, {})[key] = finding.message
    differing = {key for found in by_rule.values() for key in found}
    findings = tuple(_together(rule, found, len(expected)) for rule, found in by_rule.items())
    return PromptParity("token ids", len(expected) - len(differing), len(expected), findings)


def length_parity(expected: Mapping[str, int], served: Mapping[str, int | None], begins: bool) -> PromptParity:
    """Compare prompts of which a server tells no more than the number of tokens; `begins`: the judged have a BOS."""
    counts = {key: count for key in expected if (count := served[key]) is not None}
    gaps = {key: count - expected[key] for key, count in counts.items() if count != expected[key]}
    findings = []
    if gaps:
        [(gap, _)] = Counter(gaps.values()).most_common(1)
        by = f"{abs(gap)} token{'s' if abs(gap) > 1 else ''} {'more' if gap > 0 else 'fewer'} most often"
        rule, like = _by_gap(gap, begins)
        message = f"{len(gaps)} of {len(expected)} prompts are longer or shorter, by {by}{like}"
        findings.append(Finding(rule, f"{message}; first: {next(iter(gaps))}"))
    if lacking := len(expected) - len(counts):
        findings.append(Finding("unseen", f"{lacking} prompts came back without the number of their tokens"))
    return PromptParity("lengths", len(counts) - len(gaps), len(expected), tuple(findings))


def _by_gap(gap: int, begins: bool) -> tuple[str, str]:
    if gap == 1:
        return "doubled-bos", f", as where {'the text is begun twice' if begins else 'a BOS is added'}"
    return "template", ", as where an end of turn is left out, or by another template" if gap < 0 else ""


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
        yield Finding("lost-bos", f"the text does not begin with {bos}, as the judged one does")
    before, after = (text[_leading(text, bos) * len(bos) :] for text in (before, after))
    if lost := _lost_end(tokenizer, before, after):
        yield Finding("end-of-turn", f"a turn does not end with {lost}")
    elif before != after:
        at = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None)
        at = min(len(before), len(after)) if at is None else at
        old, new = (shown(repr(text[at : at + AROUND])) for text in (before, after))
        yield Finding("template", f"another prompt is written, from character {at} on: {new} for {old}")
    elif not twice:
        at = next((at for at, (one, other) in enumerate(zip(expected, served, strict=False)) if one != other), 0)
        yield Finding("tokenizer", f"the same text is read in other tokens, from token {at} on")


def _leading(text: str, bos: str) -> int:
    """How often a text begins with the token."""
    count = 0
    while bos and text.startswith(bos, count * len(bos)):
        count += 1
    return count


def _lost_end(tokenizer: Any, expected: str, served: str) -> str:
    """The special token that is left out of a prompt which is the same without it; empty if none is."""
    added = [str(each.content) for each in tokenizer.added_tokens_decoder.values() if each.special]
    for token in sorted({*map(str, tokenizer.all_special_tokens), *added}):
        if expected.count(token) > served.count(token) and _without(expected, token) == _without(served, token):
            return token
    return ""


def _without(text: str, token: str) -> str:
    """A text without a token and without white space, which is left out with it or not."""
    return "".join(text.replace(token, "").split())
