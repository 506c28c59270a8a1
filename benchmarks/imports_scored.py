"""Scores the same outputs in the tool that a file comes from: run by `imports.py` with the tools' own Python.

    python imports_scored.py TOOL < {"file": ..., "outputs": [...]} > [true, false, ...]

It imports the tools and nothing of Tunegate.
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any


def openai_evals(samples: list[dict[str, Any]], outputs: list[str], kinds: list[str]) -> list[bool]:
    """The matching functions of `Match`, `Includes` and `JsonMatch`."""
    os.environ.setdefault("OPENAI_API_KEY", "none")
    from evals.elsuite import utils
    from evals.elsuite.basic.json_match import json_match

    def one(kind: str, ideal: Any, output: str) -> bool:
        ideals = ideal if isinstance(ideal, list) else [ideal]
        if kind == "Match":
            return any(output.startswith(each) for each in ideals)
        if kind == "Includes":
            return any(utils.get_answer(output, each) is not None for each in ideals)
        try:
            found = json.loads(output)
        except ValueError:
            found = None
        return any(json_match(found, json.loads(each)) for each in ideals)

    rows = zip(kinds, samples, outputs, strict=True)
    return [one(kind, sample["ideal"], output) for kind, sample, output in rows]


def deepeval(file: str, outputs: list[str]) -> list[bool]:
    """`ExactMatchMetric` on goldens that deepeval reads itself."""
    from deepeval.dataset import EvaluationDataset
    from deepeval.metrics import ExactMatchMetric
    from deepeval.test_case import LLMTestCase

    data = EvaluationDataset()
    add = data.add_goldens_from_csv_file if file.endswith(".csv") else data.add_goldens_from_json_file
    add(file_path=file)
    found = []
    for golden, output in zip(data.goldens, outputs, strict=True):
        metric = ExactMatchMetric()
        case = LLMTestCase(input=golden.input, actual_output=output, expected_output=golden.expected_output)
        metric.measure(case, _show_indicator=False)
        found.append(bool(metric.success))
    return found


def inspect(file: str, outputs: list[str]) -> list[bool]:
    """`includes()` in a whole evaluation by a model that gives these outputs."""
    import tiktoken

    words = SimpleNamespace(encode=lambda text, **_: text.split())  # an encoding of its own would be fetched
    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda *_, **__: words
    from inspect_ai import Task, eval
    from inspect_ai.dataset import csv_dataset, json_dataset
    from inspect_ai.model import ModelOutput, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    data = csv_dataset(file) if file.endswith(".csv") else json_dataset(file)
    model = get_model(
        "mockllm/model", custom_outputs=[ModelOutput.from_content("mockllm/model", each) for each in outputs]
    )
    [log] = eval(
        Task(dataset=data, solver=[generate()], scorer=includes()), model=model, display="none", max_samples=1,
        max_connections=1, log_dir=os.environ["LOGS"],
    )  # fmt: skip
    if log.status != "success":
        raise RuntimeError(str(log.error)[:500])
    return [sample.scores["includes"].value == "C" for sample in log.samples]


def main() -> None:
    """Read a request, print the scores."""
    asked = json.load(sys.stdin)
    real, sys.stdout = sys.stdout, sys.stderr  # what the tools print is not the result
    if sys.argv[1] == "openai_evals":
        found = openai_evals(asked["samples"], asked["outputs"], asked["kinds"])
    else:
        found = {"deepeval": deepeval, "inspect": inspect}[sys.argv[1]](asked["file"], asked["outputs"])
    json.dump(found, real)


if __name__ == "__main__":
    main()
