"""The training itself, by TRL on PEFT: quiet but for our own progress, and checked batch by batch beforehand."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from harness.adapters import CONFIG
from harness.base import load_base, load_tokenizer
from harness.errors import CouldNotRun, Refused, show_path
from harness.files import write_json
from harness.progress import Advance, Watch
from trainers.recipe import Recipe
from trainers.tokens import Tokens, check_labels

SMOOTHED = 8  # steps; a single step's loss depends on which rows it drew


def fit(recipe: Recipe, base: Path, data: Sequence[Tokens], work: Path, watch: Watch) -> dict[str, Any]:
    """Train on `data` and save the adapter in `work`.

    Args:
        recipe: how to train.
        base: the base model's folder.
        data: the rows as token ids.
        work: a folder of the training's own.
        watch: shows the steps and the loss.

    Returns:
        Steps, losses and speed, for the training record.

    Raises:
        Refused: the recipe's modules are not the model's, or a batch does not train the end of turn.
        CouldNotRun: the libraries are not installed, or the machine gave up.
    """
    steps = math.ceil(math.ceil(len(data) / recipe.optim.batch) * recipe.optim.epochs)
    with _quiet_libraries():
        with watch("Loading the model to train"):
            trainer = _trainer(recipe, base, data, work)
        with watch(f"Training on {len(data)} rows, steps", steps) as done:
            trainer.add_callback(_progress(done))
            try:
                result = trainer.train()
            except (RuntimeError, MemoryError) as error:
                at = trainer.state.global_step
                raise CouldNotRun(f"training failed at step {at} of {steps}: {error}") from error
        trainer.model.save_pretrained(work / "adapter")
    _tidy(work / "adapter", recipe.model)
    return _facts(trainer.state, result.metrics, data, recipe.optim.epochs)


def _trainer(recipe: Recipe, base: Path, data: Sequence[Tokens], work: Path) -> Any:
    try:
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from peft import LoraConfig
        from transformers import set_seed
        from transformers.trainer_callback import PrinterCallback
        from trl import SFTTrainer
    except ImportError as error:
        raise CouldNotRun(f"training needs the extra: pip install 'tunegate[train]' ({error})") from error
    disable_progress_bar()
    tokenizer, model = load_tokenizer(base), load_base(base)
    lora = LoraConfig(
        r=recipe.lora.r, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.target, task_type="CAUSAL_LM",
    )  # fmt: skip
    arguments = _arguments(recipe, work)
    set_seed(recipe.seed)  # the adapter's first weights are drawn next
    try:
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_list([asdict(row) for row in data]),
            processing_class=tokenizer, peft_config=lora,
        )  # fmt: skip
    except ValueError as error:
        raise Refused(f"{show_path(recipe.path)}: lora: expected modules of this model; PEFT says: {error}") from error
    trainer.remove_callback(PrinterCallback)
    for batch in trainer.get_train_dataloader():
        check_labels(batch, data)
    set_seed(recipe.seed)  # the look at the batches must not move the training
    return trainer


def _arguments(recipe: Recipe, work: Path) -> Any:
    import torch
    from trl import SFTConfig

    optim = recipe.optim
    return SFTConfig(
        output_dir=str(work / "trainer"),
        learning_rate=optim.lr,
        num_train_epochs=optim.epochs,
        per_device_train_batch_size=optim.batch,
        warmup_steps=optim.warmup,  # below 1 it is the share of all steps
        lr_scheduler_type=optim.schedule,
        max_length=None,  # checked beforehand: nothing is cut
        packing=False,
        completion_only_loss=True,
        # Grouped by length, one kind of row comes after the other: of the demo's 35 batches (280 rows, three kinds) 16
        # held six or more rows of one kind, sorted by length in runs, and the loss swung between 0.1 and 2.3 up to the
        # last step. At random it is 4 batches, for 14 % more tokens with the padding (45,000 against 39,400).
        train_sampling_strategy="random",
        use_cpu=not torch.cuda.is_available(),  # said outright: without it bf16 is refused on a CPU
        bf16=precision() == "bfloat16",
        # TRL switches it on: it saves memory, which is not short here, and costs a fifth of the speed
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=recipe.seed,
        data_seed=recipe.seed,
    )


def precision() -> Literal["bfloat16", "float32"]:
    """What the products are computed in: bfloat16 where the hardware has it, float32 where it would be emulated.

    On a CPU with AVX512-BF16 or AMX it doubles the speed; TRL would switch it on everywhere. Weights stay float32.
    """
    import torch

    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported()
    else:
        found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.13 cannot say
        able = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return "bfloat16" if able else "float32"


def _progress(done: Advance) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        """Tells our progress of each step and its loss, where transformers would print a dict."""

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            losses = _losses(state)
            if losses and "loss" in state.log_history[-1]:
                done(1, f"loss {_mean(losses[-SMOOTHED:]):.3f}")

    return Progress()


def _losses(state: Any) -> list[float]:
    return [entry["loss"] for entry in state.log_history if "loss" in entry]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _facts(state: Any, metrics: Mapping[str, float], data: Sequence[Tokens], epochs: float) -> dict[str, Any]:
    losses, tokens = _losses(state), sum(len(row.input_ids) for row in data) * epochs
    few = min(SMOOTHED, math.ceil(len(losses) / 4))
    return {
        "steps": state.global_step,
        "precision": precision(),
        "first_loss": round(_mean(losses[:few]), 4),
        "last_loss": round(_mean(losses[-few:]), 4),
        "tokens_per_second": round(tokens / metrics["train_runtime"], 1),
    }


def _tidy(adapter: Path, model: str) -> None:
    """Make the configuration the same on every machine, and drop PEFT's empty model card: a release writes its own."""
    config = json.loads((adapter / CONFIG).read_text("utf-8"))
    config["base_model_name_or_path"] = model  # PEFT names the folder in this machine's cache
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # it was a set: its order changes from process to process
    write_json(adapter / CONFIG, config)
    (adapter / "README.md").unlink(missing_ok=True)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Hide what the libraries say to their own developers; errors and our own warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\b")
        yield
