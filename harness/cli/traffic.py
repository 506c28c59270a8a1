"""Freeze production inputs: scanned for secrets and personal data, each once, outside of the repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import chatter, check_reason, console
from tunegate.harness.cli.options import Quiet, shared
from tunegate.harness.core.errors import Problem, Refused, show_path
from tunegate.harness.core.formatting import listed

if TYPE_CHECKING:
    from tunegate.harness.cases.snapshot import TrafficInput
    from tunegate.harness.core.progress import Watch

SHOWN = 100  # refused lines


def traffic(
    file: Annotated[Path, typer.Argument(help="Inputs, one JSON object a line, with `input`.", metavar="FILE.jsonl")],
    folder: Annotated[Path | None, shared("traffic")] = None,
    allow_personal: Annotated[str | None, shared("allow-personal")] = None,
    quiet: Quiet = False,
) -> None:
    """Freeze production inputs as a snapshot, which units name by its digest.

    A line is {"input": TEXT or turns, "context": TEXT}, the input as in a case. Lines with secrets or personal data
    are refused. A repeated input is kept once. The snapshot is kept outside of the repository and never copied there.
    """
    from tunegate.harness.cases.snapshot import PREFIX, parse_traffic, snapshot_path, traffic_in, write_snapshot
    from tunegate.harness.core.progress import watch_on

    check_reason("--allow-personal", allow_personal)
    found = parse_traffic(file)
    private = list(_private_lines(found, watch_on(chatter(quiet, as_json=True))))
    if private and not allow_personal:
        raise Refused(_refusal(file, private))
    inputs = list(dict.fromkeys(each for _, each in found))
    with traffic_in(folder):
        sha = write_snapshot(inputs)
        path = snapshot_path(sha)
    aside = chatter(quiet)
    aside.print(f"{len(inputs):,} different inputs of {len(found):,} lines, in {show_path(path)}")
    if len(inputs) < len(found):
        aside.print("An input that was sent several times counts once")
    if private:
        aside.print(f"lines with secrets or personal data are kept ({len(private):,}): {allow_personal}")
    console.print(f"traffic: {PREFIX}{sha}")


def _private_lines(found: Sequence[tuple[int, TrafficInput]], watch: Watch) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line with secrets or personal data, and the kinds."""
    from tunegate.harness.rows.privacy.detectors import private_kinds

    with watch("Looking for secrets and personal data", len(found)) as done:
        for number, each in found:
            if kinds := private_kinds(each.text):
                yield number, kinds
            done(1)


def _refusal(file: Path, private: Sequence[tuple[int, Sequence[str]]]) -> str:
    """Return what is wrong with which lines, without what was found in them."""
    lines = [str(Problem(file, number, "", "no private data", listed(kinds))) for number, kinds in private[:SHOWN]]
    more = [f"and {len(private) - SHOWN:,} more lines"] if len(private) > SHOWN else []
    return (
        f"{show_path(file)}: {len(private):,} of its lines hold secrets or personal data; remove them, or keep them "
        "with --allow-personal REASON:\n" + "\n".join(f"  {line}" for line in (*lines, *more))
    )
