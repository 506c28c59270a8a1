"""Read YAML with line numbers: plain data only, by libyaml, with clear messages for mistakes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tunegate.harness.core.authoring.document import Document, Where, shortened, show_value, show_where
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.escaping import HALF
from tunegate.harness.core.garbage import no_collection

MAX_DEPTH = 100  # levels of nesting
MAX_REPEATED = 100_000  # values that aliases may add: nine lines of aliases can expand to a billion
MUCH = 1 << 18  # characters of a file; pure-Python PyYAML takes seconds
MAX_DIGITS = 300  # of a whole number; floats have the same limit
TAG = "tag:yaml.org,2002:"
TEXT, MERGE = TAG + "str", TAG + "merge"
TOO_DEEP = (f"at most {MAX_DEPTH} levels of nesting", "more")


class _Builder:
    """One pass over the nodes of a file: builds plain data and collects `problems`."""

    def __init__(self, path: Path, text: str, loader: _Loader | _FastLoader) -> None:
        self.problems: list[Problem] = []
        self._path, self._text, self._loader = path, text, loader
        self._built: dict[int, tuple[Any, int]] = {}  # by node of a list or mapping: the data, and the number of values
        self._open: set[int] = set()
        self._brackets = 0
        self._has_cuts = bool(_CUT.search(text))
        self._nodes = 0
        self._values = 0  # with aliases expanded
        self._aliases_reported = False

    def build(self, node: yaml.Node, where: Where) -> Any:
        """The data of `node`; each list and mapping is built once, and aliases share the object."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if id(node) in self._built:
            data, values = self._built[id(node)]
            self._values += values
            return data
        if id(node) in self._open:
            self._say(node, where, "finite data", "an alias inside its own anchor", "delete the alias")
            return None
        if len(self._open) >= MAX_DEPTH:
            self._say(node, where, *TOO_DEEP)
            return None
        return self._collection(node, where)

    def _collection(self, node: Any, where: Where) -> Any:
        before, in_brackets = self._values, bool(node.flow_style)
        self._open.add(id(node))
        self._brackets += in_brackets
        self._nodes += 1
        self._values += 1
        is_list = isinstance(node, yaml.SequenceNode)
        if node.tag != (TAG + "seq" if is_list else TAG + "map"):
            self._tagged(node, where)
        data = self._list(node, where) if is_list else self._mapping(node, where)
        self._brackets -= in_brackets
        self._open.remove(id(node))
        values = self._values - before
        self._built[id(node)] = data, values
        self._check_aliases(node, where)
        return data

    def _list(self, node: yaml.SequenceNode, where: Where) -> list[Any]:
        return [self.build(item, (*where, index)) for index, item in enumerate(node.value)]

    def _check_aliases(self, node: yaml.Node, where: Where) -> None:
        repeated = self._values - self._nodes
        if repeated > MAX_REPEATED and not self._aliases_reported:
            self._aliases_reported = True
            found = f"aliases that expand to {repeated:,} more values"
            self._say(node, where, "few aliases", found, "write the values out")

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        data: dict[Any, Any] = {}
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._say(key, where, "a key that is text", "a list or a mapping", QUOTE)
                continue
            if key.value in seen:
                found = f"{show_value(key.value)} again (first on line {seen[key.value].start_mark.line + 1})"
                self._say(key, where, "each key once", found, "delete or rename one of them")
            seen.setdefault(key.value, key)
            place = (*where, key.value)
            name, inner = self._scalar(key, place), self.build(value, place)
            if (
                node.flow_style
                and not key.style
                and ":" in key.value
                and value.start_mark.index == value.end_mark.index
            ):
                self._say(key, place, "`key: value`", show_value(key.value), "put a space after the colon")
            if key.tag not in {TEXT, MERGE}:
                self._say(key, place, "a key that is text", shortened(key.value), "put it in quotes")
            if key.tag == MERGE:
                merged = self._merged(value, inner, place)
            else:
                data[name] = inner
        return {**merged, **data} if merged else data

    def _merged(self, node: yaml.Node, data: Any, where: Where) -> dict[Any, Any]:
        """The data of `<<:`: a mapping, or a list of them in which earlier ones take precedence."""
        if self._aliases_reported:  # each merge copies, and long chains exhaust memory
            return {}
        found = data if isinstance(data, list) else [data]
        if not all(isinstance(each, dict) for each in found):
            self._say(node, where, "a mapping, or a list of mappings, after <<", show_value(data), QUOTE)
            return {}
        return {key: value for each in reversed(found) for key, value in each.items()}

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        self._nodes += 1
        self._values += 1
        tag, value = node.tag, node.value
        if node.style == '"' and HALF.search(value):
            self._say(node, where, "text", "a lone surrogate", "delete the \\u escape, or write both halves")
        if not node.style and (self._brackets or self._has_cuts):
            self._check_plain(node, where)
        if tag == TEXT:
            return value
        if tag != self._loader.resolve(yaml.ScalarNode, value, (True, False)):
            self._tagged(node, where)
            return None
        if tag == TAG + "int" and len(value) > MAX_DIGITS:
            self._say(node, where, f"a number of at most {MAX_DIGITS} digits", f"one of {len(value)}")
            return None
        if tag == MERGE:
            return value
        found = self._loader.construct_object(node)
        if tag == TAG + "float" and not math.isfinite(found):
            self._say(node, where, "a finite number", str(found))
        return found

    def _check_plain(self, node: yaml.ScalarNode, where: Where) -> None:
        """Report plain text that YAML reads differently than people do."""
        if self._brackets and "?" in node.value:  # which PyYAML refuses
            self._say(node, where, "a text without ? between brackets", show_value(node.value), QUOTE)
        if node.tag == TEXT and _CUT.match(self._text, node.end_mark.index):
            hint = "put the whole text in quotes, or a space after the # of a comment"
            self._say(node, where, "a text without ' #'", f"{show_value(node.value)} and a comment", hint)

    def _tagged(self, node: yaml.Node, where: Where) -> None:
        tag = shortened(node.tag.replace(TAG, "!!"))
        self._say(node, where, "a value without a tag", tag, "put a text that begins with ! in quotes")

    def _say(self, node: yaml.Node, where: Where, expected: str, found: str, hint: str = "") -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(self._path, line, show_where(where), expected, found, hint))


