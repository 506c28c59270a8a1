"""The answer uses the house's terms, none of the banned variants, and regulated wording word for word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import regex

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.validation import did_you_mean
from tunegate.harness.checks.base import CheckKind, Finding, Outcome
from tunegate.harness.checks.vocabulary.terms import (
    normal,
    one_line,
    read_terms,
    spoken,
    term_pattern,
    wording_pattern,
)
from tunegate.harness.core.errors import AuthoringError, Problem, show_path
from tunegate.harness.core.files import digest

MAX_CHARS = 20_000  # every term is looked for in the whole answer
MAX_FINDINGS = 20
AROUND = 25  # characters shown on each side of what was seen

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["terms"],
    "properties": {"terms": {"type": "string", "description": "the path of a terms file"}},
}


def _ids(what: str) -> dict[str, Any]:
    description = f"a list of different ids of the terms file's {what}"
    items = {"type": "string", "description": "an id of the terms file"}
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items, "description": description}


EXPECT = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {"terms": _ids("terms"), "wording": _ids("wording")},
    "description": "terms, wording or both",
}
# Unicode's normal form takes a square of time on a run of combining marks, and no word has so many.
_MARKS = regex.compile(r"\p{M}{64}")


@dataclass(frozen=True)
class VocabularyCheck:
    """Scores an answer by a terms file (its `data`, valid)."""

    data: Mapping[str, Any]

    @property
    def references(self) -> str:
        """Digest of the terms file's content."""
        return digest(self.data)

    @cached_property
    def preferred(self) -> dict[str, tuple[str, Any]]:
        """Per term: its preferred form and a pattern of all forms that count."""
        return {
            term["id"]: (
                term["preferred"],
                term_pattern([term["preferred"], *term.get("forms", [])], self.data["language"]),
            )
            for term in self.data.get("terms", [])
        }

    @cached_property
    def banned(self) -> list[tuple[str, Any]]:
        """Per term with banned variants: its preferred form, and a pattern of all variants."""
        return [
            (term["preferred"], term_pattern(term["banned"], self.data["language"]))
            for term in self.data.get("terms", [])
            if term.get("banned")
        ]

    @cached_property
    def wording(self) -> dict[str, str]:
        """The regulated texts by id."""
        return {entry["id"]: entry["text"] for entry in self.data.get("wording", [])}

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Score one output: every asked term and wording stands in it, and no banned variant does."""
        if len(output) > MAX_CHARS or _MARKS.search(output):
            message = f"the answer has more than {MAX_CHARS:,} characters, or is no text, and is not read"
            return Outcome(0.0, (Finding("vocabulary.limit", message),))
        text, asked = normal(output), expect or {}
        found = {
            "terms": list(self._missing_terms(text, asked.get("terms", ()))),
            "wording": list(self._missing_wording(output, asked.get("wording", ()))),
            "clean": list(islice(self._banned(text), MAX_FINDINGS)),
        }
        rates = {rule: not findings for rule, findings in found.items() if rule == "clean" or rule in asked}
        findings = tuple(finding for group in found.values() for finding in group)
        return Outcome(float(not findings), findings, rates)

    def _missing_terms(self, text: str, ids: Iterable[str]) -> Iterator[Finding]:
        for term in ids:
            preferred, pattern = self.preferred[term]
            if not pattern.search(text):
                yield Finding("vocabulary.term", f'the answer does not use the term "{preferred}"')

    def _missing_wording(self, text: str, ids: Iterable[str]) -> Iterator[Finding]:
        said = spoken(text)
        for entry in ids:
            wanted = spoken(self.wording[entry])
            if not wording_pattern(wanted).search(said):
                message = f"{entry!r} must appear word for word: {_departure(wanted, said)}"
                yield Finding("vocabulary.wording", message)

    def _banned(self, text: str) -> Iterator[Finding]:
        for preferred, pattern in self.banned:
            for seen in _first_of_each(pattern.finditer(text)):
                message = f'"{one_line(seen[0])}" is banned, the term is "{preferred}": {_around(text, seen)}'
                yield Finding("vocabulary.banned", message)

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Ids that the terms file does not have."""
        known = {"terms": list(self.preferred), "wording": list(self.wording)}
        return [
            document.problem(
                (*where, part, index), f"an id of the terms file's {part}", repr(entry), did_you_mean(entry, ids)
            )
            for part, ids in known.items()
            for index, entry in enumerate(expect.get(part, ()))
            if entry not in ids
        ]


def _departure(wanted: str, said: str) -> str:
    """Where the answer leaves the wording, if it ever followed it."""
    words = wanted.split()
    shared = 0
    while shared < len(words) and " ".join(words[: shared + 1]) in said:
        shared += 1
    if shared < 2:
        return f'"{wanted}" is missing'
    start = " ".join(words[:shared])
    after = said[said.index(start) + len(start) :].split()[:6]
    seen = f'"{" ".join(after)}"' if after else "nothing"
    return f'after "{start}" the answer has {seen} instead of "{" ".join(words[shared : shared + 6])}"'


def _first_of_each(matches: Iterable[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for match in matches:
        form = one_line(match[0]).lower()
        if form not in seen:
            seen.add(form)
            yield match


def _around(text: str, match: Any) -> str:
    start, end = match.span()
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return f'"...{one_line(before + match[0] + after)}..."'


def load(options: Mapping[str, Any], document: Document, where: Where) -> VocabularyCheck:
    """Read the terms file of a `check:` mapping.

    Raises:
        AuthoringError: no such file, or one that `read_terms` refuses.
    """
    path = document.path.parent / options["terms"]
    if not path.is_file():
        found = f"no file {show_path(path)}"
        raise AuthoringError([document.problem((*where, "terms"), "the path of a terms file", found)])
    return VocabularyCheck(read_terms(path))


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=1,
    libraries=("regex",),
    needs_expect=True,
    by_expect="which terms and wording were due",
)
