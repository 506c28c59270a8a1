"""What the benchmarks share: a command measured in a process of its own, and a run from measuring to its exit code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.progress import Watch, watch_on

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
Measured = TypeVar("Measured")


class Failed(Exception):
    """A measured command did not do what it should."""


def run_process(command: Sequence[str | Path], folder: Path, log: Path, fine: Sequence[int] = (0,)) -> float:
    """Run Python with these arguments inside `folder`, its words in `log`; return the seconds that it took.

    Raises:
        Failed: it ended with a code that is not `fine`; the last of its words.
    """
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode not in fine:
        said = log.read_text("utf-8", errors="replace")[-2000:]
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return time.perf_counter() - start


def run_once(name: str, command: Sequence[str | Path], folder: Path, fine: Sequence[int] = (0,)) -> float:
    """Run Python as `run_process` does, unless `folder` has the minutes of an earlier time; return the minutes."""
    kept = folder / f"{name}.minutes"
    if not kept.exists():
        seconds = run_process(command, folder, folder / f"{name}.log", fine)
        write_atomically(kept, str(seconds / 60))
    return float(kept.read_text())


def carry_out(
    result: Path, command: str, libraries: Sequence[str], measure: Callable[[Watch], Measured],
    report: Callable[[Measured, str], str], broken: Callable[[Measured], Iterable[str]],
) -> None:  # fmt: skip
    """Measure, write the report, and end with exit code 1 if a command failed or a promise is broken.

    Args:
        result: the file of the report.
        command: what makes it again.
        libraries: packages whose versions it names.
        measure: does the work.
        report: the text, from what was measured and a line on where and when.
        broken: the promises that were not kept, in words.
    """
    console, start, load = Console(highlight=False, soft_wrap=True), time.monotonic(), os.getloadavg()[0]
    try:
        found = measure(watch_on(console))
    except Failed as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from error
    text = report(found, made(command, libraries, time.monotonic() - start, load))
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(text, "utf-8")
    console.print(text, markup=False)
    console.print(f"Written: {result}", markup=False)
    if wrong := list(broken(found)):
        console.print(f"A promise is broken: {'; '.join(wrong)}", markup=False)
        raise typer.Exit(1)


def script(
    file: str, libraries: Sequence[str], measure: Callable[..., Measured], report: Callable[[Measured, str], str],
    broken: Callable[[Measured], Iterable[str]], *, whole: Sequence[Any], quick: Sequence[Any],
) -> None:  # fmt: skip
    """Carry a benchmark out by its command line, with --quick and --out; the result is named like its `file`.

    Args:
        file: the script.
        libraries: as of `carry_out`.
        measure: does the work, by these terms and a watch.
        report: as of `carry_out`.
        broken: as of `carry_out`.
        whole: the terms of a whole run.
        quick: those of a shorter one.
    """

    def main(
        fewer: Annotated[bool, typer.Option("--quick", help="Fewer cases or draws.")] = False,
        out: Annotated[Path, typer.Option("--out", help="Where it goes.", metavar="DIR")] = RESULTS,
    ) -> None:
        terms, name = quick if fewer else whole, Path(file).stem
        command = f"python benchmarks/{name}.py{' --quick' * fewer}"
        carry_out(out / f"{name}.md", command, libraries, lambda watch: measure(*terms, watch), report, broken)

    main.__doc__ = sys.modules["__main__"].__doc__
    typer.run(main)


def write(name: str, parts: Iterable[str]) -> None:
    """Write the parts of a result that says itself how it was made, and print them."""
    text = "\n\n".join(parts) + "\n"
    write_atomically(RESULTS / f"{name}.md", text)
    print(text)


def made(command: str, libraries: Sequence[str], seconds: float, load: float) -> str:
    """With what, where and when: `load` is the machine's load average before."""
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return (
        f"    {command}\n\n"
        f"{datetime.now(UTC):%d %B %Y}, {machine()}, Python {platform.python_version()}, {versions}; "
        f"{seconds / 60:.1f} minutes. The machine's load average was {load:.1f} before and {os.getloadavg()[0]:.1f} "
        "after; the benchmark adds 1 by itself for each core it keeps busy, more is noise."
    )


def machine() -> str:
    """The cores, and what they are."""
    cpu, info = platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text(encoding="utf-8").splitlines()
            if "model name" in line
        ]
        cpu = names[0] if names else cpu
    return f"{os.cpu_count()} cores ({cpu})"
