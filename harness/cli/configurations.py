"""A comparison of configurations: what differs, a table, and the cases that differ most; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunegate.harness.cli.common import chatter, console
from tunegate.harness.cli.report import write_page
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.printing import Printer, print_json

if TYPE_CHECKING:
    from tunegate.harness.cases.model import Unit
    from tunegate.harness.models.options.run import Options
    from tunegate.harness.session.comparison import Compared
    from tunegate.harness.session.sides import Side

NO_EVIDENCE = (
    "for information only: it compares open cases and blocks nothing; to decide on a change, use tunegate gate"
)


def compare_configurations(
    given: Sequence[str], options: Options, units: Sequence[str], html: Path | None, as_json: bool, quiet: bool
) -> None:
    """Run the named configurations on the open cases, and print how the later ones differ from the first.

    Raises:
        UsageError: a configuration, a unit or their combination is not understood.
        Refused: a record has other questions.
        CouldNotRun: a model cannot be opened, or failed.
    """
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.reporting.comparison import comparison_data, print_comparison
    from tunegate.harness.session.comparison import ComparisonRun
    from tunegate.harness.session.sides import read_sides

    sides = read_sides(given)
    run = ComparisonRun(options, sides, units)
    aside = chatter(quiet, as_json)
    _print_differences(aside, sides, run.configured, options.model)
    found = run.execute(watch_on(aside))
    if as_json:
        print_json(comparison_data(found.records))
    else:
        print_comparison(console, found.records)
    aside.lines(found.notes)
    if html:
        aside.print(f"page: {show_path(_page(html, found))}")
    aside.print(NO_EVIDENCE)


def _print_differences(
    aside: Printer, sides: Sequence[Side], configured: Mapping[str, Sequence[Unit]], model: str
) -> None:
    """Print how each later configuration differs from the first: model, adapter, prompt, decoding."""
    from tunegate.harness.reporting.edited import EditedPart, part_lines
    from tunegate.harness.review.change.candidate import edited_parts

    first = sides[0]
    for side in sides[1:]:
        named = EditedPart("", "model", first.model or model, side.model or model)
        tuned = EditedPart("", "adapter", str(first.adapter or "none"), str(side.adapter or "none"))
        edits = [each for each in (named, tuned) if each.before != each.now and not (first.record or side.record)]
        both = zip(configured[first.name], configured[side.name], strict=True)
        edits += [each for old, new in both for each in edited_parts(old.key, old.configuration, new.configuration)]
        aside.print(f"{shown(side.name)}, against {shown(first.name)}:" + ("" if edits else " nothing differs"))
        aside.lines(part_lines(edits))


def _page(path: Path, found: Compared) -> Path:
    """Write the page of a comparison."""
    from tunegate.harness.reporting.decision import Inputs

    kept = [each.path for each in found.records if each.path]
    inputs = Inputs(found.records[1:], ())
    return write_page(path, kept, inputs, inputs.report())
