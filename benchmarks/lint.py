"""How long `tunegate lint` takes as the fixtures grow, beside the bare cost of parsing the same files.

    python benchmarks/lint.py            # 1,000, 10,000 and 30,000 cases; a minute or two
    python benchmarks/lint.py --quick    # 300 and 3,000 cases, seconds

Writes lint.md; exit code 1 if a case takes much longer where there are more of them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.scale import LIBRARIES, Run, run
from benchmarks.scale_project import write_project
from tunegate.harness.core.progress import Watch

SIZES, QUICK, TIMES = (1_000, 10_000, 30_000), (300, 3_000), 3
LINT, YAML, START = "tunegate lint", "yaml.CSafeLoader", "start-up"
COMMANDS = {
    LINT: ("tunegate", "lint", "fixtures"),
    YAML: ("benchmarks.lint_child", "yaml"),
    START: ("benchmarks.lint_child", "start"),
}
MOST_GROWTH = 1.5  # of the time that a case takes beyond start-up, from the size before to the largest


def measure(sizes: Sequence[int], watch: Watch) -> list[Run]:
    """Run every command `TIMES` times on a project of each size, in turn; the fastest run of each counts.

    Raises:
        Failed: a command did not end as it should.
    """
    found = []
    with watch("Runs", len(sizes) * len(COMMANDS) * TIMES) as done:
        for n in sizes:
            with tempfile.TemporaryDirectory(prefix="tunegate-lint-") as folder:
                write_project(Path(folder), n)
                turns: dict[str, list[Run]] = {what: [] for what in COMMANDS}
                for _ in range(TIMES):
                    for what, command in COMMANDS.items():
                        turns[what].append(run(what, command, n, Path(folder)))
                        done(1)
            found += [min(each, key=lambda one: one.cpu) for each in turns.values()]
    return found


def growth(runs: Sequence[Run]) -> float:
    """The processor time of a case, without start-up, at the largest size as a multiple of that at the size before."""
    at = {(each.what, each.n): each.cpu for each in runs}
    few, many = sorted({each.n for each in runs})[-2:]
    each = {n: (at[LINT, n] - at[START, n]) / n for n in (few, many)}
    return each[many] / each[few]


def broken(runs: Sequence[Run]) -> Iterator[str]:
    """What should not be: cases that take longer where there are more of them."""
    if growth(runs) > MOST_GROWTH:
        yield f"a case takes {growth(runs):.1f} times as long at the largest size as at the one before"


def report(runs: Sequence[Run], made: str) -> str:
    """The finding, the table and how it was made, in Markdown."""
    at = {(each.what, each.n): each for each in runs}
    sizes = sorted({each.n for each in runs})
    rows = [
        f"| {n:,} | {at[LINT, n].wall:.2f} | {at[LINT, n].cpu:.2f} | {at[START, n].cpu:.2f} | {at[YAML, n].cpu:.2f} | "
        f"{at[LINT, n].cpu / at[YAML, n].cpu:.1f} | {at[LINT, n].peak:.0f} | {at[YAML, n].peak:.0f} |"
        for n in sizes
    ]
    return "\n".join([
        "# Lint", "",
        f"- {sizes[0]:,} cases are linted in {at[LINT, sizes[0]].cpu:.2f} s of processor time, of which start-up is "
        f"{at[START, sizes[0]].cpu:.2f} s.",
        f"- Beyond start-up, a case among {sizes[-1]:,} takes {growth(runs):.2f} times as long as one among "
        f"{sizes[-2]:,}: 1 is linear.", "",
        "| cases | s | CPU s | of that, start-up | bare YAML, CPU s | times bare YAML | peak MB | bare YAML, MB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
        *rows, "",
        "`s` is wall clock. Bare YAML is a process that parses the same files with PyYAML's CSafeLoader and no more:",
        "no lines, no checks. Start-up is the import of what the command imports.", "",
        "## How", "", f"{made} Of {TIMES} runs in turn the one with the least CPU time.", "",
    ])  # fmt: skip


def main(
    quick: Annotated[bool, typer.Option("--quick", help="300 and 3,000 cases, seconds.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where lint.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure lint as the fixtures grow, write lint.md, and fail if it is not linear."""
    sizes, command = (QUICK, " --quick") if quick else (SIZES, "")
    carry_out(
        out / "lint.md", f"python benchmarks/lint.py{command}", LIBRARIES,
        lambda watch: measure(sizes, watch), report, broken,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
