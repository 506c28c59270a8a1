"""Write YAML as a person would, so that `read_yaml` returns the same data."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import yaml

from tunegate.harness.core.authoring.yaml_reader import SCALARS, TAG, UNSEEN

WIDTH = 110  # characters per line; longer words stay whole
FOLDED = 80  # longer one-line texts are folded below >-
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class _OneLine(dict[str, Any]):
    """A mapping written on one line between braces."""


class _Dumper(yaml.SafeDumper):
    """Blocks, indented lists, `|` for lines and `>-` for long texts; quotes only if a text needs them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Also indent the items of a list."""
        super().increase_indent(flow, indentless=False)

    def write_double_quoted(self, text: str, split: bool = True) -> None:  # noqa: ARG002
        """Escape only invisible characters: PyYAML would escape emoji, and keep characters without width."""
        self.write_indicator(f'"{"".join(map(_escaped, text))}"', True)


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if not UNSEEN.match(f"x{letter}", 1):
        return letter
    return f"\\u{ord(letter):04X}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08X}"


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(TAG + "str", text, style=_style(text))


def _style(text: str) -> str | None:
    """The style of a text; None leaves it to PyYAML: bare, or in single quotes if it would be misread."""
    if UNSEEN.search(f"x{text}") or "\t" in text:
        return '"'
    if "\n" in text:
        return "|"
    return ">" if len(text) > FOLDED and text == text.strip() else None


def _one_line(dumper: _Dumper, value: _OneLine) -> yaml.MappingNode:
    return dumper.represent_mapping(TAG + "map", value.items(), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_OneLine, _one_line)
# quote what YAML 1.1 or our reader takes for a number, a date or a boolean, for every reader of the file
for _name, _pattern, _first in SCALARS:
    _Dumper.add_implicit_resolver(TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))


def write_yaml(data: Any, one_line: Collection[str] = ()) -> str:
    """`data` (JSON types, without lone surrogates) as YAML, to which more can be added.

    The mappings below the keys `one_line` are written between braces on one line if they fit.
    """
    said: str = yaml.dump(
        _marked(data, one_line), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH,
        default_flow_style=False,
    )  # fmt: skip
    # PyYAML marks the end below a text that ends with empty lines
    return said.removesuffix("...\n") if said.endswith("\n...\n") else said


def _marked(value: Any, one_line: Collection[str]) -> Any:
    if isinstance(value, list):
        return [_marked(each, one_line) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _OneLine(inner) if key in one_line and _fits(inner) else _marked(inner, one_line)
        for key, inner in value.items()
    }


def _fits(value: Any) -> bool:
    """Whether a mapping fits on a line and has one-line texts only."""
    if not isinstance(value, dict):
        return False
    text = repr(value)
    return len(text) <= FOLDED and "\\" not in text
