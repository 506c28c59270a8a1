"""The answer uses the house's terms, none of the banned variants, and regulated wording word for word.

A term counts in any letter case and in its regular inflections: plural, possessive, -ed and -ing of its last word
(English only), and the `forms` that its entry lists. A space in a term also stands for a line break or one hyphen.
A word ends where letters, digits and marks of any language end; a hyphen joins: `e-mail` does not hold `mail`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import regex

from harness.checks.outcome import CheckKind, Finding, Outcome
from harness.errors import AuthoringError, Problem, show_path
from harness.files import digest
from harness.yamlfile import Document, Where, check_shape, read_yaml

MAX_CHARS = 1 << 20
MAX_FINDINGS = 20
AROUND = 25  # characters shown on each side of what was seen

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["terms"],
    "properties": {"terms": {"type": "string", "description": "the path of a terms file"}},
}
_IDS = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"},
        "description": "a list of different ids of the terms file"}  # fmt: skip
EXPECT = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {"terms": _IDS, "wording": _IDS},
    "description": "terms, wording or both",
}
_TEXT = {"type": "string", "pattern": r"\S", "description": "text that is not empty"}
_TEXTS = {"type": "array", "items": _TEXT}
SHAPE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "language"],
    "anyOf": [{"required": ["terms"]}, {"required": ["wording"]}],
    "description": "a terms file with terms, wording or both",
    "properties": {
        "version": {"const": 1},
        "language": {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]+)*$", "description": "a code such as en"},
        "terms": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "preferred"],
                "properties": {"id": _TEXT, "preferred": _TEXT, "banned": _TEXTS, "forms": _TEXTS},
            },
        },
        "wording": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "text"],
                "properties": {"id": _TEXT, "text": _TEXT},
            },
        },
    },
}

_APOSTROPHES, _DOUBLE = "\u2018\u2019\u201a\u201b\u02bc", "\u201c\u201d\u201e\u201f"
_QUOTES = str.maketrans({**dict.fromkeys(_APOSTROPHES, "'"), **dict.fromkeys(_DOUBLE, '"')})
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011", "-"))
_MARKS = regex.compile(r"\p{M}{64}")


@dataclass(frozen=True)
class VocabularyCheck:
    """Judges an answer by a terms file (its `data`, valid)."""

    data: Mapping[str, Any]

    @property
    def references(self) -> str:
        """Digest of the terms file's content."""
        return digest(self.data)

    @cached_property
    def preferred(self) -> dict[str, tuple[str, Any]]:
        """Per term: its preferred form and a pattern of all forms that count."""
        english = _is_english(self.data)
        return {
            term["id"]: (term["preferred"], _pattern([term["preferred"], *term.get("forms", [])], english))
            for term in self.data.get("terms", [])
        }

    @cached_property
    def banned(self) -> list[tuple[str, Any]]:
        """Per term with banned variants: its preferred form, and a pattern of all variants."""
        english = _is_english(self.data)
        return [
            (term["preferred"], _pattern(term["banned"], english))
            for term in self.data.get("terms", [])
            if term.get("banned")
        ]

    @cached_property
    def wording(self) -> dict[str, str]:
        """The regulated texts by id."""
        return {entry["id"]: entry["text"] for entry in self.data.get("wording", [])}

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Judge one output: every asked term and wording stands in it, and no banned variant does."""
        if len(output) > MAX_CHARS or _MARKS.search(output):
            return Outcome(0.0, (Finding("vocabulary.limit", "the answer is too long, or no text, to be read"),))
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
        spoken = _spoken(text)
        for entry in ids:
            wanted = _spoken(self.wording[entry])
            if not _verbatim(wanted).search(spoken):
                message = f"{entry!r} must appear word for word: {_departure(wanted, spoken)}"
                yield Finding("vocabulary.wording", message)

    def _banned(self, text: str) -> Iterator[Finding]:
        for preferred, pattern in self.banned:
            for seen in _first_of_each(pattern.finditer(text)):
                message = f'"{_one_line(seen[0])}" is banned, the term is "{preferred}": {_around(text, seen)}'
                yield Finding("vocabulary.banned", message)

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Ids that the terms file does not have."""
        problems = []
        for part, ids in (("terms", list(self.preferred)), ("wording", list(self.wording))):
            for index, entry in enumerate(expect.get(part, ())):
                if entry not in ids:
                    expected = f"an id of the terms file's {part}"
                    problems.append(
                        document.problem((*where, part, index), expected, repr(entry), _closest(entry, ids))
                    )
        return problems


def normal(text: str) -> str:
    """`text` in Unicode NFC, with plain apostrophes, quotes and hyphens."""
    return unicodedata.normalize("NFC", text).translate(_QUOTES).translate(_HYPHENS)


