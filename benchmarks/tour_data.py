"""The data of `tunegate tour`, made anew: the flagship's open fixtures, and the outputs of its base and two adapters.

    python benchmarks/flagship.py MODEL.gguf WORK    # hours
    python benchmarks/tour_data.py WORK/large

Nothing is chosen: these are all open cases, and all general questions.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.flagship import ARCHIVE, DESK, QUESTIONS, SEALED, TASK
from benchmarks.frame import ROOT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.prompts import requests

DATA = ROOT / "harness/begin/tour/data"
ADAPTERS = {"tuned": "seed-0", "archive": ARCHIVE}


def main(folder: Annotated[Path, typer.Argument(help="The larger model's folder.", exists=True)]) -> None:
    """See the module."""
    fixtures = DATA / "fixtures" / TASK
    shutil.copytree(folder / "fixtures" / TASK, fixtures, dirs_exist_ok=True)
    _leave_out_sealed(fixtures)
    [task] = load_tasks(fixtures.parent)
    digests = {asked.key: asked.digest for asked in requests(task.units, "as-is", repeats=1)}
    _write("base", _baseline(folder), digests)
    for name, record in ADAPTERS.items():
        cases = read_record(folder / f"{record}.json").cases
        _write(name, {key: _kept(cases[key]) for key in digests}, digests)
    for path in sorted(DATA.rglob("*.*")):
        print(f"{path.stat().st_size:8,} {path.relative_to(ROOT)}")


def _leave_out_sealed(fixtures: Path) -> None:
    """Sealed cases are for a release, and nothing is released on recorded outputs."""
    unit = SEALED.partition("/")[2]
    (fixtures / f"{unit}.yaml").unlink()
    policy = read_yaml(fixtures / "task.yaml").data
    units = {name: each for name, each in policy["units"].items() if name != unit}
    (fixtures / "task.yaml").write_text(write_yaml({**policy, "units": units}), "utf-8")


def _baseline(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The base's outputs, by case."""
    [kept] = (folder / "baselines").glob(f"*/{TASK}/desk.json")
    units = {
        unit: json.loads((kept.parent / f"{unit.partition('/')[2]}.json").read_text()) for unit in (DESK, QUESTIONS)
    }
    return {f"{unit}/{case}": each for unit, read in units.items() for case, each in read["cases"].items()}


def _kept(result: Any) -> Mapping[str, Any]:
    """A result of a record as a baseline keeps it."""
    return {"output": result.output, "tokens_in": result.tokens_in, "tokens_out": result.tokens_out}


def _write(name: str, outputs: Mapping[str, Mapping[str, Any]], digests: Mapping[str, str]) -> None:
    """One line a case, as `replay:` reads them, each with the digest of the request."""
    lines = (
        {"case": key} | {part: outputs[key][part] for part in ("output", "tokens_in", "tokens_out")} | {"digest": asked}
        for key, asked in digests.items()
    )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (DATA / "outputs" / f"{name}.jsonl").write_text(text, "utf-8")


if __name__ == "__main__":
    main.__doc__ = __doc__
    typer.run(main)
