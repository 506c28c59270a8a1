"""The data of `tunegate tour`, made anew: part of the demo's fixtures, and what three models answered to it.

    tunegate train benchmarks/tour_recipes/tuned.yaml
    tunegate train benchmarks/tour_recipes/overtuned.yaml
    pytest suites/ -k 'support/triage/ or support/questions' --tg-out=.tunegate/tour/records
        --tg-adapter=.tunegate/tour/tuned --tg-adapter=.tunegate/tour/overtuned
    python benchmarks/tour_data.py .tunegate/tour/records

The base's answers come from baselines/. Nothing is chosen: these are the first hundred cases of triage and all general
questions, in the order of the files.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from tunegate.harness.cases.loader import load_tasks  # noqa: E402
from tunegate.harness.evaluation.record import read_record  # noqa: E402
from tunegate.harness.models.prompts import requests  # noqa: E402

DATA = ROOT / "harness" / "tour" / "data"
FIXTURES = ROOT / "fixtures" / "support"
TRIAGE_CASES = 100


def main() -> int:
    """Write the fixtures and the outputs of the three models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="the folder of the records of tuned and overtuned")
    records = parser.parse_args().records
    here = DATA / "fixtures" / "support"
    (here / "triage.yaml").write_text(first_cases((FIXTURES / "triage.yaml").read_text("utf-8")), "utf-8")
    (here / "questions.yaml").write_text(without_schema((FIXTURES / "questions.yaml").read_text("utf-8")), "utf-8")
    shutil.copy(FIXTURES / "refs" / "triage.schema.json", here / "refs")
    [task] = load_tasks(here.parent)
    digests = {asked.key: asked.digest for asked in requests(task.units, "as-is", repeats=1)}
    write("base", base_answers(), digests)
    for name in ("tuned", "overtuned"):
        record = read_record(records / f"{name}.json")
        write(name, {key: vars_of(record.cases[key]) for key in digests}, digests)
    print("\n".join(f"{path.stat().st_size:8,} {path.relative_to(ROOT)}" for path in sorted(DATA.rglob("*.*"))))
    return 0


def without_schema(text: str) -> str:
    """A fixture file without the line that names its schema by a path of this repository."""
    return text.partition("\n")[2]


def first_cases(text: str) -> str:
    """A fixture file cut before the case that is one too many."""
    starts = [found.start() for found in re.finditer(r"^  - id: ", text, re.MULTILINE)]
    return without_schema(text[: starts[TRIAGE_CASES]])


def base_answers() -> dict[str, Mapping[str, Any]]:
    """What the base model answered, from its committed baseline."""
    [folder] = (ROOT / "baselines").glob("smollm2-*/support")
    units = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("triage", "questions")}
    return {f"support/{name}/{case}": each for name, unit in units.items() for case, each in unit["cases"].items()}


def vars_of(result: Any) -> Mapping[str, Any]:
    """A result of a record as a baseline keeps it."""
    return {"output": result.output, "tokens_in": result.tokens_in, "tokens_out": result.tokens_out}


def write(name: str, answers: Mapping[str, Mapping[str, Any]], digests: Mapping[str, str]) -> None:
    """One line a case, as `replay:` reads them, each with the digest of what was asked."""
    lines = (
        {"case": key} | {part: answers[key][part] for part in ("output", "tokens_in", "tokens_out")} | {"digest": asked}
        for key, asked in digests.items()
    )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (DATA / "outputs" / f"{name}.jsonl").write_text(text, "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
