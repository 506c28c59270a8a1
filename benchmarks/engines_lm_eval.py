"""Answers by lm-evaluation-harness, in an environment that has `lm-eval[hf]` (0.4.13) and not Tunegate.

    PYTHON benchmarks/engines_lm_eval.py ASKED.json FOUND.json MODEL

Its own batches, found by itself; one call per longest answer, since a task of it has one.
"""

import json
import sys
import time
from itertools import groupby

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM


def main(asked: str, found: str, folder: str) -> None:
    """Answer every prompt; the seconds are those of answering."""
    with open(asked) as file:  # noqa: PTH123
        rows = sorted(json.load(file), key=lambda each: each["new"])
    model = HFLM(pretrained=folder, device="cpu", dtype="float32", batch_size=16)
    outputs, seconds = {}, 0.0
    for new, group in groupby(rows, key=lambda each: each["new"]):
        alike = list(group)
        settings = {"until": ["<|im_end|>"], "max_gen_toks": new, "do_sample": False}
        instances = [
            Instance("generate_until", {}, (each["prompt"], settings), place) for place, each in enumerate(alike)
        ]
        start = time.perf_counter()
        answers = model.generate_until(instances)
        seconds += time.perf_counter() - start
        outputs |= {each["key"]: answer for each, answer in zip(alike, answers, strict=True)}
    with open(found, "w") as file:  # noqa: PTH123
        json.dump({"seconds": seconds, "outputs": outputs}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
