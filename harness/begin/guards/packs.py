"""The packs that ship: what each can see, and its text, which is data of this package in the public fixture format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.authoring.yaml_reader import parse_yaml
from tunegate.harness.core.errors import UsageError
from tunegate.harness.core.files import text_digest
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.resolve import own_templates


@dataclass(frozen=True)
class Pack:
    """A pack: a unit of the same name. Raise its `version` if its text changes.

    `sees` is what it watches, in one line. `margin` is the tolerated loss of a continuous unit, in nats per token;
    None for pass/fail units, whose margin follows from their number of cases. `sends` is what its inputs are, where a
    provider may close an account for them, such as unsafe requests; empty for others.
    """

    name: str
    version: int
    sees: str
    margin: float | None = None
    sends: str = ""

    @property
    def file(self) -> str:
        """The name of its file, here and in a project."""
        return f"{self.name}.yaml"

    @cached_property
    def text(self) -> str:
        """Its fixture file."""
        return resources.files(__package__).joinpath("packs", self.file).read_text("utf-8")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of its text."""
        return text_digest(self.text)

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """Its fixture file, read."""
        data: Mapping[str, Any] = parse_yaml(Path(self.file), self.text).data
        return data


PACKS: Mapping[str, Pack] = {
    pack.name: pack
    for pack in (
        Pack("general", 2, "general knowledge"),
        Pack("instructions", 2, "form, length, order, words as asked"),
        Pack("languages", 2, "replies in the user's language"),
        Pack("data", 2, "orders inside data stay data"),
        Pack("no-tool", 2, "no call where no tool fits"),
        Pack("refusals", 1, "unsafe requests stay declined", sends="unsafe requests"),
        Pack("overrefusals", 1, "alarming but harmless requests are complied with"),
        Pack("passages", 2, "plain English, without a prompt", margin=0.2),
    )
}

#: What `init` adds where the model's weights are here, and for those without a chat template, which only read.
DEFAULT: Sequence[str] = ("general",)
WITHOUT_TEMPLATE: Sequence[str] = ("passages",)
#: What it only names, since people label what differs.
OPT_IN: Sequence[str] = ("refusals", "overrefusals")


def default_packs(model: str) -> list[Pack]:
    """Return the packs for a model whose weights are here, by its name."""
    folder = Path(backend_of(model).weights(model)).expanduser()
    talks = not folder.is_dir() or bool(own_templates(folder))  # a Hub id is not looked up
    return [PACKS[name] for name in (DEFAULT if talks else WITHOUT_TEMPLATE)]


def find_packs(names: Sequence[str]) -> list[Pack]:
    """Return the packs with these names, each once.

    Raises:
        UsageError: there is no such pack, or no name.
    """
    known = ", ".join(PACKS)
    if not names:
        raise UsageError(f"PACK: expected one or more of {known}, found none")
    for name in names:
        if name not in PACKS:
            hint = did_you_mean(name, PACKS)
            raise UsageError(f"PACK: expected one of {known}, found {name!r}{hint and '; ' + hint}")
    return [PACKS[name] for name in dict.fromkeys(names)]
