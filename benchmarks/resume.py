"""Ten kills of a short, real training: does the same command give the adapter that no kill would have given?

    python benchmarks/resume.py                        # the embedded model; 11 minutes on one core
    python benchmarks/resume.py --kills 3 --model DIR  # another model; --out DIR keeps the result apart

A task of four cases and 40 rows of the demo is written, its baseline recorded, the ladder climbed, and one adapter
trained in peace. Then the same recipe is trained again and killed with SIGKILL, time and again, at random moments,
until it may end.
Writes resume.md; exit code 1 if a byte of the two adapters differs or a training was not gone on with.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import PLUGIN
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch, watch_on
from tunegate.harness.models.adapters import adapter_digest
from tunegate.trainers.training.checkpoints import newest, step_of

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CASES, ROWS, BATCH = 4, 40, 4
ADAPTERS = ("adapter_model.safetensors", "adapter_config.json")
TRAIN = ("-m", "tunegate", "train", "recipe.yaml")
LIBRARIES = ("tunegate", "torch", "transformers", "peft", "trl")


class Failed(Exception):
    """A command did not do what it should."""


@dataclass(frozen=True)
class Kill:
    """One kill: where that run began, the last whole checkpoint it left, and whether one was half-written."""

    began: int
    left: int
    torn: bool
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came of it; sizes in bytes."""

    steps: int
    kills: Sequence[Kill]
    resumed: int
    equal: bool
    digest: str
    checkpoint: int


def write_project(folder: Path, model: str, kills: int) -> None:
    """A task of a few of the demo's cases, rows for it, and a recipe long enough for that many kills."""
    unit = dict(read_yaml(ROOT / "fixtures/support/triage.yaml").data)
    unit |= {"cases": unit["cases"][:CASES], "generate": {"max_new_tokens": 8}}
    task = folder / "fixtures/support"
    (task / "refs").mkdir(parents=True)
    shutil.copy(ROOT / "fixtures/support/refs/triage.schema.json", task / "refs")
    (task / "triage.yaml").write_text(json.dumps(unit), encoding="utf-8")  # JSON is YAML
    shutil.copytree(ROOT / "suites", folder / "suites")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    lines = (ROOT / "trainers/recipes/rows/triage.jsonl").read_text("utf-8").splitlines()[:ROWS]
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    passes = max(1, -(-kills * 4 * BATCH // ROWS))  # four steps a kill
    optim = {"lr": 5e-4, "epochs": passes, "batch": BATCH, "checkpoint_steps": 1}
    recipe = {"version": 1, "task": "support", "model": model, "rows": ["rows.jsonl"], "output": "adapter",
              "lora": {"dropout": 0.05}, "optim": optim, "seed": 7}  # fmt: skip
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")


def measure(folder: Path, model: str, kills: int, watch: Watch, seed: int = 11) -> Outcome:
    """Train in peace, then again with kills.

    Raises:
        Failed: a command ended otherwise than it should, or the training was over before its kills were.
    """
    draw = random.Random(seed)  # noqa: S311  (the same moments each time; nothing secret)
    with watch("Recording the baseline"):
        _finish(folder, "-m", "pytest", "-q", "-p", PLUGIN, "suites/", f"--tg-model={model}", "--tg-record")
    with watch("Climbing the ladder"):
        _finish(folder, "-m", "tunegate", "diagnose", f"--model={model}")
    with watch("Training in peace"):
        _finish(folder, *TRAIN)
    peace = (folder / "adapter").rename(folder / "peace")
    step, done = _step_seconds(peace), []
    with watch("Killing", kills) as advance:
        for _ in range(kills):
            done.append(_kill(folder, draw, step))
            advance(1)
    left = newest(folder / ".adapter.training")
    size = sum(path.stat().st_size for path in left.rglob("*")) if left else 0
    with watch("Training to the end"):
        said = _finish(folder, *TRAIN)
    found = re.search(r"resuming at step (\d+) of (\d+)", said)
    if not found:
        raise Failed(f"the training was not gone on with:\n{said}")
    adapter = folder / "adapter"
    equal = all((peace / name).read_bytes() == (adapter / name).read_bytes() for name in ADAPTERS)
    return Outcome(int(found[2]), done, int(found[1]), equal, adapter_digest(adapter), size)


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=os.environ | paths, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _finish(folder: Path, *command: str) -> str:
    process = _start(folder, *command)
    said, _ = process.communicate()
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{said[-2000:]}")
    return said


def _step_seconds(adapter: Path) -> float:
    record = json.loads((adapter / "training.json").read_text("utf-8"))
    tokens = record["grading"]["tokens"]["whole"]["median"] * BATCH
    return float(tokens / record["training"]["tokens_per_second"])


def _kill(folder: Path, draw: random.Random, seconds: float) -> Kill:
    """Train until one to three more checkpoints were begun, and kill it up to a step of `seconds` later."""
    work, start = folder / ".adapter.training", time.monotonic()
    began = step_of(left) if (left := newest(work)) else 0
    target = _last_begun(work) + draw.randint(1, 3)
    with _start(folder, *TRAIN) as process:
        while _last_begun(work) < target:
            if process.poll() is not None:
                raise Failed(f"ended with {process.returncode} before its kill:\n{(process.communicate()[0])[-2000:]}")
            time.sleep(0.001)
        time.sleep(seconds * draw.uniform(0, 1) ** 3)  # often at once, while the checkpoint is being written
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise Failed("the training was over before its kill: give it more steps")
    left = newest(work)
    step = step_of(left) if left else 0
    return Kill(began, step, _last_begun(work) > step, time.monotonic() - start)


def _last_begun(work: Path) -> int:
    return max(map(step_of, work.glob("checkpoint-*")), default=0)


def report(outcome: Outcome, model: str, seconds: float) -> str:
    """The result as Markdown."""
    verdict = "the same, byte for byte" if outcome.equal else "DIFFERENT"
    kills = [
        f"| {number} | {kill.began} | {kill.left} | {'yes' if kill.torn else 'no'} | {kill.seconds:.0f} |"
        for number, kill in enumerate(outcome.kills, 1)
    ]
    return "\n".join(
        [
            "# Resume",
            "",
            f"- {len(outcome.kills)} kills (SIGKILL) of a training of {outcome.steps} steps on `{model}`; the last run "
            f"went on at step {outcome.resumed}.",
            f"- The adapter is {verdict} as that of a training that nobody killed (`{outcome.digest[:16]}`).",
            f"- {sum(kill.torn for kill in outcome.kills)} of them fell while a checkpoint was written, which was not "
            f"used. A checkpoint takes {outcome.checkpoint / 1e6:.1f} MB.",
            "",
            "| kill | the run began at step | the last whole checkpoint it left | one half-written | s |",
            "| --: | --: | --: | --- | --: |",
            *kills,
            "",
            f"{datetime.now(UTC):%d %B %Y}, {platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}; "
            f"{seconds / 60:.1f} minutes.",
            "",
        ]
    )


def main(
    kills: Annotated[int, typer.Option(min=1)] = 10,
    model: Annotated[str, typer.Option(help="As --model of the suites.")] = "smollm2",
    out: Annotated[Path, typer.Option(help="Where the result goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Measure and write resume.md."""
    console, start = Console(highlight=False), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        write_project(Path(name), model, kills)
        outcome = measure(Path(name), model, kills, watch_on(console))
    out.mkdir(parents=True, exist_ok=True)
    text = report(outcome, model, time.monotonic() - start)
    (out / "resume.md").write_text(text, encoding="utf-8")
    console.print(text, markup=False)
    if not outcome.equal:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
