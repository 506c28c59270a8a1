"""A process of `cost_model.py`: asks a model, with each adapter or alone, the demo's first cases.

python benchmarks/cost_model_child.py MEASURED.json MODEL CASES TOKENS [ADAPTER ...]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.frame import ROOT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.files import write_json
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.local.huggingface import Base, Local


def main(out: str, name: str, cases: str, tokens: str, *adapters: str) -> None:
    """Ask, score, and write how many tokens went in and out, in how many steps."""
    [task] = load_tasks(ROOT / "fixtures", "support")
    unit = next(each for each in task.units if each.name == "triage")
    asked = [
        replace(case, id=f"c{number}", decoding=replace(case.decoding, max_new_tokens=int(tokens)))
        for number, case in zip(range(int(cases)), unit.cases * 9, strict=False)
    ]
    unit = replace(unit, cases=tuple(asked), asked={case.id: {} for case in asked})
    base, results, steps = Base(name, quiet()), [], 0
    for adapter in adapters or (None,):
        model = Local(name, quiet(), adapter and Path(adapter), base=base)
        answers = evaluate([unit], model, quiet(), partial=True).cases.values()
        results += answers
        steps += max(each.tokens_out or 0 for each in answers)
    write_json(Path(out), {
        "tokens_in": sum(each.tokens_in or 0 for each in results),
        "tokens_out": sum(each.tokens_out or 0 for each in results), "steps": steps,
    })  # fmt: skip


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as with python -m from the checkout
    main(*sys.argv[1:])
