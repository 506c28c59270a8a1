"""Numbers and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.gate_passfail import Cell

Key = tuple[int, float]  # n and flip rate


def key(cell: Cell) -> Key:
    """What the rows of most tables are about."""
    return cell.n, cell.flip_rate


def by_size(head: Iterable[str], rows: Mapping[Key, Sequence[str]]) -> str:
    """A table with a row for each n and flip rate."""
    lines = [[str(n), f"{100 * flip_rate:g}", *cells] for (n, flip_rate), cells in rows.items()]
    return table(["n", "flip rate, %", *head], lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of these rows."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def percent(rate: float) -> str:
    """A share in percent, with its sign."""
    return f"{number(rate)} %"


def number(rate: float) -> str:
    """A share in percent."""
    return f"{100 * max(rate, 0.0):.1f}"


def side_by_side(*rates: float) -> str:
    """Shares in percent, in one cell of a table."""
    return " / ".join(map(number, rates))
