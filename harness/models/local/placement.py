"""Where a local model's products are computed, and in which precision: what is asked for, and what that comes to."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.models.model_options import AUTO, NO_QUANTIZATION, ModelOptions

DEVICES = CPU, CUDA, MPS = "cpu", "cuda", "mps"
FLOAT32 = "float32"
#: As a safetensors file names them. What is stored in any other type is computed in float32.
STORED = {"F32": FLOAT32, "BF16": "bfloat16", "F16": "float16"}
#: As torch names what a CPU can do.
NATIVE_ON_CPU = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
#: Without one of these nothing but the CPU is there, and torch, which takes seconds to import, need not be asked.
ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the weights lie (`cpu`, `cuda`, `mps`) and what they are multiplied in (`float32`, ...).

    `attention` is transformers' name of an implementation, or `auto`; `quantization` the bits of a weight, or `none`.
    """

    device: str = CPU
    dtype: str = FLOAT32
    attention: str = AUTO
    quantization: str = NO_QUANTIZATION


def place(options: ModelOptions, weights: Iterable[Path]) -> Placement:
    """What device and dtype come to on this machine, for a model whose `weights` lie in these files.

    `auto` is the first accelerator that there is, and the type that the weights are stored in where that device
    multiplies it natively; else float32.

    Raises:
        CouldNotRun: the device is not there, it cannot quantize, a library is not installed, or a file of weights is
            damaged.
    """
    device = _first_device() if options.device == AUTO else _present(options.device)
    if options.quantization != NO_QUANTIZATION:
        if device != CUDA:
            raise CouldNotRun(
                f"--tg-quantization {options.quantization}: expected an NVIDIA GPU, on which bitsandbytes computes it, "
                f"found {device}; leave it out, or serve a quantized model and name the server (docs/servers.md)"
            )
        need("bitsandbytes")
    placed = partial(Placement, device, attention=options.attention, quantization=options.quantization)
    if options.dtype != AUTO:
        return placed(options.dtype)
    stored = stored_dtype(weights)
    return placed(stored if stored == FLOAT32 or multiplies(device, stored) else FLOAT32)


def multiplies(device: str, dtype: str) -> bool:
    """Whether a device multiplies bfloat16 or float16 natively, not by way of float32."""
    torch = need("torch")
    if device == CUDA:
        return dtype == "float16" or bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == MPS:
        return dtype == "float16"  # of bfloat16 an M1 has the name alone
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.13 cannot say
    return any(found.get(name) for name in NATIVE_ON_CPU[dtype])


def stored_dtype(weights: Iterable[Path]) -> str:
    """The type that most of the weights are stored in; float32 for any that torch does not multiply as it is."""
    safe_open, numbers = need("safetensors").safe_open, Counter[str]()
    for path in (path for path in weights if path.suffix == ".safetensors"):  # beside them may lie their index
        try:
            with safe_open(path, "np") as file:
                for name in file.keys():  # noqa: SIM118  (it is no mapping)
                    tensor = file.get_slice(name)
                    numbers[tensor.get_dtype()] += math.prod(tensor.get_shape())
        except (OSError, need("safetensors").SafetensorError) as error:
            raise CouldNotRun(
                f"{show_path(path)}: expected a model that transformers can load, found: {error}"
            ) from error
    return STORED.get(numbers.most_common(1)[0][0], FLOAT32) if numbers else FLOAT32


def _first_device() -> str:
    if sys.platform == "linux" and not any(map(Path.exists, map(Path, ACCELERATORS))):
        return CPU
    return next((device for device in (CUDA, MPS) if _has(device)), CPU)


def _present(device: str) -> str:
    if device != CPU and not _has(device):
        raise CouldNotRun(
            f"--tg-device {device}: expected such a device and a torch that was built for it, found none; take auto or "
            "cpu, or install torch as https://pytorch.org says"
        )
    return device


def _has(device: str) -> bool:
    torch = need("torch")
    return bool({CUDA: torch.cuda.is_available, MPS: torch.backends.mps.is_available}[device]())


def load_placed(load: partial[Any], placement: Placement) -> Any:
    """Let transformers `load` a model where it belongs; on several GPUs layer after layer, as accelerate divides them.

    Raises:
        CouldNotRun: it does not fit into the memory of the GPUs.
    """
    import torch

    dtype = getattr(torch, placement.dtype)
    more = {} if placement.attention == AUTO else {"attn_implementation": placement.attention}
    if placement.device != CUDA:
        return load(dtype=dtype, **more).to(placement.device)
    need("accelerate")
    if placement.quantization != NO_QUANTIZATION:
        more["quantization_config"] = _quantized(placement.quantization, dtype)
    model = load(dtype=dtype, device_map="auto", **more)
    # what finds no room accelerate computes elsewhere, a hundred times as slowly, and without a word
    if left := sorted(name for name, where in model.hf_device_map.items() if where in (CPU, "disk")):
        raise CouldNotRun(
            f"{model.name_or_path}: expected room for the whole model on {torch.cuda.device_count()} GPUs, found none "
            f"for {len(left)} of its parts ({left[0]} ...); take --tg-dtype bfloat16, more GPUs, or --tg-device cpu"
        )
    return model


def _quantized(bits: str, dtype: Any) -> Any:
    """As bitsandbytes is told: 8 bits by LLM.int8(), 4 bits as normal floats (NF4), products in `dtype`."""
    config = need("transformers").BitsAndBytesConfig
    if bits == "8bit":
        return config(load_in_8bit=True)
    return config(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
