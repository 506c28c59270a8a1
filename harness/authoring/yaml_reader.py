"""YAML with line numbers: plain data only, read by libyaml, with every mistake in words."""

from __future__ import annotations

import codecs
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tunegate.harness.authoring.document import Document, Where, show_value, show_where
from tunegate.harness.core.errors import AuthoringError, Problem, show_path

MAX_DEPTH = 100  # levels of nesting
MAX_REPEATED = 100_000  # values that aliases may add to a file: nine lines of aliases can stand for a billion
MAX_DIGITS = 300  # of one whole number; floats end there too
TAG = "tag:yaml.org,2002:"
TOO_DEEP = (f"at most {MAX_DEPTH} levels of nesting", "more")
HALVES = re.compile("[\ud800-\udfff]")  # of surrogate pairs


class Inspection:
    """One pass over the nodes of a file, before any data is made; `problems` grows as `size` goes."""

    def __init__(self, name: str, text: str, resolve: Callable[..., str]) -> None:
        self.problems: list[Problem] = []
        self._name, self._text, self._resolve = name, text, resolve
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._brackets = 0
        self._aliases_reported = False

    def size(self, node: yaml.Node, where: Where) -> int:
        """How many values `node` stands for with its aliases written out; each node is looked at once."""
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if id(node) in self._open:
            self._say(node, where, "data that ends", "an alias inside what it names", "delete the alias")
            return 0
        if len(self._open) >= MAX_DEPTH:
            self._say(node, where, *TOO_DEEP)
            return 0
        in_brackets = isinstance(node, yaml.CollectionNode) and bool(node.flow_style)
        self._open.add(id(node))
        self._brackets += in_brackets
        self._check_tag(node, where)
        size = 1 + sum(self.size(inner, place) for place, inner in self._inside(node, where))
        self._brackets -= in_brackets
        self._open.remove(id(node))
        self._sizes[id(node)] = size
        if size > len(self._sizes) + MAX_REPEATED and not self._aliases_reported:
            self._aliases_reported = True
            self._say(node, where, "few aliases", f"aliases that stand for {size:,} values", "write the values out")
        return size

    def _say(self, node: yaml.Node, where: Where, expected: str, found: str, hint: str = "") -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(self._name, line, show_where(where), expected, found, hint))

    def _inside(self, node: yaml.Node, where: Where) -> Iterator[tuple[Where, yaml.Node]]:
        if isinstance(node, yaml.SequenceNode):
            yield from (((*where, index), item) for index, item in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    self._say(key, where, "a key that is text", "a list or a mapping", QUOTE)
                    continue
                if key.value in seen:
                    found = f"{key.value!r} again (first on line {seen[key.value]})"
                    self._say(key, where, "each key once", found, "delete or rename one of them")
                seen.setdefault(key.value, key.start_mark.line + 1)
                self._check_tag(key, (*where, key.value))
                yield (*where, key.value), value

    def _check_tag(self, node: yaml.Node, where: Where) -> None:
        usual = {TAG + "map", TAG + "seq"}
        if isinstance(node, yaml.ScalarNode):
            self._check_scalar(node, where)
            is_text = node.tag == TAG + "str"
            usual = {node.tag if is_text else self._resolve(yaml.ScalarNode, node.value, (True, False))}
        if node.tag not in usual:
            tag = node.tag.replace(TAG, "!!")
            self._say(node, where, "a value without a tag", tag, "put a text that begins with ! in quotes")

    def _check_scalar(self, node: yaml.ScalarNode, where: Where) -> None:
        if node.tag == TAG + "int" and len(node.value) > MAX_DIGITS:
            self._say(node, where, f"a number of at most {MAX_DIGITS} digits", f"one of {len(node.value)}")
        if HALVES.search(node.value):
            self._say(node, where, "text", "half a surrogate pair", "delete the \\u escape, or write both halves")
        if node.style:
            return  # in quotes, or below | or >
        if self._brackets and "?" in node.value:  # PyYAML refuses it itself
            self._say(node, where, "a text without ? between brackets", show_value(node.value), QUOTE)
        if node.tag == TAG + "str" and _CUT.match(self._text, node.end_mark.index):
            hint = "put the whole text in quotes, or a space after the # of a comment"
            self._say(node, where, "a text without ' #'", f"{show_value(node.value)} and a comment", hint)


_CUT = re.compile(r"[ \t]+#\w")  # `input: order #12 is late` is `order` and a comment


QUOTE = "put the text in quotes"
# What PyYAML says, and in the words of people: what was expected, what was found, what to do. {0} is the pattern's
# group, {1} the line where the quote, bracket or key opens; the mistake is shown there if the last column says so.
_SYNTAX: tuple[tuple[str, str, str, str, bool], ...] = (
    (r"character '\\t'", "spaces", "a tab", "indent with spaces", False),
    (r"character '(.)' that cannot start", "a text in quotes", "a text that begins with {0}", QUOTE, False),
    (r"(?:anchor|alias)", "a text in quotes", "a text that begins with * or &, or an alias without its &name", QUOTE,
     False),
    (r"mapping values are not allowed", "one `key: value`", "a second ': ', or keys that are not lined up",
     "put a text that holds ': ' in quotes; begin the keys of one mapping in one column", False),
    (r"<block end>, but found '<scalar>'", "nothing after a closing quote", "more text",
     "quote the whole text; inside '...' write ' twice", False),
    (r"<block end>", "lines that belong together in one column", "a line in another column",
     "indent it like the lines beside it", False),
    (r"end of stream.* quoted scalar", "a closing quote", "none before the end of the file",
     "the quote opens on this line", True),
    (r"flow (?:mapping|sequence|node)", "a comma or a closing bracket", "something else",
     "the bracket opens on line {1}; put texts that hold , : ? [ ] {{ or }} in quotes there", False),
    (r"escape", "a known escape after the \\", "another character",
     "in double quotes write \\\\ for \\, or use single quotes", False),
    (r"could not find expected ':'", "`key: value`", "a line without ': '",
     "indent it if it goes on the text above", True),
    (r"block scalar", "nothing after | or >", "more text",
     "begin the text on the next line, indented; or put it in quotes if it begins with | or >", False),
    (r"single document", "one document", "a second one", "delete the line ---, or move what follows to its own file",
     False),
)  # fmt: skip


def syntax_problem(error: yaml.YAMLError, name: str) -> Problem:
    """What PyYAML found, said as a mistake in the file called `name`."""
    said = " ".join(filter(None, [getattr(error, "problem", None) or str(error), getattr(error, "context", None)]))
    mark, opens = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 1
    opening = opens.line + 1 if opens else line
    for pattern, expected, found, hint, at_opening in _SYNTAX:
        if seen := re.search(pattern, said):
            values = (*seen.groups(), "")[0], opening
            return Problem(
                name, opening if at_opening else line, "", expected, found.format(*values), hint.format(*values)
            )
    return Problem(name, line, "", "YAML", said, QUOTE)


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
        with suppress(yaml.YAMLError, AuthoringError):  # PyYAML then says it in its words, which `_SYNTAX` knows
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
    # before YAML, which would complain of something else on another line
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
