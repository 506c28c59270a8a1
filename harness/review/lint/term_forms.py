"""Propose the forms of terms that a terms file lacks, from the project's own texts; the file stays the authority."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.snapshot import given_snapshots
from tunegate.harness.checks.text.phrases import Phrases
from tunegate.harness.checks.text.unlisted_forms import UnlistedForms
from tunegate.harness.checks.vocabulary.check import MAX_CHARS, VocabularyCheck
from tunegate.harness.checks.vocabulary.terms import forms_of, one_line
from tunegate.harness.checks.voice.check import Voice
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, show_path
from tunegate.harness.core.escaping import shown

RECIPES = Path("recipes")
MOST_TEXTS = 20_000  # searched for each terms file; a form that matters stands in some of them
MOST_FORMS = 6  # shown for each term
Placed = tuple[str, str]  # a place and a text


@dataclass(frozen=True, slots=True, order=True)
class FormsProposal:
    """Forms that a term of a terms file may lack; nothing is wrong if it stays as it is."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{show_path(self.file)}:{self.line}: note: {self.text}"


def proposed_forms(tasks: Sequence[Task], root: Path) -> Iterator[FormsProposal]:
    """Yield for each term the unlisted forms that stand in inputs, expectations, references, rows or traffic.

    Args:
        tasks: the tasks, whose terms files are looked at.
        root: the project's folder; rows are those of its `recipes/`.
    """
    checks = {
        case.check.document.path: case.check
        for task in tasks for unit in task.units for case in unit.cases
        if isinstance(case.check, VocabularyCheck) and case.check.document
    }  # fmt: skip
    texts = list(islice(_texts(tasks, root), MOST_TEXTS)) if checks else []
    for path, check in checks.items():
        terms = check.data.get("terms", [])
        phrases = [text for term in terms for text in (term["preferred"], *term.get("banned", ()))]
        unlisted = UnlistedForms(phrases, forms_of(check.data))
        near = [placed for placed in texts if len(placed[1]) <= MAX_CHARS and unlisted.may_be_in(placed[1])]
        for index, term in enumerate(terms):
            named = ("forms", [term["preferred"]], check.preferred), ("banned", term.get("banned", []), check.banned)
            for key, own, listed in named:
                if term["id"] in listed and (found := _found(near, unlisted, own, listed[term["id"]][1])):
                    line = check.document.line(("terms", index, "preferred")) if check.document else 1
                    yield FormsProposal(path, line, _proposal(term["id"], key, found))


def _found(
    texts: Iterable[Placed], unlisted: UnlistedForms, phrases: Sequence[str], listed: Phrases
) -> dict[str, list[str]]:
    """The places of each form, in one letter case as it was first seen."""
    found: dict[str, tuple[str, list[str]]] = {}
    for place, text in texts:
        for phrase in phrases:
            for each in unlisted.find(text, phrase, listed):
                found.setdefault(each.seen, (one_line(text[each.start : each.end]), []))[1].append(place)
    return dict(found.values())


def _proposal(term: str, key: str, found: Mapping[str, Sequence[str]]) -> str:
    forms = [f'"{shown(form)}" ({_where(places)})' for form, places in islice(found.items(), MOST_FORMS)]
    more = f" and {len(found) - MOST_FORMS} more" if len(found) > MOST_FORMS else ""
    return f"{term!r} may lack {', '.join(forms)}{more}; add to {key}: what counts"


def _where(places: Sequence[str]) -> str:
    return places[0] + (f" and {len(places) - 1} more" if len(places) > 1 else "")


def _texts(tasks: Sequence[Task], root: Path) -> Iterator[Placed]:
    for task in tasks:
        for unit in task.units:
            yield from _of_unit(unit) if not unit.of else ()
    for path in (*_rows(root), *given_snapshots()):
        with suppress(AuthoringError):  # its mistakes are reported where it is used
            yield from (placed for line in read_json_lines(path, "texts", []) for placed in _strings(line, line.data))


def _of_unit(unit: Unit) -> Iterator[Placed]:
    """The inputs, contexts and expected texts of a unit, its worked examples, and the references of its voice."""
    for case in unit.cases:
        place = case.key if unit.traffic else case.place
        yield place, f"{case.text}\n{case.context or ''}"
        if not isinstance(case.check, VocabularyCheck):  # which expects ids
            yield from ((place, text) for text in _leaves(case.expect))
    yield from ((f"a worked example of {unit.key}", shot.output) for shot in unit.shots)
    voices = {id(case.check): case.check for case in unit.cases if isinstance(case.check, Voice)}
    for voice in voices.values():
        yield from _strings(voice.document, voice.document.data)


def _strings(document: Document, data: Any, where: tuple[str | int, ...] = ()) -> Iterator[Placed]:
    if isinstance(data, str):
        yield document.place(where), data
    elif isinstance(data, Mapping | list):
        for key, each in data.items() if isinstance(data, Mapping) else enumerate(data):
            yield from _strings(document, each, (*where, key))


def _leaves(data: Any) -> Iterator[str]:
    yield from (text for _, text in _strings(Document(Path(), data, {}), data))


def _rows(root: Path) -> Iterator[Path]:
    """The files of rows that the project's recipes name, if they are JSONL."""
    for recipe in sorted((root / RECIPES).glob("*.yaml")):
        with suppress(AuthoringError):
            data = read_yaml(recipe).data
            rows = data.get("rows") if isinstance(data, dict) else None
            paths = [recipe.parent / row for row in rows or () if isinstance(row, str) and row.endswith(".jsonl")]
            yield from (path for path in paths if path.is_file())
