"""A process of `many_adapters.py`: trains or makes adapters, or runs pytest and counts what is loaded.

python benchmarks/many_adapters_child.py train RECIPE.yaml ...
python benchmarks/many_adapters_child.py make MODEL FOLDER ...            # adapters with random weights
python benchmarks/many_adapters_child.py score LOADED.json suites/ ...    # arguments of pytest
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest


def train(*recipes: str) -> None:
    """Train as `tunegate train` does, recipe by recipe: the libraries are imported once."""
    from rich.console import Console

    from tunegate.harness.core.progress import watch_on
    from tunegate.trainers.config.recipe import read_recipe
    from tunegate.trainers.pipeline import train_adapter
    from tunegate.trainers.preparation import prepare

    watch = watch_on(Console())
    for recipe in recipes:
        train_adapter(
            prepare(read_recipe(Path(recipe)), Path("fixtures"), Path("baselines"), watch, print), watch, print
        )


def make(base: str, *folders: str) -> None:
    """Adapters that act, without having been trained: a seed of its own for each."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model, targets = AutoModelForCausalLM.from_pretrained(base), ["q_proj", "v_proj"]
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config)
        adapted.save_pretrained(folder)
        model = adapted.unload()


def score(loaded: str, *arguments: str) -> int:
    """Run pytest; then `loaded` holds the folder of every model that transformers loaded, as often as it did."""
    from transformers import PreTrainedModel

    folders: list[str] = []
    original = PreTrainedModel.from_pretrained.__func__

    def counted(cls: type, folder: Any, *rest: Any, **more: Any) -> Any:
        folders.append(str(folder))
        return original(cls, folder, *rest, **more)

    PreTrainedModel.from_pretrained = classmethod(counted)
    code = pytest.main(list(arguments))
    Path(loaded).write_text(json.dumps(folders), "utf-8")
    return int(code)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as with python -m from the checkout
    sys.exit({"train": train, "make": make, "score": score}[sys.argv[1]](*sys.argv[2:]))