def inflections(word: str) -> list[str]:
    """`word` and its regular English inflections, some of which no English speaker would use.

    `valve`: valves, valve's, valves', valved, valving; `stop`: stopped; `supply`: supplies, supplied.
    """
    if not word[-1:].isalpha():
        return [word, f"{word}'s"]
    forms = [word, f"{word}s", f"{word}'s", f"{word}s'", f"{word}ing"]
    stem = word.lower()
    if re.search(r"[^aeiou]y$", stem):
        forms += [f"{word[:-1]}ies", f"{word[:-1]}ies'", f"{word[:-1]}ied"]
    elif stem.endswith("e"):
        forms += [f"{word}d", f"{word[:-1]}ing"]
    else:
        forms.append(f"{word}ed")
    if re.search(r"(s|x|z|ch|sh|o)$", stem):
        forms += [f"{word}es", f"{word}es'", f"{word}'"]
    if re.search(r"[^aeiou][aeiou][bdfgklmnprtvz]$", stem):
        forms += [f"{word}{word[-1]}ed", f"{word}{word[-1]}ing"]
    return forms


def _pattern(terms: Sequence[str], english: bool) -> Any:
    """Any of `terms`, inflected, as words of their own; longer ones win."""
    forms = {form for term in terms for form in _forms(_one_line(normal(term)), english)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    choices = "|".join(regex.escape(form, literal_spaces=True) for form in longest_first).replace(" ", r"(?:\s+|-)")
    return regex.compile(rf"(?<![\w\p{{M}}]|\w-)(?:{choices})(?![\w\p{{M}}]|-\w)", regex.IGNORECASE)


def _forms(term: str, english: bool) -> list[str]:
    head, space, last = term.rpartition(" ")
    return [f"{head}{space}{form}" for form in inflections(last)] if english else [term, f"{term}'s"]


def _is_english(data: Mapping[str, Any]) -> bool:
    return str(data["language"]).split("-")[0] == "en"


def _spoken(text: str) -> str:
    """`text` with runs of white space as one space and typographic quotes as plain ones, and no other change."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())


def _verbatim(wanted: str) -> Any:
    return regex.compile(rf"(?<![\w\p{{M}}]){regex.escape(wanted)}(?![\w\p{{M}}])")


def _departure(wanted: str, spoken: str) -> str:
    """Where the answer leaves the wording, if it ever followed it."""
    words = wanted.split()
    shared = 0
    while shared < len(words) and " ".join(words[: shared + 1]) in spoken:
        shared += 1
    if shared < 2:
        return f'"{wanted}" is missing'
    start = " ".join(words[:shared])
    after = spoken[spoken.index(start) + len(start) :].split()[:6]
    seen = f'"{" ".join(after)}"' if after else "nothing"
    return f'after "{start}" the answer has {seen} instead of "{" ".join(words[shared : shared + 6])}"'


def _first_of_each(matches: Iterable[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for match in matches:
        form = _one_line(match[0]).lower()
        if form not in seen:
            seen.add(form)
            yield match


def _around(text: str, match: Any) -> str:
    start, end = match.span()
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return f'"...{_one_line(before + match[0] + after)}..."'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _closest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def load(options: Mapping[str, Any], document: Document, where: Where) -> VocabularyCheck:
    """Read the terms file of a `check:` mapping.

    Raises:
        AuthoringError: no such file, wrong shape, repeated ids, a banned variant inside text that the house asks for.
    """
    path = document.path.parent / options["terms"]
    if not path.is_file():
        found = f"no file {show_path(path)}"
        raise AuthoringError([document.problem((*where, "terms"), "the path of a terms file", found)])
    terms = read_yaml(path)
    problems = check_shape(terms, SHAPE) or [*_repeated_ids(terms), *_contradictions(terms)]
    if problems:
        raise AuthoringError(problems)
    return VocabularyCheck(terms.data)


def _repeated_ids(terms: Document) -> Iterator[Problem]:
    for part in ("terms", "wording"):
        lines: dict[str, int] = {}
        for index, entry in enumerate(terms.data.get(part, [])):
            place = (part, index, "id")
            if entry["id"] in lines:
                found = f"{entry['id']!r} again (first on line {lines[entry['id']]})"
                yield terms.problem(place, f"an id that is unique among the {part}", found)
            lines.setdefault(entry["id"], terms.line(place))


def _contradictions(terms: Document) -> Iterator[Problem]:
    """Banned variants that would be seen in an answer that does exactly what the house asks."""
    asked = list(_asked(terms.data))
    for number, term in enumerate(terms.data.get("terms", [])):
        for index, variant in enumerate(term.get("banned", [])):
            pattern = _pattern([variant], _is_english(terms.data))
            for name, text in asked:
                if pattern.search(normal(text)):
                    found = f"{variant!r}, part of {name} {text!r}"
                    place = ("terms", number, "banned", index)
                    yield terms.problem(place, "a variant that stands in no preferred term, form or wording", found)


def _asked(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for term in data.get("terms", []):
        yield from ((f"the term {term['id']!r}:", text) for text in [term["preferred"], *term.get("forms", [])])
    yield from ((f"the wording {entry['id']!r}:", entry["text"]) for entry in data.get("wording", []))


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    code=("harness.checks.vocabulary",),
    needs_expect=True,
)
