"""Every way in which the nodes of a YAML file are more than plain data, or less than what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import yaml

from tunegate.harness.authoring.document import Where, show_value, show_where
from tunegate.harness.authoring.syntax import QUOTE
from tunegate.harness.core.errors import Problem

MAX_DEPTH = 100  # levels of nesting
MAX_REPEATED = 100_000  # values that aliases may add to a file
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
        self._told = False

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
        if size > len(self._sizes) + MAX_REPEATED and not self._told:
            self._told = True
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
