"""The parts of a configuration that a change edits, and how they are shown: in a line, or as a word diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tunegate.harness.core.escaping import shown, shown_lines
from tunegate.harness.core.formatting import quantity
from tunegate.harness.reporting.differences import NONE, Piece, excerpts, word_diff, word_pieces

MOST_IN_A_LINE = 60  # characters of both texts
MOST_UNFOLDED = 1_200  # characters of a diff; a longer one is folded on the page
NAMES = {"system": "system prompt", "template": "prompt template", "rung": "prompting strategy"}


@dataclass(frozen=True, slots=True)
class EditedPart:
    """A part of the configuration that a change edits: of a unit (empty: of all), with both texts."""

    unit: str
    part: str
    before: str
    now: str

    @property
    def name(self) -> str:
        """What is edited, in a line."""
        return f"{self.unit}: {self.part}" if self.unit else self.part

    @property
    def is_short(self) -> bool:
        """Whether both texts fit on a line."""
        return len(self.before) + len(self.now) <= MOST_IN_A_LINE and "\n" not in self.before + self.now

    @property
    def is_long(self) -> bool:
        """Whether the whole text is folded on the page."""
        return len(self.before) + len(self.now) > MOST_UNFOLDED

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its word diff; short texts stand whole beside each other."""
        if self.is_short:
            return (Piece("before", self.before or NONE), Piece("now", self.now or NONE))
        return word_pieces(self.before, self.now)

    @property
    def excerpts(self) -> tuple[Piece, ...]:
        """Its word diff without long equal texts; a gap gives the length of each."""
        return tuple(excerpts(self.pieces))


def by_text(parts: Sequence[EditedPart]) -> list[EditedPart]:
    """Return each edit once, with all units that have it."""
    units: dict[EditedPart, list[str]] = {}
    for each in parts:
        units.setdefault(replace(each, unit=""), []).append(each.unit)
    return [replace(edit, unit=", ".join(filter(None, names))) for edit, names in units.items()]


def edited_name(parts: Sequence[EditedPart]) -> str:
    """Return the name of the part that was edited, if it was one: `system prompt`, `temperature 0.0 -> 1.0`."""
    edits = by_text(parts)
    names = {_kind(each) for each in edits}
    if len(names) != 1:
        return ""
    [name] = names
    is_number = len(edits) == 1 and edits[0].is_short and name not in NAMES.values()
    return f"{name} {edits[0].before or NONE} -> {edits[0].now or NONE}" if is_number else name


def _kind(edit: EditedPart) -> str:
    """Return what kind of part it is: several worked examples are one part."""
    return "worked examples" if edit.part.startswith("worked example") else NAMES.get(edit.part, edit.part)


def edited_lines(parts: Sequence[EditedPart]) -> Iterator[str]:
    """Yield the edited parts of a configuration, a prompt as a word diff."""
    if parts:
        yield f"{quantity(len(parts), 'part')} of the configuration edited: compared with what is in service"
    yield from part_lines(parts)


def part_lines(parts: Sequence[EditedPart]) -> Iterator[str]:
    """Yield each edited part, a prompt as a word diff; the same edit of several units once."""
    for each in by_text(parts):
        if each.is_short:
            yield f"  {each.name}: {shown(each.before or NONE)} -> {shown(each.now or NONE)}"
        else:
            yield f"  {each.name}:"
            yield from (f"    {line}" for line in shown_lines(word_diff(each.before, each.now)).splitlines())
