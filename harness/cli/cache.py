"""The cache of all projects: model outputs and converted models."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Literal

import typer

from tunegate.harness.cli.common import console
from tunegate.harness.cli.options import Json, shared
from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.printing import print_json
from tunegate.harness.models.model_options import CACHE_MEGABYTES

CacheAction = Literal["look", "check", "clear"]


def cache(
    action: Annotated[CacheAction, typer.Argument(help="What to do.", metavar="look|check|clear")] = "look",
    cache_size: Annotated[int, shared("cache-size")] = CACHE_MEGABYTES,
    as_json: Json = False,
) -> None:
    """Show the cache, check that it is readable, or clear it, so that models generate their outputs again.

    The cache is in the user's cache folder, or in $TUNEGATE_CACHE. Clearing it keeps converted models; delete
    their folders yourself.
    """
    from tunegate.harness.models.cache import MEGABYTE, Store, clear_store, store_path
    from tunegate.harness.models.conversion import cache_folder
    from tunegate.harness.reporting.leaderboard import megabytes

    path = store_path()
    if action == "clear":
        count = clear_store(path)
        _print_or_json(as_json, {"cleared": count}, f"cleared: {count:,} outputs ({show_path(path)})")
        return
    with closing(Store(path, cache_size)) as store:
        kept, wrong = store.kept(), store.damaged() if action == "check" else []
    if wrong:
        more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
        raise CouldNotRun(
            f"{show_path(path)}: expected complete outputs, found: {wrong[0]}{more}; run: tunegate cache clear"
        )
    models = {each.name: megabytes(each) for each in sorted((cache_folder() / "models").glob("[!.]*")) if each.is_dir()}
    of_outputs = f"{kept.outputs:,} outputs, {kept.used_bytes / MEGABYTE:,.1f} of {cache_size:,} MB ({show_path(path)})"
    lines = [of_outputs, *(f"model {name}, {size:,.1f} MB" for name, size in models.items())]
    lines += ["all entries are readable"] if action == "check" else []
    data = {
        "path": str(path), "outputs": kept.outputs, "megabytes": kept.used_bytes / MEGABYTE, "most": cache_size,
        "models": models,
    }  # fmt: skip
    _print_or_json(as_json, data, *lines)


def _print_or_json(as_json: bool, data: dict[str, object], *lines: str) -> None:
    if as_json:
        print_json(data)
        return
    console.lines(lines)
