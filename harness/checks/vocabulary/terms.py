"""A terms file: reading it, and finding its terms and wording in a text.

A term counts in any letter case and in its regular inflections: plural, possessive, -ed and -ing of its last word
(English only), and the `forms` that its entry lists. A space in a term also stands for a line break or one hyphen.
A word ends where letters, digits and marks of any language end; a hyphen joins: `e-mail` does not hold `mail`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex

from tunegate.harness.authoring.document import Document
from tunegate.harness.authoring.validation import text_schema, validate
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem


def _texts(what: str) -> dict[str, Any]:
    return {"type": "array", "description": what, "items": text_schema("text that is not empty")}


TERMS_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "language"],
    "anyOf": [{"required": ["terms"]}, {"required": ["wording"]}],
    "description": "a terms file with terms, wording or both",
    "properties": {
        "version": {"const": 1, "description": "the file format's version, 1"},
        "language": {
            "type": "string",
            "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]+)*$",
            "description": "a code such as en",
        },
        "terms": {
            "type": "array",
            "description": "a list of terms, each with an id",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "preferred"],
                "properties": {
                    "id": text_schema("what cases call it"),
                    "preferred": text_schema("the house's term"),
                    "banned": _texts("what may stand in no answer, in any inflection"),
                    "forms": _texts("other forms of the term that count, such as irregular plurals"),
                },
            },
        },
        "wording": {
            "type": "array",
            "description": "a list of texts that must appear word for word, each with an id",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "text"],
                "properties": {"id": text_schema("what cases call it"), "text": text_schema("the text, word for word")},
            },
        },
    },
}

_APOSTROPHES, _DOUBLE = "\u2018\u2019\u201a\u201b\u02bc", "\u201c\u201d\u201e\u201f"
_QUOTES = str.maketrans({**dict.fromkeys(_APOSTROPHES, "'"), **dict.fromkeys(_DOUBLE, '"')})
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011", "-"))


def read_terms(path: Path) -> Mapping[str, Any]:
    """The content of a terms file, as `TERMS_SCHEMA` has it.

    Raises:
        AuthoringError: a wrong key or value, repeated ids, a banned variant inside text that the house asks for.
    """
    terms = read_yaml(path)
    problems = validate(terms, TERMS_SCHEMA) or [*_repeated_ids(terms), *_contradictions(terms)]
    if problems:
        raise AuthoringError(problems)
    return dict(terms.data)


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
            seen = term_pattern([variant], terms.data["language"])
            for name, text in asked:
                if seen.search(normal(text)):
                    found = f"{variant!r}, part of {name} {text!r}"
                    place = ("terms", number, "banned", index)
                    yield terms.problem(place, "a variant that stands in no preferred term, form or wording", found)


def _asked(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for term in data.get("terms", []):
        yield from ((f"the term {term['id']!r}:", text) for text in [term["preferred"], *term.get("forms", [])])
    yield from ((f"the wording {entry['id']!r}:", entry["text"]) for entry in data.get("wording", []))


def normal(text: str) -> str:
    """`text` in Unicode NFC, with plain apostrophes, quotes and hyphens."""
    return unicodedata.normalize("NFC", text).translate(_QUOTES).translate(_HYPHENS)


def inflections(word: str) -> list[str]:
    """`word` and its regular English inflections, some of which no English speaker would use.

    `valve`: valves, valve's, valves', valved, valving; `stop`: stopped; `supply`: supplies, supplied.
    """
    if not word[-1:].isalpha():
        return [word, f"{word}'s"]
    # Too many rather than too few: one that nobody writes does no harm, one that is missing lets a variant pass.
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


def term_pattern(terms: Sequence[str], language: str) -> Any:
    """Any of `terms`, inflected, as words of their own; longer ones win."""
    forms = {form for term in terms for form in _forms(one_line(normal(term)), language)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    choices = "|".join(regex.escape(form, literal_spaces=True) for form in longest_first).replace(" ", r"(?:\s+|-)")
    return regex.compile(rf"(?<![\w\p{{M}}]|\w-)(?:{choices})(?![\w\p{{M}}]|-\w)", regex.IGNORECASE)


def _forms(term: str, language: str) -> list[str]:
    head, space, last = term.rpartition(" ")
    english = language.split("-")[0] == "en"
    return [f"{head}{space}{form}" for form in inflections(last)] if english else [term, f"{term}'s"]


def spoken(text: str) -> str:
    """`text` with runs of white space as one space and typographic quotes as plain ones, and no other change."""
    return one_line(unicodedata.normalize("NFC", text).translate(_QUOTES))


def wording_pattern(wanted: str) -> Any:
    """Exactly `wanted`, and not as a part of longer words."""
    # letter case counts, unlike in a term: the wording is regulated
    return regex.compile(rf"(?<![\w\p{{M}}]){regex.escape(wanted)}(?![\w\p{{M}}])")


def one_line(text: str) -> str:
    """`text` with runs of white space as one space."""
    return " ".join(text.split())
