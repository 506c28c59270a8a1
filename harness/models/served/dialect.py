"""The request fields that a server accepts, found field by field: newer models refuse fields that older ones need."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.models.served.server_errors import Said

#: Fields without which a server would use its own or the model's suggested values; not every server knows them.
FURTHER: Mapping[str, Any] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
PENALTIES = ("presence_penalty", "frequency_penalty")
#: Fields that may be left out, in the order of likelihood if an error names several.
OPTIONAL = (*FURTHER, *PENALTIES, "seed", "stop", "n", "stream", "top_p", "temperature")
#: Groups that are left out one after the other if an error names no field.
UNNAMED = (tuple(FURTHER), (*PENALTIES, "seed", "stop", "n", "stream"))
LIMITS = ("max_tokens", "max_completion_tokens")
#: Also English words: they count as field names only in certain contexts.
WORDS = frozenset({"seed", "stop", "n", "stream", "temperature"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """The fields that requests to a server go `without`, and the field that limits the output."""

    without: frozenset[str] = frozenset()
    limit: str = LIMITS[0]

    def fields(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a request, as this server accepts it."""
        renamed = {self.limit if name == LIMITS[0] else name: value for name, value in body.items()}
        return {name: value for name, value in renamed.items() if name not in self.without}

    def after(self, said: Said) -> Dialect | None:
        """The next dialect to try after an error: without the field that it names; None if nothing is left to drop."""
        left = [name for name in OPTIONAL if name not in self.without]
        if found := next((name for name in (*left, *LIMITS) if name == said.param), None) or _named(said, left):
            return self._without([found])
        return next((self._without(group) for group in UNNAMED if set(group) & set(left)), None)

    def _without(self, names: Collection[str]) -> Dialect | None:
        if LIMITS[0] in names:
            return replace(self, limit=LIMITS[1]) if self.limit == LIMITS[0] else None
        return None if LIMITS[1] in names else replace(self, without=self.without.union(names))

    def __str__(self) -> str:
        """The form of records: which fields of decoding are set."""
        lacking = [name for name in OPTIONAL if name in self.without]
        known = [name for name in lacking if name not in FURTHER]
        if set(FURTHER) <= self.without:
            text, lacking = "standard fields", known
        else:
            text = "every field"
        text += f" but {', '.join(lacking)}" if lacking else ""
        return text if self.limit == LIMITS[0] else f"{text}; {self.limit}"


def _named(said: Said, names: Collection[str]) -> str:
    """The first of `names` that an error names, as is or in camel case; empty if it names none."""
    return next((name for name in (*names, LIMITS[0]) if _pattern(name).search(said.message)), "")


def _pattern(name: str) -> re.Pattern[str]:
    camel = re.sub("_(.)", lambda each: each[1].upper(), name)
    spelled = "|".join({name, camel})
    if name in WORDS:
        quoted, named = rf"[\"'`]({spelled})[\"'`]", rf"(?:[:]|parameter|field|argument|invalid) ({spelled})\b"
        refused = rf"\b({spelled}) (?:and \w+ )?(?:is not|are not|not|does not|cannot|is un)"
        return re.compile(f"{quoted}|{named}|{refused}", re.IGNORECASE)
    return re.compile(rf"(?<!\w)({spelled})(?!\w)")
