"""The training rows of a table, and a recipe that trains on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.harness.begin.scaffold.drafts import Draft
from tunegate.harness.begin.scaffold.suites import SuiteDraft
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.models.conversion import EMBEDDED

STEP = 256  # of `max_length`
LR, LR_OF_EMBEDDED = 2e-4, 8e-4  # of few rows and three epochs; the small embedded model learns little at the usual one
SPLIT, LEAST_SPLIT = 0.1, 100  # the share of the rows that selects the checkpoint, and the rows from which on it pays


def training_files(
    task: str, unit: str, model: str, system: str, suite: SuiteDraft, rows: Sequence[Draft]
) -> Mapping[str, str]:
    """The recipe of a task and its rows, by path relative to the project.

    The rows belong to a `unit`; their prompt has the `system` message. None of them is a case or a worked example.
    """
    lines = [{"unit": unit, "input": each.input, "output": suite.output(each)} for each in rows]
    longest = max(len(each.text) + len(suite.output(each)) for each in rows) + len(system)
    recipe: dict[str, Any] = {
        "version": 1, "task": task, "model": model, "rows": [f"rows/{task}.jsonl"], "private_data": "drop",
        "method": "sft", "lora": {"r": 16, "alpha": 32, "target": "all-linear"},
        "optim": {
            "lr": LR_OF_EMBEDDED if model in EMBEDDED else LR, "epochs": 3, "batch": 4,
            **({"validation_split": SPLIT} if len(rows) >= LEAST_SPLIT else {}),
            # a token is a character or more, and the chat template adds some
            "max_length": -(-(longest + STEP) // STEP) * STEP,
        },
        "seed": 7, "output": f"../adapters/{task}",
    }  # fmt: skip
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return {
        f"recipes/{task}.yaml": f"# {len(rows)} rows of the table; none of them is a case (docs/training.md)\n"
        + write_yaml(recipe, ("lora",)),
        f"recipes/rows/{task}.jsonl": text,
    }
