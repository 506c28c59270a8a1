"""The whole loop on the embedded model, with the commands that a user would type."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.printing import Printer
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.reporting.record import print_record

TASK = Path("fixtures/support")
WHOLE = Path("trainers/recipes/support.yaml")
SHORT = Path("trainers/recipes/replies-sft.yaml")
#: One target with its sealed unit, and two guards: what the short recipe trains for, and what it must not degrade.
UNITS = ("replies", "replies-sealed", "questions", "passages")
REFERENCES = "refs/voice.yaml"  # their reference file


def steps(home: Path, full: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Return the purpose of each of the loop's commands, and the command; everything they write is below `home`."""
    cases, recipe = (TASK.parent, WHOLE) if full else (home / "fixtures", SHORT)
    baselines, adapter, record = f"{home}/baselines", f"{home}/adapter", f"{home}/record.json"
    asked, named = f"--tg-cases={cases}", f"--cases={cases}"
    return [
        ("Record the baseline: the base model's scores today",
         ("pytest", "suites/", "--tg-record", asked, f"--tg-baselines={baselines}")),
        ("Diagnose on a few cases: is a better prompt enough?",
         ("tunegate", "diagnose", "support", "--sample=10", named, f"--baselines={baselines}")),
        ("Train a LoRA adapter, which baseline and diagnosis now allow",
         ("tunegate", "train", str(recipe), named, f"--baselines={baselines}", f"--output={adapter}")),
        ("Run the gate: evaluate the adapter against the baseline, with sealed cases",
         ("pytest", "suites/", f"--tg-adapter={adapter}", "--tg-against=baseline", "--tg-sealed", asked,
          f"--tg-baselines={baselines}", f"--tg-out={record}")),
        ("Release it: evaluate both models again, then write manifest and ledger",
         ("tunegate", "release", adapter, f"--run={record}", named, f"--baselines={baselines}")),
    ]  # fmt: skip


def run(console: Printer, home: Path, full: bool) -> int:
    """Run the loop; return 0 if the adapter was released, otherwise the exit code of the failed step.

    Raises:
        CouldNotRun: the current directory is not in a checkout of the project.
    """
    for needed in (WHOLE, SHORT, TASK / "task.yaml"):
        if not needed.is_file():
            raise CouldNotRun(f"the demo runs in a checkout of the project: expected {needed} here, found none")
    shutil.rmtree(home, ignore_errors=True)
    if not full:
        left_out = copy_units(TASK, home / "fixtures" / TASK.name)
        console.print(f"One target ({UNITS[0]}), its sealed unit and two guards. Left out: {', '.join(left_out)}; "
                      "run them with: tunegate demo --full")  # fmt: skip
    start, code, todo = time.monotonic(), 0, steps(home, full)
    for number, (why, command) in enumerate(todo, start=1):
        console.print()
        console.rule(f"{number} of {len(todo)}: {why}", align="left")
        console.print(f"$ {shlex.join(command)}", markup=False, soft_wrap=True)
        # with this interpreter: `pytest` on the path may belong to another environment
        code = subprocess.run((sys.executable, "-m", *command)).returncode
        if code:
            console.print(f"stopped: exit code {code}", style="bold red")
            break
    _close(console, home, time.monotonic() - start)
    return code


def copy_units(task: Path, to: Path) -> list[str]:
    """Copy a task with only `UNITS`; return the names of the omitted units."""
    policy = yaml.safe_load((task / "task.yaml").read_text("utf-8"))
    (to / REFERENCES).parent.mkdir(parents=True)
    for name in (REFERENCES, *(f"{unit}.yaml" for unit in UNITS)):
        shutil.copy(task / name, to / name)
    left_out = [unit for unit in policy["units"] if unit not in UNITS]
    policy["units"] = {unit: policy["units"][unit] for unit in UNITS}
    (to / "task.yaml").write_text(yaml.safe_dump(policy, sort_keys=False, allow_unicode=True), "utf-8", newline="\n")
    return left_out


def _close(console: Printer, home: Path, seconds: float) -> None:
    console.print()
    console.rule("The result", align="left")
    record = home / "record.json"
    if record.is_file():
        print_record(console, read_record(record))
    for name, path in (("baselines", home / "baselines"), ("adapter", home / "adapter"),
                       ("release manifest", home / "adapter" / "release.json")):  # fmt: skip
        console.print(f"{name}: {path if path.exists() else 'none'}")
    console.print(f"The loop took {seconds / 60:.1f} minutes.")
