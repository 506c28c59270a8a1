"""Vocabulary checks: outputs use the house's terms, no banned variants, and regulated wording verbatim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from tunegate.harness.checks.base import CheckKind, Finding, Outcome
from tunegate.harness.checks.text.phrases import Occurrence, Phrases
from tunegate.harness.checks.text.reading import Reading, read, verbatim
from tunegate.harness.checks.vocabulary.terms import forms_of, one_line, read_terms, wording_pattern
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import did_you_mean, mapping_schema
from tunegate.harness.core.errors import AuthoringError, Problem, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest

MAX_CHARS = 20_000  # every term is searched for in the whole output
MAX_FINDINGS = 20
AROUND = 25  # characters shown on each side of a match

OPTIONS = mapping_schema({"terms": {"type": "string", "description": "the path of a terms file"}}, ["terms"])


def _ids(what: str) -> dict[str, Any]:
    description = f"a list of different ids of the terms file's {what}"
    items = {"type": "string", "description": "an id of the terms file"}
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items, "description": description}


EXPECT = mapping_schema(
    {"terms": _ids("terms"), "wording": _ids("wording")}, minProperties=1, description="terms, wording or both"
)


@dataclass(frozen=True)
class VocabularyCheck:
    """Scores an output by a valid terms file (`data`); `document` has the lines of its entries."""

    data: Mapping[str, Any]
    document: Document | None = field(default=None, repr=False, compare=False)

    @property
    def references(self) -> str:
        """The digest of the terms file's content."""
        return digest(self.data)

    @cached_property
    def preferred(self) -> dict[str, tuple[str, Phrases]]:
        """Per term: the preferred form, and all accepted forms as phrases."""
        forms = forms_of(self.data)
        return {
            term["id"]: (term["preferred"], Phrases([term["preferred"], *term.get("forms", [])], forms))
            for term in self.data.get("terms", [])
        }

    @cached_property
    def _places(self) -> dict[str, dict[str, str]]:
        """The place of each term and wording, by id; empty if there is no document."""
        return {
            part: {
                entry["id"]: self.document.place((part, index)) if self.document else ""
                for index, entry in enumerate(self.data.get(part, []))
            }
            for part in ("terms", "wording")
        }

    @cached_property
    def banned(self) -> dict[str, tuple[str, Phrases, bool]]:
        """Per term with banned variants: the preferred form, the variants, and whether mentions are allowed."""
        forms = forms_of(self.data)
        return {
            term["id"]: (term["preferred"], Phrases(term["banned"], forms), term.get("mentions") == "allowed")
            for term in self.data.get("terms", [])
            if term.get("banned")
        }

    @cached_property
    def wording(self) -> dict[str, str]:
        """The regulated texts by id."""
        return {entry["id"]: entry["text"] for entry in self.data.get("wording", [])}

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Score one output: it must contain every due term and wording, and no banned variant."""
        if len(output) > MAX_CHARS:
            message = f"the output has more than {MAX_CHARS:,} characters and is not read"
            return Outcome(0.0, (Finding("vocabulary.limit", message),))
        reading, asked = read(output, self.data["language"]), expect or {}
        found = {
            "terms": list(self._missing_terms(reading, asked.get("terms", ()))),
            "wording": list(self._missing_wording(output, asked.get("wording", ()))),
            "clean": list(islice(self._banned(output, reading), MAX_FINDINGS)),
        }
        rates = {rule: not findings for rule, findings in found.items() if rule == "clean" or rule in asked}
        findings = tuple(finding for group in found.values() for finding in group)
        return Outcome(float(not findings), findings, rates)

    def parts(self, expect: Any) -> frozenset[str]:
        """The names of the rates that score an output for a case with this `expect`."""
        return frozenset({"clean", *({"terms", "wording"} & (expect or {}).keys())})

    def _missing_terms(self, reading: Reading, ids: Iterable[str]) -> Iterator[Finding]:
        for term in ids:
            preferred, phrases = self.preferred[term]
            if not any(phrases.find(reading)):
                message = f'the output does not use the term "{preferred}"'
                yield Finding("vocabulary.term", message, source=self._places["terms"][term])

    def _missing_wording(self, output: str, ids: Iterable[str]) -> Iterator[Finding]:
        said = verbatim(output) if ids else ""
        for entry in ids:
            wanted = verbatim(self.wording[entry])
            if not wording_pattern(wanted).search(said):
                message = f"{entry!r} must appear word for word: {_departure(wanted, said)}"
                yield Finding("vocabulary.wording", message, source=self._places["wording"][entry])

    def _banned(self, output: str, reading: Reading) -> Iterator[Finding]:
        for term, (preferred, phrases, may_be_mentioned) in self.banned.items():
            found = (each for each in phrases.find(reading) if not (may_be_mentioned and each.is_mention))
            for each in _first_of_each(found):
                seen = shown(one_line(output[each.start : each.end]))
                message = f'"{seen}" is banned, the term is "{preferred}": {_around(output, each)}'
                yield Finding("vocabulary.banned", message, source=self._places["terms"][term])

    def due(self, output: str) -> dict[str, list[str]]:
        """An `expect` of the terms and wording that an output uses; empty if it uses none, which requires none."""
        reading, said = read(output[:MAX_CHARS], self.data["language"]), verbatim(output[:MAX_CHARS])
        used = {
            "terms": [term for term, (_, phrases) in self.preferred.items() if any(phrases.find(reading))],
            "wording": [entry for entry, text in self.wording.items() if wording_pattern(verbatim(text)).search(said)],
        }
        return {part: ids for part, ids in used.items() if ids}

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Refuse ids that the terms file does not have."""
        problems = []
        for part, known in (("terms", self.preferred), ("wording", self.wording)):
            expected = f"an id of the terms file's {part}"
            for index, entry in enumerate(expect.get(part, ())):
                if entry not in known:
                    hint = did_you_mean(entry, known)
                    problems.append(document.problem((*where, part, index), expected, repr(entry), hint))
        return problems


