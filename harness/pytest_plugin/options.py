"""The options of a run from pytest's command line, and its project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.core.project import find_root
from tunegate.harness.models.model_options import ModelOptions, RayOptions, template_from
from tunegate.harness.options.run import BASELINE, SERVER_LIMITS, Options
from tunegate.harness.options.settings import standing


def read_options(config: pytest.Config) -> Options:
    """The run's options: the command line, then `[tool.tunegate]` of the root's pyproject.toml, then the defaults.

    Raises:
        Refused: a setting is invalid.
    """
    from tunegate.harness.evaluation.shards import parse_shard  # a heavy import, not needed without fixtures

    given, here = config.option, config.invocation_params.dir
    root = find_project(config)
    stands = standing(root)
    against = given.tg_against
    return Options(
        root=root,
        model=given.tg_model or stands["model"],
        adapters=tuple(here / adapter for adapter in given.tg_adapter),
        cases=here / given.tg_cases if given.tg_cases else stands["cases"],
        baselines=here / given.tg_baselines if given.tg_baselines else stands["baselines"],
        out=here / given.tg_out if given.tg_out else None,
        traffic=here / given.tg_traffic if given.tg_traffic else None,
        against=against if against in (None, BASELINE) else str(here / against),
        record=given.tg_record,
        fresh=given.tg_fresh,
        noise=given.tg_noise,
        requests=here / given.tg_requests if given.tg_requests else None,
        rung=given.tg_rung or stands["rung"],
        sealed=given.tg_sealed,
        repeats=stands["repeats"] if given.tg_repeats is None else given.tg_repeats,
        timing=given.tg_timing,
        shard=parse_shard(given.tg_shard) if given.tg_shard else None,
        inconclusive=given.tg_inconclusive or stands["inconclusive"],
        cache_size=stands["cache-size"] if given.tg_cache_size is None else given.tg_cache_size,
        ledger_remote=given.tg_ledger_remote or stands["ledger-remote"],
        opened=ModelOptions(
            device=given.tg_device or stands["device"],
            dtype=given.tg_dtype or stands["dtype"],
            chat_template=(
                template_from(here, given.tg_chat_template) if given.tg_chat_template else stands["chat-template"]
            ),
            tokenizer=given.tg_tokenizer or stands["tokenizer"],
            attention=given.tg_attention or stands["attention"],
            quantization=given.tg_quantization or stands["quantization"],
            reasoning_effort=given.tg_reasoning_effort or stands["reasoning-effort"],
            **{name.replace("-", "_"): _number(given, stands, name) for name in (*SERVER_LIMITS, "max-model-len")},
            ray=_ray(given, stands),
        ),
    )


def _number(given: Any, stands: Mapping[str, Any], name: str) -> Any:
    value = getattr(given, f"tg_{name.replace('-', '_')}")
    return stands[name] if value is None else value


def _ray(given: Any, stands: Mapping[str, Any]) -> RayOptions | None:
    if (given.tg_engine or stands["engine"]) != "ray":
        return None
    workers, cpus, gpus = (_number(given, stands, name) for name in ("workers", "worker-cpus", "worker-gpus"))
    return RayOptions(workers, cpus, gpus, given.tg_ray_address or stands["ray-address"])


def find_project(config: pytest.Config) -> Path:
    """The project's folder: pytest's root if a file configures it, or the folder that the commands find."""
    # without a configuration file pytest guesses its root from all arguments, a model's folder included
    return config.rootpath if config.inipath else find_root(config.invocation_params.dir)
