"""Terms files: reading them, their terms as phrases, and their wording.

A term matches in any letter case and in any form that is known for the file's language (`text.phrases`), and in the
`forms` of its entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import Phrases, phrase_book
from tunegate.harness.checks.text.reading import Reading, read
from tunegate.harness.checks.text.segmentation import check_segmenter
from tunegate.harness.checks.text.words import WordForms
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.validation import mapping_schema, text_schema, validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem

MOST_LETTERS = 1000  # per term: patterns of much longer ones take seconds
MOST_CONTRADICTIONS = 100  # reported per file


def _term(what: str = f"text of 1 to {MOST_LETTERS:,} characters") -> dict[str, Any]:
    return text_schema(what) | {"maxLength": MOST_LETTERS}


def _texts(what: str) -> dict[str, Any]:
    return {"type": "array", "description": what, "items": _term()}


ID = text_schema("the id by which cases name it")
TERM = mapping_schema(
    {
        "id": ID,
        "preferred": _term(f"the house's term, of at most {MOST_LETTERS:,} characters"),
        "banned": _texts("variants that no output may contain, in any inflection"),
        "forms": _texts("other forms of the term that count, such as an abbreviation"),
        "mentions": {
            "enum": ["banned", "allowed"],
            "description": "`allowed`: a banned variant may be named in quotation marks or denied",
        },
    },
    required=["id", "preferred"],
)
WORDING = mapping_schema({"id": ID, "text": text_schema("the text, word for word")}, ["id", "text"])
TERMS_SCHEMA = mapping_schema(
    {
        "version": {"const": 1, "description": "the file format's version, 1"},
        "language": {
            "type": "string",
            "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]+)*$",
            "description": "a code such as en",
        },
        "terms": {"type": "array", "description": "a list of terms, each with an id", "items": TERM},
        "wording": {
            "type": "array",
            "description": "a list of texts that must appear word for word, each with an id",
            "items": WORDING,
        },
    },
    required=["version", "language"],
    anyOf=[{"required": ["terms"]}, {"required": ["wording"]}],
    description="a terms file with terms, wording or both",
)


def read_terms(path: Path) -> Document:
    """Read a terms file and validate it against `TERMS_SCHEMA`.

    Raises:
        AuthoringError: a wrong key or value, repeated ids, a banned variant inside text that the house requires.
        CouldNotRun: its language is written without spaces, and the word segmenter is not installed.
    """
    terms = read_yaml(path)
    problems = validate(terms, TERMS_SCHEMA)
    if not problems:
        check_segmenter(terms.data["language"])
        problems = [*_repeated_ids(terms), *islice(_contradictions(terms), MOST_CONTRADICTIONS)]
    if problems:
        raise AuthoringError(problems)
    return terms


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
    """Banned variants that an output with the required text would contain."""
    language, forms = terms.data["language"], forms_of(terms.data)
    banned = [
        (number, index, variant)
        for number, term in enumerate(terms.data.get("terms", []))
        for index, variant in enumerate(term.get("banned", []))
    ]
    every = _Banned([variant for *_, variant in banned], forms)
    for name, text in _asked(terms.data):
        for which in every.found_in(read(text, language)):
            number, index, variant = banned[which]
            found = f"{variant!r}, part of {name} {text!r}"
            place = ("terms", number, "banned", index)
            yield terms.problem(place, "a variant that is in no preferred term, form or wording", found)


class _Banned:
    """Variants found in one search, which is halved only if one of them matches, so that many variants cost little."""

    def __init__(self, variants: Sequence[str], forms: WordForms, first: int = 0) -> None:
        self._variants, self._forms, self._first = variants, forms, first
        self._phrases = Phrases(variants, forms)

    @cached_property
    def _halves(self) -> tuple[_Banned, _Banned]:
        middle = len(self._variants) // 2
        return (
            _Banned(self._variants[:middle], self._forms, self._first),
            _Banned(self._variants[middle:], self._forms, self._first + middle),
        )

    def found_in(self, reading: Reading) -> Iterator[int]:
        """The numbers of the variants that occur in a text."""
        if not self._variants or not any(self._phrases.find(reading)):
            return
        if len(self._variants) == 1:
            yield self._first
        else:
            for half in self._halves:
                yield from half.found_in(reading)


def _asked(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for term in data.get("terms", []):
        yield from ((f"the term {term['id']!r}:", text) for text in [term["preferred"], *term.get("forms", [])])
    yield from ((f"the wording {entry['id']!r}:", entry["text"]) for entry in data.get("wording", []))


def forms_of(data: Mapping[str, Any]) -> WordForms:
    """The forms of every word in a terms file's terms."""
    every = [
        text
        for term in data.get("terms", [])
        for text in [term["preferred"], *term.get("forms", []), *term.get("banned", [])]
    ]
    return phrase_book(every, data["language"])


def wording_pattern(wanted: str) -> Any:
    """A pattern that matches exactly `wanted` as separate words."""
    # case-sensitive, unlike terms: the wording is regulated; up to three `_` around it are Markdown
    letter = r"(?:[^\W_]|\p{M})"
    return regex.compile(rf"(?<!{letter}_{{0,3}}){regex.escape(wanted)}(?!_{{0,3}}{letter})")


def one_line(text: str) -> str:
    """`text` with each run of white space as one space."""
    return " ".join(text.split())
