"""What labels a file holds on some questions, and how people agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunegate.harness.cases.traffic.labels import Labels
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent, quantity
from tunegate.harness.labelling.questions import Question


def summary_lines(questions: Sequence[Question], labels: Labels) -> Iterator[str]:
    """Yield how many questions are labelled and disputed, and the agreement of every two people."""
    disputed = set(labels.disputed)
    whole = sum(all(labels.label_of(*pair) is not None for pair in each.pairs) for each in questions)
    differing = sum(bool(disputed & set(each.pairs)) for each in questions)
    yield f"labelled: {whole} of {len(questions)}"
    if differing:
        counts = "counts" if differing == 1 else "count"
        yield (
            f"people differ on {quantity(differing, 'question')}, which {counts} as not labelled: "
            "run this command with --adjudicate"
        )
    for (first, second), found in labels.agreements().items():
        kappa = "" if found.kappa is None else f", Cohen's kappa {found.kappa:.2f}"
        yield (
            f"{shown(first)} and {shown(second)} both labelled {found.count} outputs and differ on {found.differing} "
            f"({percent(found.differing / found.count)}){kappa}; each errs on about {percent(found.error_rate)}, if "
            "both err independently and equally often"
        )
