"""What a run that blocks leaves in a log: how long it is on a terminal and under CI, and where the verdict stands.

python benchmarks/ci_log.py    # half a minute; writes results/ci_log.md
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.gate_markdown import table
from tunegate.harness.core.files import write_atomically

RESULT = Path(__file__).parent / "results/ci_log.md"
GATE = ("pytest", "fixtures/", "-o", "addopts=", "--tg-model=replay:smollm2=outputs/overtuned.jsonl",
        "--tg-against=baseline", "--tg-out=record.json")  # fmt: skip
RECORD = ("tunegate", "record", "--from", "outputs/base.jsonl", "--name", "smollm2", "--quiet")
OF_CI = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS")
RUNS = {"a terminal's": {}, "under CI": {"CI": "true", "GITHUB_ACTIONS": "true"}}
HEAD = ("log", "bytes", "lines", "table, lines", "decision, line", "a regressed case is told, times at most")

REPORT = """\
# What a run leaves in a log

    python benchmarks/ci_log.py

The gate on the tour's overtuned model: 160 cases, of which 19 regressed. pytest has each of these under a heading of
its own, and once more in its list of failures, there by its name and the rule that it breaks alone.

{table}

The first version, on another run, left 12.4 kB on a terminal and 19.7 kB under CI: a broken case stood there three
times, and the verdict at line 97 of 203.
"""


@dataclass(frozen=True, slots=True)
class Log:
    """The text of a run, and the cases that regressed in it with what is wrong with each."""

    text: str
    wrong: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The lines of it."""
        return self.text.splitlines()

    @property
    def table(self) -> tuple[int, int]:
        """The first and the last line of the table of verdicts, from 1."""
        first = 1 + max(number for number, line in enumerate(self.lines) if line.startswith("unit "))
        return first, first + next(number for number, line in enumerate(self.lines[first:]) if not line.strip())

    @property
    def decision(self) -> int:
        """The line of the task's decision, from 1: the last of those that hold it."""
        return max(number for number, line in enumerate(self.lines, start=1) if line.startswith("support: Blocked"))

    @property
    def told(self) -> int:
        """How often that is told which is told most often."""
        return max(self.text.count(each) for each in self.wrong)

    def row(self, name: str) -> list[str]:
        """A row of the table of results."""
        first, last = self.table
        return [name, f"{len(self.text.encode()):,}", str(len(self.lines)), f"{first} to {last}", str(self.decision),
                str(self.told)]  # fmt: skip


def logs(folder: Path) -> dict[str, Log]:
    """The tour's overtuned model, judged in a folder: what each kind of run prints."""
    with resources.as_file(resources.files("tunegate.harness.tour") / "data") as data:
        shutil.copytree(data, folder, dirs_exist_ok=True)
    _printed(folder, RECORD, {}, 0)
    return {name: _log(folder, environment) for name, environment in RUNS.items()}


def _log(folder: Path, environment: dict[str, str]) -> Log:
    printed = _printed(folder, GATE, environment, 1)
    text = re.sub(r"\d+\.\d\ds", "1.00s", printed.replace(str(folder), "tour"))  # as long wherever it runs
    record = json.loads((folder / "record.json").read_text())
    wrong = tuple(
        f"- {finding['rule']}: {finding['message']}"
        for unit, verdict in record["verdicts"].items()
        for case in verdict["regressed_cases"]
        for finding in record["cases"][f"{unit}/{case}"]["findings"]
    )
    return Log(text, wrong)


def _printed(folder: Path, command: tuple[str, ...], more: dict[str, str], code: int) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in OF_CI and "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=kept | more, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        sys.exit(f"{' '.join(command)}: expected exit code {code}, found {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Measure, and write the results."""
    with tempfile.TemporaryDirectory() as made:
        found = logs(Path(made).resolve())
    rows = [log.row(name) for name, log in found.items()]
    write_atomically(RESULT, REPORT.format(table=table(HEAD, rows)))
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
