"""Coverage as text: sentences, and a table of what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from tunegate.harness.core.authoring.document import shortened
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent, quantity
from tunegate.harness.core.printing import Printer
from tunegate.harness.labelling.coverage.coverage import Coverage, Drift, InputCluster

LISTED = 20  # cases that are named
EXAMPLE = 100  # characters of an input
HIDDEN = "(not shown: secrets or personal data)"


def print_coverage(console: Printer, found: Coverage) -> None:
    """Print the share without a near case, its clusters, the cases without traffic, and the drift."""
    console.lines(opening(found))
    if found.clusters:
        console.print(_table("missing", found.clusters))
    console.lines(closing(found))
    if found.drift:
        console.lines([drift_sentence(found.drift)])
        if found.drift.moved:
            console.print(_table("grew or fell", found.drift.moved))


def opening(found: Coverage) -> list[str]:
    """What was compared, and which share of it has no case near."""
    some = f", {len(found.inputs):,} of them drawn at random" if found.total > len(found.inputs) else ""
    compared = f"{found.total:,} different inputs{some}, beside {len(found.cases):,} cases."
    if not found.near.far.any():
        return [compared, f"None is found to be without a case near it. {_limit(found)}"]
    single = f"{'; ' if found.clusters else ''}{quantity(found.single, 'single input')}" if found.single else ""
    clusters = quantity(len(found.clusters), "cluster") if found.clusters else ""
    missing = f"No case near: {percent(found.share(found.near.far))} of the requests"
    return [compared, f"{missing} ({quantity(int(found.near.far.sum()), 'input')}: {clusters}{single})."]


def closing(found: Coverage) -> Iterator[str]:
    """What is not shown, what could not be found, and the cases that no traffic is near."""
    if found.near.far.any():
        yield _limit(found)
    if found.private:
        private = quantity(found.private, "input")
        yield f"{private} of these hold secrets or personal data, and are counted but not shown."
    if found.unvisited:
        names = [case.key for case in found.unvisited]
        more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        yield f"No traffic near: {quantity(len(names), 'case')}: {', '.join(map(shown, names[:LISTED]))}{more}"


def drift_sentence(drift: Drift) -> str:
    """Whether the traffic differs from the earlier snapshot."""
    p = f"p = {drift.p:.3g}, energy test"
    if not drift.found:
        return f"No drift is found since the earlier snapshot ({p})."
    return f"The inputs differ from those of the earlier snapshot ({p})." + (
        "" if drift.moved else " No single cluster is shown to have grown or fallen."
    )


def _limit(found: Coverage) -> str:
    return (
        f"With {len(found.cases):,} cases, a topic without any is found from about {percent(found.smallest)} of the "
        "inputs on."
    )


def _table(title: str, clusters: Sequence[InputCluster]) -> Table:
    has_before = clusters[0].before is not None
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(title)
    for name in ("before", "now") if has_before else ("requests", "inputs"):
        table.add_column(name, justify="right")
    table.add_column("most central input")
    for each in clusters:
        numbers = (percent(each.before), percent(each.share)) if has_before else (percent(each.share), str(each.inputs))
        table.add_row(*map(Text, (shown(each.name), *numbers, shown(shortened(each.example, EXAMPLE)) or HIDDEN)))
    return table