class _NodeLines(Mapping[Where, int]):
    """The line of every path in a file, looked up in its nodes on demand."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root
        # by node of a large mapping: scanning all keys for each lookup takes quadratic time
        self._keys: dict[int, dict[str | int, _Pair]] = {}

    def __getitem__(self, where: Where) -> int:
        """The line of a key, even if its value starts below; for an item, the line where it starts."""
        return self._find(where)[1]

    def at(self, where: Where) -> _NodeLines:
        """The lines below a path, with paths relative to it.

        Raises:
            KeyError: the path does not exist.
        """
        return _NodeLines(self._find(where)[0])

    def _find(self, where: Where) -> tuple[yaml.Node, int]:
        node, line = self._root, self._root.start_mark.line + 1
        for part in where:
            node, line = self._step(node, part)
        return node, line

    def _step(self, node: yaml.Node, part: str | int) -> tuple[yaml.Node, int]:
        """The node at a key or index of `node`, and its line.

        Raises:
            KeyError: there is none.
        """
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part].start_mark.line + 1
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        if found := self._pair(node, pairs, part):
            return found[1], found[0].start_mark.line + 1
        for value in [value for key, value in pairs if key.tag == MERGE]:
            for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                with suppress(KeyError):
                    return self._step(each, part)
        raise KeyError(part)

    def _pair(self, node: yaml.Node, pairs: Sequence[_Pair], part: str | int) -> _Pair | None:
        """The first key of a mapping with this name, and its value."""
        if len(pairs) <= MANY:
            return next((pair for pair in pairs if pair[0].value == part), None)
        if id(node) not in self._keys:
            texts = [pair for pair in pairs if isinstance(pair[0], yaml.ScalarNode)]
            self._keys[id(node)] = {pair[0].value: pair for pair in reversed(texts)}
        return self._keys[id(node)].get(part)

    def __iter__(self) -> Iterator[Where]:
        return _places(self._root, ())

    def __len__(self) -> int:
        return sum(1 for _ in self)


_Pair = tuple[yaml.Node, yaml.Node]  # a key and its value
MANY = 20  # keys


def _places(node: yaml.Node, where: Where) -> Iterator[Where]:
    yield where
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _places(item, (*where, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(value, where if key.tag == MERGE else (*where, key.value))


_CUT = re.compile(r"[ \t]+#\w")  # `input: order #12 is late` is read as `order` and a comment


QUOTE = "put the text in quotes"
PAIR = "`key: value`", "write a key, a colon, a space and its value"
AFTER_BRACKET = "nothing after a closing bracket", "more text", "put a text that begins with { or [ in quotes"
TAB_IN_TEXT = "a space", "a tab", r"write a space; or put the text in double quotes, with \t for its tab"
# PyYAML's messages and their translation: expected, found, hint. {0} is the pattern's group, {1} the line where the
# quote, bracket or key opens; the last column says whether the mistake is reported there.
_SYNTAX: tuple[tuple[str, str, str, str, bool], ...] = (
    (r"character '\\t'", "spaces", "a tab", "indent with spaces", False),
    (r"character '(.)' that cannot start", "a text in quotes", "a text that begins with {0}", QUOTE, False),
    (r"(?:anchor|alias)", "a text in quotes", "a text that begins with * or &, or an alias without its &name", QUOTE,
     False),
    (r"mapping values are not allowed", "one `key: value`", "a second ': ', or keys that are not lined up",
     "put a text that holds ': ' in quotes; begin the keys of one mapping in one column", False),
    (r"<block end>, but found '<scalar>'", "nothing after a closing quote", "more text",
     "quote the whole text; inside '...' write ' twice", False),
    (r"<block end>, but found '[]}]'", "an opening bracket for each closing one", "none", "delete the closing one",
     False),
    (r"<block end>", "lines that belong together in one column", "a line in another column",
     "indent it like the lines beside it", False),
    (r"end of stream.* quoted scalar", "a closing quote", "none before the end of the file",
     "the quote opens on this line", True),
    (r"flow (?:mapping|sequence|node)", "a comma or a closing bracket", "other text",
     "the bracket opens on line {1}; put texts that hold , : ? [ ] {{ or }} in quotes there", False),
    (r"chr\(\) arg", "an existing character", "a larger number after \\U", "write 0010FFFF or less there", False),
    (r"escape", "a known escape after the \\", "another character",
     "in double quotes write \\\\ for \\, or use single quotes", False),
    (r"could not find expected ':'", "`key: value`", "a line without ': '",
     "put a space after its colon, or indent it if it goes on the text above", True),
    (r"block scalar", "nothing after | or >", "more text",
     "begin the text on the next line, indented; or put it in quotes if it begins with | or >", False),
    (r"single document", "one document", "a second one", "delete the line ---, or move what follows to its own file",
     False),
)  # fmt: skip


def _syntax_problem(error: Exception, path: Path, text: str) -> Problem:
    """A PyYAML error as a problem of the file."""
    said = " ".join(filter(None, [getattr(error, "problem", None) or str(error), getattr(error, "context", None)]))
    mark, opens = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 1
    opening = opens.line + 1 if opens else line
    if "character '\\t'" in said and mark and text.splitlines()[mark.line][: mark.column].strip():
        return Problem(path, line, "", *TAB_IN_TEXT)
    if mark and "mapping values" in said and (before := _without_a_value(text, mark.line, mark.column)):
        return Problem(path, before[0], "", PAIR[0], show_value(before[1]), PAIR[1])
    if mark and "found '<scalar>'" in said and text[: mark.index].rstrip().endswith(("}", "]")):
        return Problem(path, line, "", *AFTER_BRACKET)
    for pattern, expected, found, hint, at_opening in _SYNTAX:
        if seen := re.search(pattern, said):
            values = (*seen.groups(), "")[0], opening
            line = opening if at_opening else line
            return Problem(path, line, "", expected, found.format(*values), hint.format(*values))
    return Problem(path, line, "", "YAML", said, QUOTE)


def _without_a_value(text: str, line: int, column: int) -> tuple[int, str] | None:
    """The line above `key: ` that is no key with a value, so that YAML takes both lines for one text, and what it says.

    None if that line has a value: then the mistake is on the line of the key itself.
    """
    lines = text.splitlines()
    if ": " in lines[line][:column]:
        return None
    number, above = next(((at + 1, lines[at].strip()) for at in range(line - 1, -1, -1) if lines[at].strip()), (0, ""))
    above = above.removeprefix("- ")
    return (number, above) if above and ": " not in above and not above.endswith(":") and above[0] != "#" else None


class _Loader(yaml.SafeLoader):
    """A safe loader with JSON's plain values: `yes`, dates, `12:30`, `007`, `1_000` and `=` are text."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Join escaped surrogate pairs: JSON writes them, and JSON is YAML."""
        node = super().compose_scalar_node(anchor)
        if HALF.search(node.value):
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return node


