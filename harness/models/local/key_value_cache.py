"""A key-value cache with spare room.

The library's cache copies all of it for each further token: a fifth of the time that a batch of 32 rows takes on a CPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

ROOM = 64  # spare tokens after each copy


def key_value_cache() -> Any:
    """An empty cache whose layers all attend to all tokens."""
    from transformers.cache_utils import Cache

    return Cache(layer_class_to_replicate=_layer())


@cache
def _layer() -> type[Any]:
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]
        """Keys and values are views of longer tensors; setting them to other tensors drops the spare room."""

        def __init__(self) -> None:
            self._kept: dict[str, Any] = {}
            self._rooms: dict[str, Any] = {}
            super().__init__()

        def update(self, key_states: Any, value_states: Any, *args: Any, **more: Any) -> tuple[Any, Any]:
            if not self.get_seq_length():
                return super().update(key_states, value_states, *args, **more)  # type: ignore[no-any-return]
            return self._append("keys", key_states), self._append("values", value_states)

        def _append(self, name: str, states: Any) -> Any:
            kept = self._kept[name]
            length = kept.size(-2) + states.size(-2)
            if name not in self._rooms or self._rooms[name].size(-2) < length:
                self._rooms[name] = kept.new_empty(*kept.size()[:-2], length + ROOM, kept.size(-1))
                self._rooms[name][..., : kept.size(-2), :] = kept
            self._rooms[name][..., kept.size(-2) : length, :] = states
            self._kept[name] = self._rooms[name][..., :length, :]
            return self._kept[name]

        def _set(self, name: str, states: Any) -> None:
            self._kept[name] = states
            self._rooms.pop(name, None)

        keys = property(lambda self: self._kept["keys"], lambda self, states: self._set("keys", states))
        values = property(lambda self: self._kept["values"], lambda self, states: self._set("values", states))

    return RoomyLayer
