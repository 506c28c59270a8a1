"""The possible targets of references in a schema: a superset, for counting and for showing places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from tunegate.harness.checks.schema.dialects import Subschema, subschemas
from tunegate.harness.core.authoring.document import Where

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
Target = tuple[Where, Any]  # a place and its value


class References:
    """The subschemas of one schema (`parts`), and the targets of its references.

    Targets match by the last part of a name, whatever it is relative to. `unlisted` are parts outside the known
    subschema places that references point to; `is_whole` is true if every reference has a target.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.parts, self.unlisted = subschemas(schema), list[Subschema]()
        self._found: dict[str, list[Target]] = {}
        todo = [part for part in self.parts if not part.schema.keys().isdisjoint(REFERENCES)]
        known = {id(part.schema) for part in self.parts} if todo else set()
        new: list[Subschema] = []
        self.is_whole = True
        while todo:
            for _, targets in self.of(todo.pop().schema):
                self.is_whole = self.is_whole and bool(targets)
                for where, target in targets:
                    if isinstance(target, dict) and id(target) not in known:
                        below = [part._replace(where=(*where, *part.where)) for part in subschemas(target)]
                        self.unlisted.append(below[0])
                        known.update(id(part.schema) for part in below)
                        todo += below
                        new += below
        self.parts += new

    def of(self, part: Mapping[str, Any]) -> Iterator[tuple[str, list[Target]]]:
        """The referring keywords of a subschema, each with all possible targets."""
        for keyword in REFERENCES:
            if keyword in part:
                yield keyword, self.targets(part[keyword])

    def targets(self, reference: Any) -> list[Target]:
        """The possible targets of a reference, as the objects of the schema itself; empty if there is none."""
        if not isinstance(reference, str):
            return []
        if reference not in self._found:
            name, _, fragment = reference.partition("#")
            if fragment and not fragment.startswith("/"):
                self._found[reference] = self._anchors.get(fragment, [])
            else:
                found = (_inside(root, unquote(fragment)) for root in self.resources(name))
                self._found[reference] = [each for each in found if each]
        return self._found[reference]

    def resources(self, name: str) -> list[Target]:
        """The resources of this name; without a name, the schema and all named resources."""
        if name:
            return self._named.get(_last(name), [])
        others = [each for targets in self._named.values() for each in targets if each[0]]
        return [((), self.parts[0].schema), *others]

    @cached_property
    def _named(self) -> dict[str, list[Target]]:
        found: dict[str, list[Target]] = {}
        for where, part, _ in self.parts:
            for name in _names(part):
                if not name.startswith("#"):
                    found.setdefault(_last(name), []).append((where, part))
        return found

    @cached_property
    def _anchors(self) -> dict[str, list[Target]]:
        found: dict[str, list[Target]] = {}
        for where, part, _ in self.parts:
            anchors = [name.partition("#")[2] for name in _names(part)]
            for anchor in (*anchors, part.get("$anchor"), part.get("$dynamicAnchor")):
                if isinstance(anchor, str) and anchor:
                    found.setdefault(anchor, []).append((where, part))
        return found


def _names(part: Mapping[str, Any]) -> set[str]:
    return {name for name in (part.get("$id"), part.get("id")) if isinstance(name, str)}


def _last(name: str) -> str:
    return name.partition("#")[0].rsplit("/", 1)[-1]


def _inside(root: Target, pointer: str) -> Target | None:
    where, found = root
    for step in pointer.split("/")[1:]:
        inner = dict(enumerate(found)) if isinstance(found, list) else found if isinstance(found, dict) else {}
        name = step.replace("~1", "/").replace("~0", "~")
        key = int(name) if isinstance(found, list) and name.isdecimal() else name
        if key not in inner:
            return None
        where, found = (*where, key), inner[key]
    return where, found
