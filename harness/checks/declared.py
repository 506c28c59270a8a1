"""Kinds of check read from the source of a Python file, without running it.

The declaration of a kind (its schemas, its version, whether it is pass/fail) is data and is written as literals. So
fixtures can be validated, requests written and rule changes compared before the code is approved.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, get_args

from tunegate.harness.checks.base import Check, CheckKind, Kind, Outcome
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, show_path
from tunegate.harness.core.reading import MOST_SETTINGS, read_bytes

NAME = "CHECKS"
EXPECTED = f'{NAME} = {{"name": CheckKind(...), ...}}'
FUNCTIONS = ("load", "texts", "expect_of")  # attributes of a kind that are code
LITERAL = "a literal: text, numbers, lists and dicts of them, or a name for one (it is read without running the file)"
MOST_PARTS = 100_000  # literals in one file, with names resolved
MOST_SHOWN = 60


def declared_kinds(path: Path) -> dict[str, CheckKind]:
    """The kinds of check that a file's `CHECKS` declares, by name; they can be inspected and score nothing.

    Raises:
        AuthoringError: no such file, not Python, no `CHECKS` of that shape, or a value that is not a literal.
    """
    source = _Source(path)
    found = source.names.get(NAME)
    if not isinstance(found, ast.Dict):
        source.refuse(found, NAME, EXPECTED, source.said(found) if found else f"no {NAME}")
    kinds = {}
    for key, value in zip(found.keys, found.values, strict=True):
        name = source.value(key, NAME)
        if not isinstance(name, str):
            source.refuse(key, NAME, EXPECTED, source.said(key or found))
        kinds[name] = source.kind(value, f"{NAME}[{name!r}]")
    return kinds


def declared_kind(path: Path, name: str) -> CheckKind:
    """The kind of check that a file assigns to `name`.

    Raises:
        AuthoringError: see `declared_kinds`.
    """
    source = _Source(path)
    if name not in source.names:
        source.refuse(None, name, f"{name} = CheckKind(...)", "none; name the module that defines it")
    return source.kind(source.names[name], name)


@dataclass(frozen=True)
class DeclaredCheck(Check):
    """A check known only by its declaration, whose code is not loaded."""

    path: Path

    def __call__(self, output: Any, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002
        """Raise CouldNotRun."""
        raise CouldNotRun(f"{show_path(self.path)}: this command runs no checks; score with pytest or tunegate gate")


class _Source:
    """The source of a Python file and its top-level assignments."""

    def __init__(self, path: Path) -> None:
        self.path, self._parts = path, 0
        if not path.is_file():
            raise AuthoringError([Problem(path, 0, "", "a Python file with kinds of check", "nothing there")])
        text = read_bytes(path, "a Python file", MOST_SETTINGS)
        self._lines = text.decode("utf-8", "replace").splitlines()
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = (error.lineno or 1) if isinstance(error, SyntaxError) else 1
            said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
            raise AuthoringError([Problem(path, line, "", "Python that can be loaded", said)]) from error
        self.names = {name: value for node in body for name, value in _assigned(node)}

    def refuse(self, node: ast.AST | None, where: str, expected: str, found: str) -> NoReturn:
        """Raise an error at `node`, or at the first line if there is none."""
        raise AuthoringError([Problem(self.path, getattr(node, "lineno", 1), where, expected, found)])

    def said(self, node: ast.AST | None) -> str:
        """The source line at which `node` begins, for a message."""
        if node is None or not hasattr(node, "lineno"):
            return "none"
        line = self._lines[node.lineno - 1].strip()
        return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}..."

    def kind(self, node: ast.expr, where: str) -> CheckKind:
        """The kind of check that an expression declares."""
        call = self._named(node)
        if not isinstance(call, ast.Call) or _called(call) != "CheckKind":
            self.refuse(node, where, "a CheckKind(...)", self.said(call))
        given = self._arguments(call, where)
        try:
            data = {name: self.value(node, f"{where}.{name}") for name, node in given.items() if name not in FUNCTIONS}
        except RecursionError:  # names that refer to each other, or endless nesting
            self.refuse(call, where, LITERAL, "more levels than can be read")
        self._check(call, where, given, data)
        makes_texts = "texts" in given and not isinstance(given["texts"], ast.Constant)
        return CheckKind(**data, load=self._load, texts=self._texts if makes_texts else None)

    def _load(self, *_: Any) -> Check:
        return DeclaredCheck(self.path)

    def _texts(self, *_: Any) -> NoReturn:
        raise Refused(f"{show_path(self.path)}: its texts come from code, which this command does not run")

    def _arguments(self, call: ast.Call, where: str) -> dict[str, ast.expr]:
        names = [each.name for each in fields(CheckKind)]
        given: dict[str, ast.expr] = dict(zip(names, call.args, strict=False))
        for each in call.keywords:
            if each.arg not in names:
                expected = f"the parts of a CheckKind: {', '.join(names)}"
                self.refuse(each.value, where, expected, each.arg or self.said(each.value))
            given[each.arg] = each.value
        return given

    def _check(self, call: ast.Call, where: str, given: Mapping[str, ast.expr], data: Mapping[str, Any]) -> None:
        """Refuse a kind that lacks a required attribute or has one of the wrong type."""
        for each in fields(CheckKind):
            if each.name not in given and each.default is MISSING and each.default_factory is MISSING:
                self.refuse(call, where, f"a CheckKind with {each.name}", "none")
        for name, allowed in TYPES.items():
            if name in data and (not isinstance(data[name], allowed) or isinstance(data[name], bool)):
                self.refuse(given[name], f"{where}.{name}", TYPES[name][0].__name__, self.said(given[name]))
        if data["kind"] not in get_args(Kind):
            self.refuse(given["kind"], f"{where}.kind", " or ".join(get_args(Kind)), self.said(given["kind"]))

    def value(self, node: ast.expr | None, where: str) -> Any:
        """The value of an expression made of literals."""
        self._parts += 1
        node = self._named(node)
        if self._parts > MOST_PARTS:
            self.refuse(node, where, f"at most {MOST_PARTS:,} parts", "more")
        match node:
            case ast.Constant(value=str() | int() | float() | None):
                return node.value
            case ast.List():
                return [self.value(each, where) for each in node.elts]
            case ast.Tuple():
                return tuple(self.value(each, where) for each in node.elts)
            case ast.Dict():
                return self._dict(node, where)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.BinOp(op=ast.BitOr()):
                left, right = self.value(node.left, where), self.value(node.right, where)
                if isinstance(left, dict) and isinstance(right, dict):
                    return left | right
        return self.refuse(node, where, LITERAL, self.said(node))

    def _dict(self, node: ast.Dict, where: str) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, each in zip(node.keys, node.values, strict=True):
            part = self.value(each, where)
            name = self.value(key, where) if key else None
            if key is None and isinstance(part, dict):
                found |= part
            elif isinstance(name, str):
                found[name] = part
            else:
                self.refuse(key or each, where, "text as a key", self.said(key or each))
        return found

    def _named(self, node: ast.expr | None) -> ast.expr | None:
        """Resolve a name to the expression assigned to it; None if it is not assigned."""
        for _ in range(len(self.names) + 1):
            if not isinstance(node, ast.Name):
                return node
            node = self.names.get(node.id)
        return None


#: The types of a kind's attributes, for those that are checked; messages name the first one.
TYPES: Mapping[str, tuple[type, ...]] = {
    "options": (dict,), "expect": (dict,), "version": (int,), "parts": (dict,), "ignores": (tuple, list),
    "libraries": (tuple, list), "by_expect": (str,),
}  # fmt: skip


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        return [(each.id, node.value) for each in node.targets if isinstance(each, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return [(node.target.id, node.value)]
    return []


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
