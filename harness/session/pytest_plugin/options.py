"""The options of a run from pytest's command line, and its project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.core.project import find_root
from tunegate.harness.models.model_options import template_from
from tunegate.harness.models.options.run import BASELINE, Options, standing_options
from tunegate.harness.models.options.table import OPTIONS, TABLE, Option


def read_options(config: pytest.Config) -> Options:
    """The run's options: the command line, then `[tool.tunegate]` of the root's pyproject.toml, then the defaults."""
    from tunegate.harness.models.evaluation.shards import parse_shard  # a heavy import, not needed without fixtures

    here = config.invocation_params.dir
    values = {option.name: getattr(config.option, option.dest) for option in TABLE if option.suites}
    given = {name: _from(here, OPTIONS[name], value) for name, value in values.items() if value not in (None, "", [])}
    stands = {name: value for name, value in given.items() if OPTIONS[name].stands}
    others = {name: value for name, value in given.items() if name not in stands}
    against, shard = others.pop("against", None), others.pop("shard", None)
    return replace(
        standing_options(find_project(config), stands),
        adapters=others.pop("adapter", ()),
        against=against if against in (None, BASELINE) else str(here / against),
        shard=parse_shard(shard) if shard else None,
        **others,
    )


def _from(here: Path, option: Option, value: Any) -> Any:
    """A value of the command line; paths are relative to `here`."""
    if option.many:
        return tuple(here / each for each in value)
    if option.name == "chat-template":
        return template_from(here, value)
    return here / value if option.type is Path else value


def find_project(config: pytest.Config) -> Path:
    """The project's folder: pytest's root if a file configures it, or the folder that the commands find."""
    # without a configuration file pytest guesses its root from all arguments, a model's folder included
    return config.rootpath if config.inipath else find_root(config.invocation_params.dir)
