"""Find cells that can be read in two ways: `init` names them, and the option that decides, and writes nothing."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.begin.scaffold.infer import (
    DATE,
    EACH,
    LONGEST_LABEL,
    MOST_LABELS,
    are_labels,
    may_be_thousands,
    rare,
)
from tunegate.harness.begin.scaffold.table import Table
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import Problem
from tunegate.harness.core.formatting import listed, quantity

#: Texts that exports write for an empty cell: those of pandas' `na_values`, and the errors of spreadsheets.
NO_VALUE = frozenset({
    "null", "Null", "NULL", "None", "nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "<NA>", "nil", "undefined", "\\N",
    "#N/A", "#N/A N/A", "#NA", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!",
})  # fmt: skip
#: Signs for an empty cell; as an input, each may be a message.
SIGNS = frozenset({"-", "--", "\u2013", "\u2014", "?"})
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_GROUPED = re.compile(
    r"-?(\d{1,3}(\.\d{3})+|\d+),\d+|-?\d{1,3}(,\d{3})+\.\d+|-?\d{1,3}([ '\u2019\u00a0\u202f]\d{3})+([.,]\d+)?"
)
_FEWER = 2  # so many times fewer cells than all are the odd ones


@dataclass(frozen=True)
class Cells:
    """The filled cells of an expected column, or of a key of its objects, with their lines; `rows` of the table."""

    key: str
    filled: Sequence[tuple[int, Any]]
    rows: int

    @property
    def texts(self) -> list[str]:
        """Its texts."""
        return [value for _, value in self.filled if isinstance(value, str)]

    def odd(self, is_usual: Callable[[Any], bool]) -> list[tuple[int, Any]]:
        """The cells that are not as most are; none if most are not."""
        others = [(line, value) for line, value in self.filled if not is_usual(value)]
        return others if _FEWER * len(others) < len(self.filled) else []


@dataclass(frozen=True)
class Ambiguity:
    """An ambiguous cell: what was expected and found there, and what decides."""

    line: int
    expected: str
    found: str
    hint: str


Kind = Callable[[Cells], Iterator[Ambiguity]]


def ambiguous(table: Table, columns: Sequence[Cells], kinds: Sequence[Kind] | None = None) -> list[Problem]:
    """The ambiguous cells of some columns: of each column those of the first kind that it has."""
    found = ((each.key, next(filter(None, ([*find(each)] for find in kinds or KINDS)), [])) for each in columns)
    return [
        Problem(table.path, each.line, key, each.expected, each.found, each.hint)
        for key, cells in found for each in cells
    ]  # fmt: skip


def no_values(cells: Cells) -> Iterator[Ambiguity]:
    """Texts that usually stand for an empty cell."""
    hint = f"empty the cell, or take it as the text that it is: --label {cells.key} or --text {cells.key}"
    for line, value in cells.filled:
        if isinstance(value, str) and value in NO_VALUE | SIGNS:
            yield Ambiguity(line, "a value or an empty cell", repr(value), hint)


def _mixed(cells: Cells) -> Iterator[Ambiguity]:
    """Cells of another form than most: a text beside numbers, a number as text, a date written in another way."""
    hint = f"mend it, or take all of them as text: --text {cells.key}"
    forms: Sequence[tuple[str, Callable[[Any], bool]]] = (
        ("a number", lambda value: isinstance(value, str) and bool(_NUMBER.fullmatch(value))),
        ("a date", lambda value: isinstance(value, str) and bool(DATE.fullmatch(value))),
    )
    for what, is_usual in forms:
        odd = cells.odd(is_usual)
        usual = next((value for _, value in cells.filled if is_usual(value)), "")
        such = f" such as {usual!r}" if what == "a date" else ""
        expected = f"{what}{such}, as in {len(cells.filled) - len(odd):,} other rows"
        yield from (Ambiguity(line, expected, show_value(value), hint) for line, value in odd)


def _of_other_type(cells: Cells) -> Iterator[Ambiguity]:
    """Texts of a typed table that are numbers or truths as most other cells are."""
    odd = cells.odd(lambda value: not isinstance(value, str))
    is_truth = any(isinstance(value, bool) for _, value in cells.filled)
    is_whole = not any(isinstance(value, float) for _, value in cells.filled)
    what = "true or false" if is_truth else "a whole number" if is_whole else "a number"
    for line, value in odd:
        if _NUMBER.fullmatch(value) or value.lower() in ("true", "false"):
            expected = f"{what}, as in {len(cells.filled) - len(odd):,} other rows"
            yield Ambiguity(line, expected, show_value(value), "write it without quotes")


def _grouped(cells: Cells) -> Iterator[Ambiguity]:
    """Numbers as some languages and spreadsheets write them."""
    if all(_NUMBER.fullmatch(each) or _GROUPED.fullmatch(each) for each in cells.texts):
        hint = f"write 1234.5, or take all of them as text: --text {cells.key}"
        for line, value in cells.filled:
            if isinstance(value, str) and not _NUMBER.fullmatch(value):
                yield Ambiguity(line, "numbers with a decimal point", repr(value), hint)


def _thousands(cells: Cells) -> Iterator[Ambiguity]:
    """Numbers of which each point may stand between thousands."""
    if may_be_thousands(cells.texts):
        line, value = next((line, value) for line, value in cells.filled if "." in value)
        hint = f"write 1234 or 1.2340, or take all of them as text: --text {cells.key}"
        yield Ambiguity(line, "numbers of one reading", f"{value!r}, perhaps thousands", hint)


def _spellings(cells: Cells) -> Iterator[Ambiguity]:
    """Labels that differ in case, spaces, composition or invisible characters only: each rarer spelling."""
    if not _repeat([folded(text) for text in cells.texts]):
        return
    spelt: dict[str, Counter[str]] = {}
    for text in cells.texts:
        spelt.setdefault(folded(text), Counter())[text] += 1
    usual = {text: max(sorted(texts), key=texts.__getitem__) for texts in spelt.values() for text in texts}
    hint = f"make them one, or keep them apart with --label {cells.key}"
    for line, value in cells.filled:
        if isinstance(value, str) and (other := usual[value]) != value:
            written = ascii if unicodedata.normalize("NFC", value) == unicodedata.normalize("NFC", other) else repr
            found = f"{written(value)} beside {written(other)} ({spelt[folded(value)][other]} rows)"
            yield Ambiguity(line, "one spelling of each label", found, hint)


def _perhaps_labels(cells: Cells) -> Iterator[Ambiguity]:
    """Texts that repeat, but not as often as labels do: a schema of labels might be too narrow, and any text too wide.

    A prompt that takes any text names no label.
    """
    texts = cells.texts
    if len(texts) < len(cells.filled) or not _repeat(texts) or are_labels(texts, cells.rows) or _have_a_form(texts):
        return
    seldom = rare(texts)
    few = f"{listed([*map(repr, seldom)])} in fewer than {EACH} of {len(texts):,} rows" if seldom else ""
    found = few or f"{len(set(texts))} values that repeat in only {len(texts):,} of {cells.rows:,} rows"
    beside = f", beside {quantity(len(set(texts)) - len(seldom), 'value')} in more" if few else ""
    hint = f"if the values of the table are all there are, add --label {cells.key}; otherwise --text {cells.key}"
    first = next(line for line, value in cells.filled if not seldom or value in seldom)
    yield Ambiguity(first, "labels or any text", found + beside, hint)


def _repeat(texts: Sequence[str]) -> bool:
    """Whether short texts repeat, so that they may be labels."""
    different = set(texts)
    short = all(len(text) <= LONGEST_LABEL and "\n" not in text for text in different)
    return bool(texts) and short and _FEWER * len(different) <= len(texts) and len(different) <= MOST_LABELS


def _have_a_form(texts: Sequence[str]) -> bool:
    """Whether all are numbers or dates."""
    return any(all(form.fullmatch(text) for text in texts) for form in (_NUMBER, DATE))


def folded(text: str) -> str:
    """A text without case, composition, invisible characters and repeated spaces."""
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf")
    return " ".join(seen.casefold().split())


#: The kinds of each, in this order.
KINDS: Sequence[Kind] = (
    no_values, _of_other_type, _mixed, _grouped, _thousands, _spellings, _perhaps_labels,
)  # fmt: skip


def cells_of(rows: Mapping[int, Mapping[str, Any]], keys: Sequence[str]) -> list[Cells]:
    """The filled cells of some keys, of rows by line."""
    return [
        Cells(key, [(line, row[key]) for line, row in rows.items() if row.get(key) is not None], len(rows))
        for key in keys
    ]


def misread(texts: Sequence[tuple[int, str]]) -> tuple[list[int], str]:
    """The lines of texts that are UTF-8 read as Windows-1252, and the first word of them that is."""
    found = {line: word for line, text in texts for word in _ODD.findall(text) if _is_misread(word)}
    return [*found], next(iter(found.values()), "")


_ODD = re.compile(r"\S*[\u00c2-\u00f4]\S+")


def _is_misread(word: str) -> bool:
    try:
        return word.encode("cp1252").decode("utf-8") != word
    except UnicodeError:
        return False
