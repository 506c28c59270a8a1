"""TRL's trainer as Tunegate uses it: quiet, nothing cut, weights in float32, probed on the batches it will see."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.huggingface import PROBE, load_base
from tunegate.harness.models.local.placement import CPU, CUDA, multiplies, place
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.resolve import loaded_weights
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.trainers.config.recipe import DPO, KTO, Recipe
from tunegate.trainers.data.preference import Data, check_labelled, check_pairs
from tunegate.trainers.data.tokenize import check_batch
from tunegate.trainers.training.checkpoints import KEPT
from tunegate.trainers.training.distributed import on_cpu, processes


def steps_of(recipe: Recipe, rows: int) -> int:
    """How many steps a training on that many rows takes."""
    return math.ceil(pass_of(recipe, rows) * recipe.optim.epochs)


def pass_of(recipe: Recipe, rows: int) -> int:
    """How many steps one pass over that many rows takes."""
    return math.ceil(rows / recipe.optim.batch)


def build_trainer(recipe: Recipe, base: Path, data: Data, work: Path, watch: Watch, validation: Data = ()) -> Any:
    """A trainer that is ready for its first step, its template probed.

    Args:
        recipe: how to train.
        base: the base model's folder.
        data: the rows as token ids.
        work: a folder of the training's own, for checkpoints.
        watch: shows the two parts.
        validation: rows put aside, to take the loss of.

    Raises:
        Refused: the recipe's modules are not the model's, or a batch is not what the rows say.
        CouldNotRun: the libraries are not installed.
    """
    with watch("Loading the model to train"), processes().together():
        trainer = _trainer(recipe, base, data, validation, work)
    probe: Any = {DPO: check_pairs, KTO: check_labelled}.get(recipe.method, check_batch)
    with watch("Probing the template on real batches"), processes().together():
        for batch in trainer.get_train_dataloader():  # of several processes each sees its own
            probe(batch, data)
        for batch in trainer.get_eval_dataloader() if validation else ():
            probe(batch, validation)
    # the look at the batches must not move the training; dropout is drawn apart in each process
    _seed(recipe.seed + processes().index)
    return trainer


def _trainer(recipe: Recipe, base: Path, data: Data, validation: Data, work: Path) -> Any:
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from transformers.trainer_callback import PrinterCallback

    from tunegate.trainers.training.methods import trainer_of

    disable_progress_bar()
    tokenizer = load_tokenizer(base, recipe.opened.chat_template)
    model, lora = _policy(recipe, base, tokenizer)
    columns, aside = (
        Dataset.from_list([row.columns() for row in rows]) if rows else None for rows in (data, validation)
    )
    _seed(recipe.seed)  # the adapter's first weights are drawn next
    try:
        trainer = trainer_of(recipe)(
            model=model, args=_arguments(recipe, work), train_dataset=columns, eval_dataset=aside,
            processing_class=tokenizer, peft_config=lora,
        )  # fmt: skip
    except ValueError as error:
        raise Refused(f"{show_path(recipe.path)}: lora: expected modules of this model; PEFT says: {error}") from error
    # it prints each step's numbers as a dict: ours shows them in a line
    trainer.remove_callback(PrinterCallback)
    return trainer


def _policy(recipe: Recipe, base: Path, tokenizer: Any) -> tuple[Any, Any]:
    """The model to train and the adapter that the trainer shall draw for it: none, where it has one to start from."""
    from peft import LoraConfig

    model = _base(recipe, base)
    if recipe.start:
        probe = tokenizer(PROBE, return_tensors="pt").input_ids.to(model.device)
        return recipe.start.attach_to(model, probe), None
    lora = LoraConfig(
        r=recipe.lora.r, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.target, use_rslora=recipe.lora.rslora, use_dora=recipe.lora.dora,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return model, lora


def _base(recipe: Recipe, folder: Path) -> Any:
    """The base, rounded to fewer bits if it is opened so: QLoRA (Dettmers et al. 2023, arXiv:2305.14314)."""
    if recipe.opened.quantization == NO_QUANTIZATION:
        return load_base(folder)
    from peft import prepare_model_for_kbit_training

    model = load_base(folder, place(recipe.opened, loaded_weights(folder)))
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)


def _arguments(recipe: Recipe, work: Path) -> Any:
    from tunegate.trainers.training.methods import arguments_of

    optim = recipe.optim
    arguments = arguments_of(recipe)(
        output_dir=str(work),
        learning_rate=optim.lr,
        num_train_epochs=optim.epochs,
        per_device_train_batch_size=optim.batch // processes().count,
        per_device_eval_batch_size=1,  # each row counts alike, whatever stands beside it
        warmup_steps=optim.warmup,  # below 1 it is the share of all steps
        lr_scheduler_type=optim.schedule,
        max_length=None,  # checked beforehand: TRL's default, 1024, silently cuts the tail, end of turn included
        use_cpu=on_cpu(),  # said outright: without it bf16 is refused on a CPU
        bf16=precision() == "bfloat16",
        # TRL switches it on: it saves memory, which is not short here, and costs a fifth of the speed
        gradient_checkpointing=False,
        save_strategy="no",  # our own callback says when
        save_total_limit=KEPT,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,  # a LoRA has none: looking for them at each step would only cost time
        seed=recipe.seed,
        data_seed=recipe.seed,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # or it would take `batch` rows for each GPU that one process sees
    return arguments


def precision() -> Literal["bfloat16", "float32"]:
    """What the products are computed in: bfloat16 where the hardware has it, float32 where it would be emulated.

    On a CPU with AVX512-BF16 or AMX it doubles the speed; TRL would switch it on everywhere. Weights stay float32.
    """
    return "bfloat16" if multiplies(CPU if on_cpu() else CUDA, "bfloat16") else "float32"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what the libraries say to their own developers; errors and our own warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\b")
        yield
