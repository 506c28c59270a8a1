"""What one check of a project's own costs the gate: read before it runs, a copy of the tree, a box, all hashed twice.

    python benchmarks/own_checks.py --before /old/bin/python   # beside another installed version, in turns

A project of 70 recorded outputs is decided under --policy-from, by shipped kinds of check and with one of its own.
Writes own_checks.md; exit code 1 if a promise was broken.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` and `tests` are, also for a script

from benchmarks.attack_world import GATE, World, make_world
from benchmarks.frame import RESULTS, Failed, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.core.progress import Watch

MOST = 0.5  # seconds more than before
Seconds = dict[tuple[str, str], list[float]]


def measure(pythons: dict[str, str], times: int, watch: Watch) -> Seconds:
    """Seconds of each gate, by who decided and which checks."""
    found: Seconds = {}
    kinds = {"plain": "shipped checks", "checks": "one of its own"}
    with tempfile.TemporaryDirectory() as folder, watch("Deciding", times * len(pythons) * 2) as done:
        for kind in kinds:
            make_world(kind, Path(folder, kind))
            world = World(Path(folder, kind))
            os.chdir(world.home)
            world.outputs(38)
        for _ in range(times):
            for kind, checks in kinds.items():
                for who, python in pythons.items():
                    found.setdefault((who, checks), []).append(_seconds(python, Path(folder, kind)))
                    done(1)
        os.chdir("/")
    return found


def _seconds(python: str, home: Path) -> float:
    start = time.perf_counter()
    code = os.spawnve(os.P_WAIT, python, _command(home), dict(os.environ))  # noqa: S606  (the least that can be timed)
    if code:
        raise Failed(f"{python}: the gate ended with {code}")
    return time.perf_counter() - start


def _command(home: Path) -> Sequence[str]:
    line = "import os, sys; os.chdir(sys.argv.pop(1)); sys.stdout = open(os.devnull, 'w'); "
    return ["python", "-I", "-c", f"{line}from tunegate.harness.cli.main import main; main()", str(home), *GATE]


def report(found: Seconds, how: str) -> str:
    """The table, in Markdown."""
    rows = [
        [who, checks, *(f"{each:.2f}" for each in (min(seconds), statistics.median(seconds), max(seconds)))]
        for (who, checks), seconds in found.items()
    ]
    more = (
        "" if len({who for who, _ in found}) < 2 else f"With one of its own: {_more(found):+.2f} s in the median.\n\n"
    )
    head = table(["version", "checks", "least, s", "median, s", "most, s"], rows)
    return f"# What a check of one's own costs the gate\n\n{more}{head}\n\n## How\n\n{how}\n"


def _more(found: Seconds) -> float:
    before, now = (statistics.median(found[who, "one of its own"]) for who in ("before", "now"))
    return now - before


def broken(found: Seconds) -> list[str]:
    """The promise, where it was not kept."""
    if ("before", "one of its own") not in found or _more(found) <= MOST:
        return []
    return [f"{_more(found):.2f} s more than before, at most {MOST} were promised"]


def main(
    before: Annotated[str, typer.Option(help="A Python with another version installed, to be timed in turns.")] = "",
    times: Annotated[int, typer.Option(help="How often each is timed.", min=1)] = 7,
    out: Annotated[Path, typer.Option(help="Where the result is written.")] = RESULTS,
) -> None:
    """Time the gate."""
    pythons = ({"before": before} if before else {}) | {"now": sys.executable}
    command = f"python benchmarks/own_checks.py{' --before PYTHON' if before else ''}"
    target = out.absolute() / "own_checks.md"
    carry_out(target, command, ["tunegate"], lambda watch: measure(pythons, times, watch), report, broken)


if __name__ == "__main__":
    typer.run(main)