#: Plain values that are not text: their kind, their pattern, and their possible first characters.
SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    # YAML 1.1 reads 5e-4 as text; authors of a learning rate mean the number
    ("float", r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)([eE][-+]?[0-9]+)?", "-.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)
_KEPT = {TAG + "null", MERGE}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))


# libyaml reads a file ten times as fast as PyYAML and equally, except that it accepts tabs and comments right after
# | or >, and does not count a byte order mark
_READ_OTHERWISE = re.compile(r"#(?<=[-+0-9|>]#)")  # possibly right after | or >; starts with the rare character


def _is_read_otherwise(text: str) -> bool:
    return "\t" in text or "\ufeff" in text or bool(_READ_OTHERWISE.search(text))


class _FastLoader(getattr(yaml, "CSafeLoader", _Loader)):  # type: ignore[misc]  # not every platform has libyaml
    """The same values, read by libyaml."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """The tag of an untagged scalar as PyYAML resolves it, three times as fast: there are no path resolvers."""
        if kind is not yaml.ScalarNode:
            return super().resolve(kind, value, implicit)
        for tag, pattern in self.yaml_implicit_resolvers.get(value[:1], ()) if implicit[0] else ():
            if pattern.match(value):
                return tag
        return TEXT


def read_yaml(path: Path) -> Document:
    """Parse one YAML file.

    Raises:
        AuthoringError: the file is missing, not UTF-8, not YAML, repeats a key, or has more than plain data.
    """
    return parse_yaml(path, _read_text(path))


def parse_yaml(path: Path, text: str) -> Document:
    """Parse YAML; `path` names its source in errors.

    Raises:
        AuthoringError: it is not YAML, repeats a key, or has more than plain data.
    """
    if not _is_read_otherwise(text):
        try:
            return _plain_data(path, text, _FastLoader(text))
        except (yaml.YAMLError, AuthoringError) as error:  # PyYAML then raises its own message, which `_SYNTAX` knows
            if len(text) > MUCH:  # PyYAML would take minutes
                raise _as_authoring_error(error, path, text) from error
    try:
        return _plain_data(path, text, _Loader(text))
    except (yaml.YAMLError, ValueError) as error:  # an impossible character is a ValueError
        raise _as_authoring_error(error, path, text) from error
    except RecursionError:
        raise AuthoringError([Problem(path, 1, "", *TOO_DEEP)]) from None


def _as_authoring_error(error: Exception, path: Path, text: str) -> AuthoringError:
    return error if isinstance(error, AuthoringError) else AuthoringError([_syntax_problem(error, path, text)])


def part(document: Document, where: Where, data: Any) -> Document:
    """The data at a place as a document of its own, without references to the rest.

    Without a place in the file, for example if combined from several places, it has no lines.
    """
    lines: Mapping[Where, int] = {}
    if isinstance(document.lines, _NodeLines):
        with suppress(KeyError):
            lines = document.lines.at(where)
    return Document(document.path, data, lines)


@no_collection()
def _plain_data(path: Path, text: str, loader: _Loader | _FastLoader) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document(path, None, {})
    builder = _Builder(path, text, loader)
    data = builder.build(node, ())
    if builder.problems:
        raise AuthoringError(builder.problems)
    return Document(path, data, _NodeLines(node))


_CONFLICT = re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)
#: Invisible characters. A fixture may contain them as escapes between double quotes.
UNSEEN = re.compile(
    "[\u200b\u2060]|(?<!\\A)\ufeff|"  # without width; joiners of emoji and some scripts are allowed
    "[^\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


_PLAIN = bytes(range(32, 127)) + b"\t\n"


def _read_text(path: Path) -> str:
    text = read_utf8(path)
    # before YAML, which would report another mistake on another line
    if torn := _CONFLICT.search(text):
        hint = "finish the merge: keep the right version and delete the lines <<<<<<<, ======= and >>>>>>>"
        line = text.count("\n", 0, torn.start()) + 1
        raise AuthoringError([Problem(path, line, "", "one version of the text", "a merge conflict", hint)])
    # most text is plain ASCII, which bytes.translate removes much faster than a regular expression
    if not UNSEEN.search("x" + text.encode().translate(None, _PLAIN).decode()):
        return text
    unseen = list(_unseen(path, text))
    if unseen:
        raise AuthoringError(unseen)
    return text


def _unseen(path: Path, text: str) -> Iterator[Problem]:
    line, counted = 1, 0
    for seen in UNSEEN.finditer(text):
        line += text.count("\n", counted, seen.start())
        counted = seen.start()
        found = f"the invisible character U+{ord(seen[0]):04X}"
        hint = "delete it or put a space or line break there"
        yield Problem(path, line, "", "visible characters", found, hint)
