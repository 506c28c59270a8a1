"""The configurations that `tunegate compare` is given: models, adapters, prompt files and records, by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.cases.prompt_file import PROMPT_FILES
from tunegate.harness.core.errors import UsageError
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.backends import backend_of

ADAPTER_FILE, REFERENCE = "adapter_config.json", ".ref"
BETWEEN = "+"  # of the parts of one configuration
_SPLIT = re.compile(r"\+(?=[^+])")  # a `+` that nothing follows, or another one, ends a name: command-r+
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Side:
    """One configuration of a comparison. An empty `model` is that of the run; a `record` was evaluated before."""

    name: str
    model: str = ""
    adapter: Path | None = None
    prompt: Path | None = None
    record: Path | None = None


def read_sides(given: Sequence[str]) -> list[Side]:
    """Read configurations as they are named on the command line: `[NAME=]PART[+PART ...]`; UsageError if they clash.

    A part is a model, an adapter's folder or `.ref` file, a prompt file, or a record.
    """
    if len(given) < 2:
        raise UsageError(f"compare: expected at least two configurations, found {len(given)}")
    sides = [_side(each) for each in given]
    if twice := [name for name, count in Counter(each.name for each in sides).items() if count > 1]:
        raise UsageError(
            f"compare: expected configurations with different names, found {listed(twice)} twice; name them: "
            f"one={given[0]} two={given[1]}"
        )
    return sides


def named_parts(text: str) -> tuple[str, str]:
    """Return the name of `NAME=PARTS`, empty without one, and the parts; a file of that whole name is one part."""
    found = None if Path(text).exists() else _NAMED.fullmatch(text)
    return (found["name"], found["rest"]) if found else ("", text)


def _side(text: str) -> Side:
    name, rest = named_parts(text)
    parts = [rest] if Path(rest).exists() else _SPLIT.split(rest)
    kinds = [(_kind(part), part) for part in parts if part]
    for kind, count in Counter(kind for kind, _ in kinds).items():
        if count > 1:
            raise UsageError(f"{text}: expected one {kind}, found {count}; name a configuration for each")
    found = dict(kinds)
    if not found or ("record" in found and len(found) > 1):
        what = "a record without other parts" if found else "a model, adapter, prompt file or record"
        raise UsageError(f"{text}: expected {what}, found {listed(parts)}")
    paths = {kind: Path(part) for kind, part in kinds if kind != "model"}
    return Side(name or BETWEEN.join(_short(kinds)), found.get("model", ""), **paths)


def _kind(part: str) -> str:
    path = Path(part)
    if backend_of(part).prefix:
        return "model"
    if path.suffix == REFERENCE or (path / ADAPTER_FILE).is_file():
        return "adapter"
    if path.suffix in PROMPT_FILES:
        return "prompt"
    return "record" if path.suffix == ".json" else "model"


def _short(kinds: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the last word of each part: a folder's name, a file's without its ending, a served model's own name."""
    for kind, part in kinds:
        last = re.split(r"[/#:]", part.rstrip("/"))[-1]
        yield last if kind in ("model", "adapter") else Path(last).stem