def _departure(wanted: str, said: str) -> str:
    """Where the output departs from the wording, if it follows it at all."""
    words = wanted.split()
    shared = 0
    while shared < len(words) and " ".join(words[: shared + 1]) in said:
        shared += 1
    if shared < 2:
        return f'"{wanted}" is missing'
    start = " ".join(words[:shared])
    after = said[said.index(start) + len(start) :].split()[:6]
    seen = f'"{" ".join(after)}"' if after else "nothing"
    return f'after "{start}" the output has {seen} instead of "{" ".join(words[shared : shared + 6])}"'


def _first_of_each(found: Iterable[Occurrence]) -> Iterator[Occurrence]:
    seen: set[str] = set()
    for each in found:
        if each.seen not in seen:
            seen.add(each.seen)
            yield each


def _around(output: str, seen: Occurrence) -> str:
    part = output[max(0, seen.start - AROUND) : seen.end + AROUND]
    return f'"...{shown(one_line(part))}..."'


def load(options: Mapping[str, Any], document: Document, where: Where) -> VocabularyCheck:
    """Read the terms file of a `check:` mapping.

    Raises:
        AuthoringError: no such file, or `read_terms` refuses it.
    """
    path = document.path.parent / options["terms"]
    if not path.is_file():
        found = f"no file {show_path(path)}"
        raise AuthoringError([document.problem((*where, "terms"), "the path of a terms file", found)])
    terms = read_terms(path)
    return VocabularyCheck(dict(terms.data), terms)


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=5,
    libraries=("regex", "simplemma", "confusable-homoglyphs", "icu4py"),
    needs_expect=True,
    by_expect="the required terms and wording",
    expect_of=VocabularyCheck.due,
    parts={"terms": "required terms", "wording": "required wording", "clean": "no banned word"},
)
