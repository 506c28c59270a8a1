"""Run the loop on recorded outputs: each command as typed, why it comes now, and what it shows."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rich.console import Console

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path


@dataclass(frozen=True, slots=True)
class Stop:
    """A command of the tour: why it comes now, its expected exit code, and an explanation of its output."""

    why: str
    command: tuple[str, ...]
    code: int
    seen: str


MODEL = "--tg-model=replay:qwen2.5-coder-1.5b="
STOPS = (
    Stop(
        "Fixtures come first, and lint checks them without a model", ("tunegate", "lint"), 0,
        "A ferry company's desk: messages to be sorted by topic and urgency, as strict JSON (the target: it must "
        "improve), and general questions (a guard: it must hold). fixtures/ferry/task.yaml says so, with the reasons.",
    ),
    Stop(
        "The baseline: the base model's outputs, scored",
        ("tunegate", "record", "--from", "outputs/base.jsonl", "--name", "qwen2.5-coder-1.5b"), 0,
        "Qwen2.5-Coder-1.5B-Instruct gets 91 % of the general questions right, but only 8 % of the messages. "
        "Its outputs were recorded once; the baseline is now in baselines/, to be committed beside the fixtures.",
    ),
    Stop(
        "The gate on a tuned model: better on the target, and no worse on the guard?",
        ("pytest", "fixtures/", f"{MODEL}outputs/tuned.jsonl", "--tg-against=baseline"), 0,
        "It passes. A LoRA, trained for one epoch on 388 rows, sorts 82 % right, and the general questions hold.",
    ),
    Stop(
        "The gate on another one: the same rows, but from an archive in which no message was ever marked as urgent",
        ("pytest", "fixtures/", f"{MODEL}outputs/archive.jsonl", "--tg-against=baseline", "--tg-out=archive.json"), 1,
        "It blocks, and would stop a pull request. The average rose from 8 to 59 %, but `today: true` is never output "
        "any more: each message that cannot wait would wait. By the average, this model would have shipped.",
    ),
    Stop(
        "The page for a reviewer, from the same record",
        ("tunegate", "report", "archive.json", "--html=page.html"), 0,
        "One file with every case, its prompt, its outputs before and now, and filters. It opens without a network; "
        "CI keeps it beside the record.",
    ),
)  # fmt: skip

NEXT = """\
What to do next
  see the page:   {page}
  look around:    cd {folder}   (task.yaml, the cases and the three files of outputs are yours to change)
  your own task:  tunegate init desk --from mail.csv --input text --expect team
  a real model:   pip install 'tunegate[models]', then pytest fixtures/ --tg-model=FOLDER --tg-record
"""


def walk(console: Console, folder: Path) -> int:
    """Write the repository into `folder` and run the steps; returns 0, or 3 if one ends with another exit code.

    Raises Refused if the folder is not empty, CouldNotRun if it cannot be written.
    """
    start = time.monotonic()
    _write(folder)
    console.print(f"A small repository with recorded outputs of three real models: {show_path(folder)}", markup=False)
    for number, stop in enumerate(STOPS, start=1):
        console.print()
        console.print(f"{number} of {len(STOPS)}: {stop.why}", style="bold", markup=False)
        console.print(f"$ {shlex.join(stop.command)}", markup=False)
        code = _run(stop.command, folder)
        if code != stop.code:
            console.print(f"stopped: expected exit code {stop.code}, found {code}", style="bold red")
            return CouldNotRun.exit_code
        console.print(f"exit code {code}. {stop.seen}", style="italic", markup=False)
    console.print()
    console.print(NEXT.format(folder=show_path(folder), page=(folder / "page.html").resolve().as_uri()), markup=False)
    console.print(f"The tour took {time.monotonic() - start:.0f} seconds.")
    return 0


def _write(folder: Path) -> None:
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{show_path(folder)}: expected a new or empty folder, found files in it; name another one")
    try:
        with resources.as_file(resources.files(__package__) / "data") as data:
            shutil.copytree(data, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise CouldNotRun(f"{show_path(folder)}: expected a folder to write in, found: {error.strerror}") from error


def _run(command: tuple[str, ...], folder: Path) -> int:
    # the environment of another project's pytest would change the output
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # with this interpreter: `pytest` on the PATH may belong to another environment
    return subprocess.run((sys.executable, "-m", *command), cwd=folder, env=environment, check=False).returncode
