"""A recipe's effective values as a table: what would be trained, defaults included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.core.files import canonical
from tunegate.trainers.config.recipe import SHAPE, Recipe


def in_words(recipe: Recipe) -> Iterator[str]:
    """A line for each key: its name, its value, what it is; a value that the recipe does not give is a default."""
    lines = list(_lines(recipe.effective(), SHAPE["properties"], recipe.given))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for name, value, about in lines:
        yield f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {about}".rstrip()


def _lines(
    values: Mapping[str, Any], rules: Mapping[str, Any], given: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    for key, value in values.items():
        inner = rules[key].get("properties")
        if inner:
            yield from _lines(value, inner, given.get(key, {}), f"{prefix}{key}.")
        else:
            default = "" if key in given else " (default)"
            yield f"{prefix}{key}", _show(value), rules[key]["title"] + default


def _show(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else canonical(value)
