"""What an output must hold, as JSON Schemas of a text: the patterns are those of ECMA-262."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunegate.harness.checks.schema.patterns import why_not
from tunegate.harness.imports.model import LeftOut

Rule = Mapping[str, Any]
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")
WHITE = r"\s*"
MATCHES = ("exact", "starts", "includes")


def literal(text: str, ignore_case: bool = False) -> str:
    """A pattern of exactly this text."""
    escaped = _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
    return _in_any_case(escaped) if ignore_case else escaped


def _in_any_case(inner: str) -> str:
    return f"(?i:{inner})"


def pattern(text: str) -> Rule:
    """The rule of a regular expression.

    Raises:
        LeftOut: it is none of ECMA-262, or too large.
    """
    if found := why_not(text):
        raise LeftOut(f"a pattern that is {found}" if found.startswith("not") else f"a pattern with {found}")
    return {"pattern": text}


def any_of(texts: Sequence[str], before: str = "", after: str = "", ignore_case: bool = False) -> Rule:
    """One of the texts, between two patterns."""
    inner = "|".join(literal(text) for text in texts)
    inner = f"(?:{inner})" if len(texts) > 1 and not ignore_case else inner
    return pattern(f"{before}{_in_any_case(inner) if ignore_case else inner}{after}")


def every(texts: Sequence[str], ignore_case: bool = False) -> Rule:
    """All of the texts, anywhere."""
    return all_rules([pattern(literal(text, ignore_case)) for text in texts])


def target_rule(match: str, texts: Sequence[str], ignore_case: bool = False) -> Rule:
    """The output is one of the texts (`exact`, but for white space), starts with one, or includes one."""
    if match == "exact":
        return any_of([text.strip() for text in texts], f"^{WHITE}", f"{WHITE}$", ignore_case)
    return any_of(texts, "^" if match == "starts" else "", "", ignore_case)


def negated(rule: Rule) -> Rule:
    """The opposite of a rule."""
    return {"not": dict(rule)}


def all_rules(rules: Iterable[Rule]) -> Rule:
    """One rule for several, which all hold; each only once."""
    different: list[Rule] = []
    for rule in rules:
        if rule not in different:
            different.append(rule)
    keys = [key for rule in different for key in rule]
    if len(set(keys)) == len(keys):
        return {key: value for rule in different for key, value in rule.items()}
    return {"allOf": [dict(rule) for rule in different]}
