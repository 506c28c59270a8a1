"""Where the keywords of a schema are written, so that a finding leads to the line that the answer breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunegate.harness.authoring.document import Document, Where


@dataclass(frozen=True)
class KeywordPlaces:
    """The places in a schema, which is a document."""

    schema: Mapping[str, Any]
    document: Document

    def of(self, subschema: Any, keyword: str | None) -> str:
        """A keyword of a part of this schema, that very object, as FILE:LINE; empty where its line is not known."""
        where = self._parts.get(id(subschema))
        if where is None or keyword is None or (*where, keyword) not in self.document.lines:
            return ""
        return self.document.place((*where, keyword))

    @cached_property
    def _parts(self) -> dict[int, Where]:
        # by id: a reference leads to the very object that stands elsewhere in the schema, which outlives this
        return {id(part): where for where, part in _mappings(self.schema)}


def _mappings(schema: Any) -> Iterator[tuple[Where, Any]]:
    """All mappings inside a schema with their places, each once."""
    todo: list[tuple[Where, Any]] = [((), schema)]
    seen = set[int]()
    while todo:
        where, part = todo.pop()
        if id(part) in seen or not isinstance(part, dict | list):
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            yield where, part
        inner = part.items() if isinstance(part, dict) else enumerate(part)
        todo += [((*where, key), value) for key, value in inner]
