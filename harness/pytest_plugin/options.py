"""The options of a run as pytest was given them, and the project that it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.core.project import find_root
from tunegate.harness.models.model_options import ModelOptions, RayOptions, template_from
from tunegate.harness.options.run import BASELINE, Options
from tunegate.harness.options.settings import standing


def read_options(config: pytest.Config) -> Options:
    """The run's options: the command line, else `[tool.tunegate]` of the root's pyproject.toml, else the defaults.

    Raises:
        Refused: a setting that cannot be.
    """
    from tunegate.harness.evaluation.shards import parse_shard  # too heavy for who collects no fixture

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
            given.tg_device or stands["device"],
            given.tg_dtype or stands["dtype"],
            template_from(here, given.tg_chat_template) if given.tg_chat_template else stands["chat-template"],
            given.tg_tokenizer or stands["tokenizer"],
            stands["in-flight"] if given.tg_in_flight is None else given.tg_in_flight,
            stands["deadline"] if given.tg_deadline is None else given.tg_deadline,
            given.tg_attention or stands["attention"],
            given.tg_quantization or stands["quantization"],
            _ray(given, stands),
        ),
    )


def _ray(given: Any, stands: Mapping[str, Any]) -> RayOptions | None:
    if (given.tg_engine or stands["engine"]) != "ray":
        return None
    return RayOptions(
        stands["workers"] if given.tg_workers is None else given.tg_workers,
        stands["worker-cpus"] if given.tg_worker_cpus is None else given.tg_worker_cpus,
        stands["worker-gpus"] if given.tg_worker_gpus is None else given.tg_worker_gpus,
        given.tg_ray_address or stands["ray-address"],
    )


def find_project(config: pytest.Config) -> Path:
    """The project's folder: pytest's root where a file configures it, else as the commands find it."""
    # without any configuration file pytest guesses its root from all arguments, a model's folder included
    return config.rootpath if config.inipath else find_root(config.invocation_params.dir)
