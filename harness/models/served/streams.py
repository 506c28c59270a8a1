"""A response that came in pieces although none were asked for: put together as if it had come whole.

The form is that of server-sent events: lines `data: JSON`, the last one `data: [DONE]`, with a `delta` for each choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunegate.harness.core.reading import NotJson, parse_json

BEGIN, DONE = "data:", "[DONE]"
_WHOLE = frozenset({"role", "type", "index"})  # said again in each piece, not continued


def is_stream(text: str) -> bool:
    """Whether a body is such a response; lines that begin with a colon are comments."""
    return next((line for line in text.splitlines() if line and not line.startswith(":")), "").startswith(BEGIN)


def whole_response(text: str) -> dict[str, Any]:
    """The response of all pieces, or the error in one of them.

    Raises:
        NotJson: a piece is no JSON object, or none says how the output ended.
    """
    found: dict[str, Any] = {}
    message: dict[str, Any] = {}
    finish = None
    for piece in _pieces(text):
        if piece.get("error"):
            return piece
        found |= {key: value for key, value in piece.items() if value is not None}
        for choice in _objects(piece.get("choices")):
            finish = choice.get("finish_reason") or finish
            message = _with(message, choice.get("delta") or {})
    if finish is None:
        raise NotJson("a stream that ended before its last piece")
    return found | {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def _pieces(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        said = line.removeprefix(BEGIN).strip()
        if not line.startswith(BEGIN) or not said:
            continue
        if said == DONE:
            return
        piece = parse_json(said)
        if not isinstance(piece, dict):
            raise NotJson("a piece of a stream that is no object")
        yield piece


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _with(known: Any, piece: Mapping[str, Any]) -> dict[str, Any]:
    """An object with what a piece adds: texts go on, objects too, calls by their `index`."""
    found: dict[str, Any] = dict(known) if isinstance(known, dict) else {}
    for key, value in piece.items():
        before = found.get(key)
        if key == "tool_calls":
            found[key] = _calls(before or [], _objects(value))
        elif isinstance(value, dict):
            found[key] = _with(before, value)
        elif isinstance(value, str) and isinstance(before, str) and key not in _WHOLE:
            found[key] = before + value
        elif value is not None:
            found[key] = value
    return found


def _calls(known: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = list(known)
    for piece in pieces:
        index = piece.get("index")
        at = next((place for place, each in enumerate(found) if index is not None and each.get("index") == index), None)
        if at is None:
            found.append(dict(piece))
        else:
            found[at] = _with(found[at], piece)
    return found
