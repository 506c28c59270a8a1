"""YAML with line numbers: plain data only, read by libyaml, with every mistake in words."""

from __future__ import annotations

import codecs
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.authoring.plaindata import HALVES, TAG, TOO_DEEP, Inspection
from tunegate.harness.authoring.syntax import syntax_problem
from tunegate.harness.core.errors import AuthoringError, Problem, show_path


class _Loader(yaml.SafeLoader):
    """A safe loader whose plain values are JSON's: `yes`, dates, `12:30`, `007`, `1_000` and `=` are text."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Join the halves of escaped surrogate pairs: JSON writes them, and JSON is YAML."""
        node = super().compose_scalar_node(anchor)
        if HALVES.search(node.value):
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return node


_KEPT = {TAG + "null", TAG + "merge"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    # YAML 1.1 reads 5e-4 as text; everyone who writes a learning rate means the number
    ("float", r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)([eE][-+]?[0-9]+)?", "-.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
):
    _Loader.add_implicit_resolver(TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))


# libyaml reads a file ten times as fast as PyYAML's own code, and alike, but for tabs and comments right after | or >,
# which it takes, and for an order mark, which it does not count
_READ_OTHERWISE = re.compile(r"[\t\ufeff]|[|>][-+0-9]*#")


class _FastLoader(getattr(yaml, "CSafeLoader", _Loader)):  # type: ignore[misc]  # not every platform has libyaml
    """The same values, read by libyaml."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def read_yaml(path: Path) -> Document:
    """Parse one YAML file.

    Raises:
        AuthoringError: the file is missing, not UTF-8, not YAML, repeats a key, or is more than plain data.
    """
    name = show_path(path)
    text = _read_text(path, name)
    if not _READ_OTHERWISE.search(text):
        with suppress(yaml.YAMLError, AuthoringError):  # PyYAML then says it in its words, which `syntax` knows
            return _plain_data(path, name, text, _FastLoader(text))
    try:
        return _plain_data(path, name, text, _Loader(text))
    except yaml.YAMLError as error:
        raise AuthoringError([syntax_problem(error, name)]) from error
    except RecursionError:
        raise AuthoringError([Problem(name, 1, "", *TOO_DEEP)]) from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nodes are many and none of them is garbage: to look for some among them would take as long as to read them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_collection()
def _plain_data(path: Path, name: str, text: str, loader: _Loader | _FastLoader) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document(path, None, {})
    inspection = Inspection(name, text, loader.resolve)
    inspection.size(node, ())
    if inspection.problems:
        raise AuthoringError(inspection.problems)
    return Document(path, loader.construct_document(node), dict(_lines(node, ())))


_MERGE = re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)
_UNSEEN = re.compile(
    "[\u200b\u2060]|(?<!\\A)\ufeff|"  # without width, unlike the joiners of emoji and of some scripts
    "[^\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _read_text(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AuthoringError([Problem(name, 1, "", "a file", "nothing there")]) from None
    except UnicodeDecodeError as error:
        line, byte = error.object[: error.start].count(b"\n") + 1, error.object[error.start]
        hint = "save the file with the encoding UTF-8"
        found = f"the byte 0x{byte:02x}, which is something else"
        if error.object.startswith(_UTF16):
            line, found = 1, "UTF-16, as some editors of Windows save it"
        problem = Problem(name, line, "", "UTF-8 text", found, hint)
        raise AuthoringError([problem]) from error
    except OSError as error:
        raise AuthoringError([Problem(name, 1, "", "a file that can be read", error.strerror or str(error))]) from error
    if torn := _MERGE.search(text):
        hint = "finish the merge: keep what is meant and delete the lines <<<<<<<, ======= and >>>>>>>"
        line = text.count("\n", 0, torn.start()) + 1
        raise AuthoringError([Problem(name, line, "", "one version of the text", "a merge conflict", hint)])
    unseen = [
        Problem(name, text.count("\n", 0, seen.start()) + 1, "", "characters that can be seen",
                f"the character U+{ord(seen[0]):04X}, which cannot", "delete it or put a space or line break there")
        for seen in _UNSEEN.finditer(text)
    ]  # fmt: skip
    if unseen:
        raise AuthoringError(unseen)
    return text


def _lines(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int]]:
    yield where, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*where, str(key.value))
            yield from _lines(value, inner)
            yield inner, key.start_mark.line + 1  # the key's line, also where its value starts below
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*where, index))
