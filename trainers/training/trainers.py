"""TRL's trainer as Tunegate uses it: quiet, without truncation, probed on its real batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.huggingface import load_base
from tunegate.harness.models.local.placement import CUDA, Placement, free_on_gpu, multiplies, place
from tunegate.harness.models.memory import stored_tensors
from tunegate.harness.models.model_options import CPU, NO_QUANTIZATION
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.resolve import loaded_weights
from tunegate.harness.models.tokenizer import load_tokenizer
from tunegate.trainers.config.recipe import DPO, KTO, Recipe
from tunegate.trainers.data.preference import Data, check_labelled, check_pairs
from tunegate.trainers.data.tokenize import check_batch
from tunegate.trainers.training.checkpoints import KEPT
from tunegate.trainers.training.distributed import on_cpu, processes
from tunegate.trainers.training.memory_use import check_training_memory
from tunegate.trainers.training.trackers import place_tensorboard, tracking


def steps_of(recipe: Recipe, rows: int) -> int:
    """The number of steps of a training on `rows` rows."""
    return math.ceil(pass_of(recipe, rows) * recipe.optim.epochs)


def pass_of(recipe: Recipe, rows: int) -> int:
    """The number of steps of one epoch over `rows` rows."""
    return math.ceil(rows / recipe.optim.batch)


def _warmup(recipe: Recipe, rows: int) -> float:
    """The share of all steps in which the learning rate rises; the number of steps if the share rounds up to all."""
    share, steps = recipe.optim.warmup, steps_of(recipe, rows)
    return share if math.ceil(steps * share) < steps else steps - 1  # the rate of the first is 0


def build_trainer(recipe: Recipe, base: Path, data: Data, work: Path, watch: Watch, validation: Data = ()) -> Any:
    """Build a trainer that is ready for its first step, after the template probe; `work` gets its checkpoints.

    Raises:
        Refused: the model lacks the recipe's modules, or a batch does not match the rows.
        CouldNotRun: the libraries are not installed, or there is too little memory.
    """
    if recipe.opened.quantization == NO_QUANTIZATION:
        check_training_memory(
            recipe, base, data, weights_dtype(recipe), precision(), processes().count,
            None if on_cpu() else free_on_gpu(),
        )  # fmt: skip
    with watch("Loading the model to train"), processes().together():
        trainer = _trainer(recipe, base, data, validation, work)
    probe: Any = {DPO: check_pairs, KTO: check_labelled}.get(recipe.method, check_batch)
    with watch("Probing the template on real batches"), processes().together():
        for batch in trainer.get_train_dataloader():  # each process sees only its own batches
            probe(batch, data)
        for batch in trainer.get_eval_dataloader() if validation else ():
            probe(batch, validation)
    # the probe must not change the training; each process draws its own dropout
    _seed(recipe.seed + processes().index)
    return trainer


def _trainer(recipe: Recipe, base: Path, data: Data, validation: Data, work: Path) -> Any:
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from transformers.trainer_callback import PrinterCallback

    from tunegate.trainers.training.methods import trainer_of

    disable_progress_bar()
    tokenizer = load_tokenizer(base, recipe.opened.chat_template, recipe.opened.tool_format)
    model, lora = _policy(recipe, base, tokenizer)
    columns, aside = (
        Dataset.from_list([row.columns() for row in rows]) if rows else None for rows in (data, validation)
    )
    _seed(recipe.seed)  # the adapter's first weights are drawn next
    try:
        trainer = trainer_of(recipe)(
            model=model, args=_arguments(recipe, work, len(data)), train_dataset=columns, eval_dataset=aside,
            processing_class=tokenizer, peft_config=lora,
        )  # fmt: skip
    except ValueError as error:
        raise Refused(f"{show_path(recipe.path)}: lora: expected modules of this model; PEFT says: {error}") from error
    # it prints a dict per step; our progress line replaces it
    trainer.remove_callback(PrinterCallback)
    place_tensorboard(trainer, recipe)
    return trainer


def _policy(recipe: Recipe, base: Path, tokenizer: Any) -> tuple[Any, Any]:
    """The model to train, and the LoRA configuration of a new adapter; None if the recipe has a start."""
    from peft import LoraConfig

    model = _base(recipe, base)
    if recipe.start:
        probe = tokenizer(PROBE, return_tensors="pt").input_ids.to(model.device)
        return recipe.start.attach_to(model, probe), None
    _check_target(recipe, base, model)
    lora = LoraConfig(
        r=recipe.lora.r, lora_alpha=recipe.lora.alpha, lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.target, use_rslora=recipe.lora.rslora, use_dora=recipe.lora.dora,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return model, lora


def _check_target(recipe: Recipe, base: Path, model: Any) -> None:
    """Refuse a name in `lora.target` that matches no module: PEFT ignores it if another name matches one."""
    if isinstance(recipe.lora.target, str):
        return
    modules = {name for name, _ in model.named_modules()}
    modules |= {each.name.rpartition(".")[0] for each in stored_tensors(loaded_weights(base))}  # of separate experts
    unknown = [each for each in recipe.lora.target if not any(f".{name}".endswith(f".{each}") for name in modules)]
    if unknown:
        known = sorted({name.rpartition(".")[2] for name in modules})
        hints = "".join(f"; {hint}" for each in unknown if (hint := did_you_mean(each, known)))
        found = listed([repr(each) for each in unknown])
        raise Refused(f"{show_path(recipe.path)}: lora.target: expected modules of this model, found {found}{hints}")


def _base(recipe: Recipe, folder: Path) -> Any:
    """Load the base, quantized if requested: QLoRA (Dettmers et al. 2023, arXiv:2305.14314)."""
    if recipe.opened.quantization == NO_QUANTIZATION:
        return load_base(folder, Placement(dtype=weights_dtype(recipe)))
    from peft import prepare_model_for_kbit_training

    model = load_base(folder, place(recipe.opened, loaded_weights(folder)))
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)


def _arguments(recipe: Recipe, work: Path, rows: int) -> Any:
    from tunegate.trainers.training.methods import arguments_of

    optim = recipe.optim
    arguments = arguments_of(recipe)(
        output_dir=str(work),
        learning_rate=optim.lr,
        num_train_epochs=optim.epochs,
        per_device_train_batch_size=optim.batch // processes().count,
        per_device_eval_batch_size=1,  # so that all rows have equal weight
        warmup_steps=_warmup(recipe, rows),
        lr_scheduler_type=optim.schedule,
        max_length=None,  # checked beforehand; TRL's default, 1024, silently truncates rows, including the end of turn
        use_cpu=on_cpu(),  # explicit, or bf16 is refused on a CPU
        bf16=precision() == "bfloat16",
        # on by default in TRL; it saves memory, which is sufficient here, and costs a fifth of the speed
        gradient_checkpointing=False,
        save_strategy="no",  # our own callback decides
        save_total_limit=KEPT,
        logging_steps=1,
        **tracking(recipe),
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,  # a LoRA has none, and the search costs time at each step
        seed=recipe.seed,
        data_seed=recipe.seed,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # otherwise it takes `batch` rows for each GPU visible to the process
    return arguments


def precision() -> Literal["bfloat16", "float32"]:
    """The precision of matrix products: bfloat16 if the hardware supports it, float32 where it would be emulated.

    bfloat16 doubles the speed on a CPU with AVX512-BF16 or AMX; TRL enables it everywhere. The adapter's weights stay
    in float32, and those of the base unless bfloat16 is asked for.
    """
    return "bfloat16" if multiplies(CPU if on_cpu() else CUDA, "bfloat16") else "float32"


def weights_dtype(recipe: Recipe) -> Literal["bfloat16", "float32"]:
    """The type of the base's weights in training: bfloat16 if it is asked for by name, and otherwise float32.

    PEFT keeps the adapter's weights in float32 either way: in bfloat16 small steps would be rounded away.
    """
    return "bfloat16" if recipe.opened.dtype == "bfloat16" else "float32"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide the libraries' FutureWarnings; errors and our own warnings are shown."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\b")
        yield
