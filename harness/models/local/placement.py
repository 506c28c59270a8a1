"""The device and precision of a local model: the options, and what they mean on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.extras import need
from tunegate.harness.models.memory import FLOAT32, stored_dtype
from tunegate.harness.models.model_options import AUTO, CPU, NO_QUANTIZATION, ModelOptions

VISIBLE = "CUDA_VISIBLE_DEVICES"
CUDA, MPS = "cuda", "mps"
#: As torch names what a CPU supports.
NATIVE_ON_CPU = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
#: Without any of these there is only the CPU, and torch, which takes seconds to import, is not needed.
ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
ROOM = 1.2  # times its weights is free on a GPU that holds a whole model: the rest is for what it reads


@dataclass(frozen=True, slots=True)
class Placement:
    """The device of the weights (`cpu`, `cuda`, `mps`) and the type they are multiplied in (`float32`, ...).

    `attention` is transformers' name of an implementation, or `auto`; `quantization` the bits of a
    weight, or `none`; `gpu` the number of the GPU that is asked for.
    """

    device: str = CPU
    dtype: str = FLOAT32
    attention: str = AUTO
    quantization: str = NO_QUANTIZATION
    gpu: int | None = None


def place(options: ModelOptions, weights: Iterable[Path]) -> Placement:
    """The placement on this machine, for a model whose `weights` are in these files; CouldNotRun if there is none.

    `auto` is the first accelerator, and the type of the stored weights if that device multiplies it
    natively, otherwise float32.
    """
    device = _first_device() if options.device == AUTO else _present(options)
    if options.quantization != NO_QUANTIZATION:
        if device != CUDA:
            raise CouldNotRun(
                f"--tg-quantization {options.quantization}: expected an NVIDIA GPU, which bitsandbytes needs, found "
                f"{device}; leave it out, or serve a quantized model and name the server (docs/servers.md)"
            )
        need("bitsandbytes")
    placed = partial(Placement, device, attention=options.attention, quantization=options.quantization, gpu=options.gpu)
    if options.dtype != AUTO:
        return placed(options.dtype)
    stored = stored_dtype(weights)
    return placed(stored if stored == FLOAT32 or multiplies(device, stored) else FLOAT32)


def multiplies(device: str, dtype: str) -> bool:
    """Whether a device multiplies bfloat16 or float16 natively, not via float32."""
    torch = need("torch")
    if device == CUDA:
        return dtype == "float16" or bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == MPS:
        return dtype == "float16"  # an M1 has no native bfloat16
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.13 does not report them
    return any(found.get(name) for name in NATIVE_ON_CPU[dtype])


def _first_device() -> str:
    if sys.platform == "linux" and not any(map(Path.exists, map(Path, ACCELERATORS))):
        return CPU
    return next((device for device in (CUDA, MPS) if has_device(device)), CPU)


def _present(options: ModelOptions) -> str:
    device = options.device.partition(":")[0]
    if not has_device(device):
        raise CouldNotRun(
            f"--tg-device {options.device}: expected such a device and a torch built for it, found none; use auto or "
            "cpu, or install torch as https://pytorch.org says"
        )
    _check_number(options)
    return device


def _check_number(options: ModelOptions) -> None:
    count = 0 if options.gpu is None else need("torch").cuda.device_count()
    if options.gpu is not None and options.gpu >= count:
        raise CouldNotRun(
            f"--tg-device {options.device}: expected a GPU of that number, counted from 0, found {count} that torch "
            "sees; name another (CUDA_VISIBLE_DEVICES says which it sees)"
        )


def hide_other_gpus(options: ModelOptions) -> ModelOptions:
    """The options of a process that sees only the GPU that is asked for, which is its `cuda`.

    The trainer takes the first that it sees. CUDA reads the variable when it is first used: to be
    called before.
    """
    if options.gpu is None:
        return options
    _check_number(options)
    seen = os.environ.get(VISIBLE) or ",".join(map(str, range(options.gpu + 1)))
    os.environ[VISIBLE] = seen.split(",")[options.gpu]
    return replace(options, device=CUDA)


def choose_gpus(placement: Placement, size: float) -> tuple[int, ...]:
    """The GPUs of a model whose weights take `size` bytes: the one that is asked for, the first with room, or all.

    None if it is placed elsewhere.
    """
    if placement.device != CUDA:
        return ()
    if placement.gpu is not None:
        return (placement.gpu,)
    every = range(need("torch").cuda.device_count())
    return next(((gpu,) for gpu in every if size * ROOM <= free_on_gpu(gpu)), tuple(every))


def free_on_gpu(gpu: int | None = None) -> int:
    """Bytes that are free on a GPU: the one of this number, or torch's present one."""
    return int(need("torch").cuda.mem_get_info(gpu)[0])


def has_device(device: str) -> bool:
    """Whether this machine and its torch have such a device: `cpu`, `cuda` or `mps`; not under any other name."""
    if device not in (CUDA, MPS):
        return device == CPU
    torch = need("torch")
    return bool({CUDA: torch.cuda.is_available, MPS: torch.backends.mps.is_available}[device]())


def load_placed(load: partial[Any], placement: Placement, gpus: Sequence[int] = ()) -> Any:
    """Let transformers `load` a model onto its device, or onto several `gpus`; CouldNotRun if it does not fit."""
    import torch

    dtype = getattr(torch, placement.dtype)
    more = {} if placement.attention == AUTO else {"attn_implementation": placement.attention}
    if placement.device != CUDA:
        return load(dtype=dtype, **more).to(placement.device)
    need("accelerate")
    if placement.quantization != NO_QUANTIZATION:
        more["quantization_config"] = _quantized(placement.quantization, dtype)
    model = load(dtype=dtype, device_map={"": gpus[0]} if len(gpus) == 1 else "auto", **more)
    # accelerate silently moves what does not fit elsewhere, where it is a hundred times slower
    if left := sorted(name for name, where in model.hf_device_map.items() if where in (CPU, "disk")):
        raise CouldNotRun(
            f"{model.name_or_path}: expected room for the whole model on {torch.cuda.device_count()} GPUs, found none "
            f"for {len(left)} of its parts ({left[0]} ...); use --tg-dtype bfloat16, more GPUs, or --tg-device cpu"
        )
    return model


def _quantized(bits: str, dtype: Any) -> Any:
    """Settings for bitsandbytes: 8 bits by LLM.int8(), 4 bits as normal floats (NF4), products in `dtype`."""
    config = need("transformers").BitsAndBytesConfig
    if bits == "8bit":
        return config(load_in_8bit=True)
    return config(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
