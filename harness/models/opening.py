"""Models by name: with local weights (in this process, by workers, by the user's vLLM), or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tunegate.harness.core.progress import Watch
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.local.ray_model import RayBase, RayModel
from tunegate.harness.models.model_options import ModelOptions, is_python, is_vllm
from tunegate.harness.models.python_model import PythonModel
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.vllm import Vllm, VllmBase


def open_model(
    name: str,
    watch: Watch,
    adapter: Path | None = None,
    rung: str = "as-is",
    base: Base | VllmBase | RayBase | None = None,
    options: ModelOptions | None = None,
) -> Local | Vllm | RayModel:
    """A base model with at most one adapter; the `base` of another model of that name shares what is loaded once."""
    if is_vllm(name):
        return Vllm(name, watch, adapter, rung, base if isinstance(base, VllmBase) else None, options)
    if options and options.ray:
        return RayModel(name, watch, adapter, rung, base if isinstance(base, RayBase) else None, options)
    return Local(name, watch, adapter, rung, base if isinstance(base, Base) else None, options)


def open_opaque(name: str, watch: Watch, options: ModelOptions, rung: str = "as-is") -> Server | PythonModel:
    """A model whose weights are not visible here: behind a server, or a function of the user's."""
    return PythonModel(name, options, rung) if is_python(name) else Server(name, watch, options, rung)


def opener(
    name: str, watch: Watch, options: ModelOptions | None = None, rung: str = "as-is"
) -> Callable[[Path | None], Local | Vllm | RayModel]:
    """A function that opens a base model with or without an adapter; all of them share the base."""
    base: list[Base | VllmBase | RayBase] = []

    def open_on(adapter: Path | None) -> Local | Vllm | RayModel:
        model = open_model(name, watch, adapter, rung, base[0] if base else None, options)
        base[:] = [model.base]
        return model

    return open_on
