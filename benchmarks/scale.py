"""What the harness itself costs as the fixtures grow, beside a bare parametrized pytest file in the same run.

    python benchmarks/scale.py            # 1,000, 10,000 and 100,000 cases; about ten minutes on an idle machine
    python benchmarks/scale.py --quick    # 400 and 4,000 cases, a minute

Writes scale.md; exit code 1 if time does not grow in step with the cases, or torch or its like is loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import PLUGIN, run_process, script
from benchmarks.scale_child import HEAVY
from benchmarks.scale_project import write_project
from tunegate.harness.core.progress import Watch

SIZES, QUICK = (1_000, 10_000, 100_000), (400, 4_000)
REPEATED, TIMES = 10_000, 3  # up to this size the median of three runs counts, above it one run
# how the time of a case may grow to the largest size, ten times the one before; with its square it would be tenfold
MOST_GROWTH = 1.5
LIBRARIES = ("tunegate", "pytest", "jsonschema", "pyyaml", "numpy", "scipy")
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")
OURS = (*PYTEST, "-p", PLUGIN)
PLAIN, LINT, REPORT = "bare pytest", "tunegate lint", "tunegate report"
SUITES, FILES = "pytest suites/", "pytest fixtures/"  # both end to end
GATED = ("--tg-model=replay:after.jsonl", "--tg-against=before.json", "--tg-out=after.json")
COMMANDS = {
    PLAIN: (*PYTEST, "test_bare.py"),
    LINT: ("tunegate", "lint", "fixtures"),
    SUITES: (*OURS, "suites/", *GATED),
    FILES: (*OURS, "fixtures/", *GATED),
    REPORT: ("tunegate", "report", "after.json"),
}
#: Makes the record to compare with.
FIRST = (*OURS, "suites/", "--tb=no", "--tg-model=replay:before.jsonl", "--tg-out=before.json")


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall clock and of processor time, its peak in MB, what it loaded."""

    what: str
    n: int
    wall: float
    cpu: float
    peak: float
    heavy: Sequence[str] = ()

    @property
    def each(self) -> float:
        """Microseconds of processor time a case."""
        return 1e6 * self.cpu / self.n


def measure(sizes: Sequence[int], watch: Watch, times: int = TIMES) -> list[Run]:
    """Run every command on a project of each size, one process at a time, `times` up to 10,000 cases, else once.

    Raises:
        Failed: a command ended otherwise than judged; its last lines.
    """
    found = []
    turns_of = {n: times if n <= REPEATED else 1 for n in sizes}
    with watch("Runs", sum(1 + len(COMMANDS) * each for each in turns_of.values())) as done:
        for n, again in turns_of.items():
            with tempfile.TemporaryDirectory(prefix="tunegate-scale-") as folder:
                write_project(Path(folder), n)
                run("first", FIRST, n, Path(folder))
                done(1)
                turns: dict[str, list[Run]] = {what: [] for what in COMMANDS}
                for _ in range(again):  # in turn, so that a machine that slows down slows down all of them
                    for what, command in COMMANDS.items():
                        turns[what].append(run(what, command, n, Path(folder)))
                        done(1)
            found += [_median(each) for each in turns.values()]
    return found


def run(what: str, command: Sequence[str], n: int, project: Path) -> Run:
    """Run one command in a process of its own, inside the project."""
    told_in = project / "report.json"
    used = run_process(
        [Path(__file__).with_name("scale_child.py"), told_in, *command], project, project / "log.txt",
        fine=(0, 1),  # 1: judged, and something failed
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",  # no plugins but pytest's own and ours
    )  # fmt: skip
    told = json.loads(told_in.read_text())
    return Run(what, n, used.wall, used.cpu, used.peak, told["heavy"])


def _median(runs: Sequence[Run]) -> Run:
    return sorted(runs, key=lambda each: each.cpu)[len(runs) // 2]


def growths(runs: Sequence[Run]) -> dict[str, float]:
    """The time of a case at the largest size as a multiple of that at the size before, of each command."""
    few, many = sorted({each.n for each in runs})[-2:]
    at = {(each.what, each.n): each for each in runs}
    return {what: at[what, many].each / at[what, few].each for what in COMMANDS}


def broken(runs: Sequence[Run]) -> Iterator[str]:
    """What should not be: heavy libraries, and cases that take longer where there are more of them."""
    for each in runs:
        if each.heavy:
            yield f"{each.what} at {each.n:,} cases loaded {', '.join(each.heavy)}"
    for what, grown in growths(runs).items():
        if grown > MOST_GROWTH:
            yield f"{what}: a case takes {grown:.1f} times as long at the largest size as at the one before"


def findings(runs: Sequence[Run]) -> Iterator[str]:
    """What the tables come to, for the largest size."""
    at, (few, many) = {(each.what, each.n): each for each in runs}, sorted({each.n for each in runs})[-2:]
    plain, grown = at[PLAIN, many], growths(runs)
    for what in (SUITES, FILES):
        yield (
            f"End to end by {what}, a case among {many:,} takes {at[what, many].each / 1e3:.2f} ms, a bare pytest test "
            f"{plain.each / 1e3:.2f} ms: {at[what, many].each / plain.each:.1f} times."
        )
    yield (
        f"A case among {many:,} takes {grown[SUITES]:.2f} times as long as one among {few:,} (bare pytest: "
        f"{grown[PLAIN]:.2f}), and adds {_memory(at, SUITES, few, many):.1f} KB to the peak (bare pytest: "
        f"{_memory(at, PLAIN, few, many):.1f} KB)."
    )
    yield f"tunegate report shows the record of {many:,} cases in {at[REPORT, many].cpu:.1f} s."
    heavy = sorted({name for each in runs for name in each.heavy})
    yield f"Of {', '.join(HEAVY)} {'these were loaded: ' + ', '.join(heavy) if heavy else 'none was loaded'}."


def _memory(at: Mapping[tuple[str, int], Run], what: str, few: int, many: int) -> float:
    return 1024 * (at[what, many].peak - at[what, few].peak) / (many - few)


def report(runs: Sequence[Run], made: str) -> str:
    """The findings, the tables and how they were made, in Markdown."""
    plain = {each.n: each.each for each in runs if each.what == PLAIN}
    commands = [
        [f"{each.n:,}", each.what, f"{each.wall:.1f}", f"{each.cpu:.1f}", f"{each.each / 1e3:.2f}",
         f"{each.each / plain[each.n]:.1f}", f"{each.peak:.0f}"]
        for each in runs
    ]  # fmt: skip
    return "\n".join([
        "# Scale", "", *(f"- {line}" for line in findings(runs)), "", "## Commands", "",
        "Processes of their own; `s` is wall clock, `CPU s` user and system time, the ratio is of CPU time.", "",
        *_table(["cases", "command", "s", "CPU s", "CPU ms a case", "times bare pytest", "peak MB"], commands), "",
        "## How", "",
        f"{made} Up to {REPEATED:,} cases the run of {TIMES} with the median CPU time, in turn with the others; above, "
        "one run.", "",
    ])  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---" if name == "command" else "--:" for name in head]
    return ["| " + " | ".join(line) + " |" for line in [head, rule, *rows]]


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[SIZES], quick=[QUICK])
