"""What is remembered is what the library's cache would remember, however rows and tokens come and go."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tunegate.harness.models.local.key_value_cache import ROOM, key_value_cache


def states(rows: int, tokens: int, seed: int) -> Any:
    import torch

    return torch.randn(rows, 3, tokens, 4, generator=torch.Generator().manual_seed(seed))


def keep_every_second(cache: Any) -> None:
    import torch

    cache.batch_select_indices(torch.arange(0, cache.layers[0].keys.shape[0], 2))


def cut_the_first_token(cache: Any) -> None:
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[..., 1:, :], layer.values[..., 1:, :]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "repeat": lambda cache: cache.batch_repeat_interleave(2),
    "select": keep_every_second,
    "cut": cut_the_first_token,
    "crop": lambda cache: cache.crop(-1),
}


@given(st.lists(st.sampled_from(["one", "many", "copy", *CHANGES]), min_size=1, max_size=24))
@settings(deadline=None)
def test_it_remembers_what_the_librarys_cache_does(changes: list[str]) -> None:
    import torch
    from transformers import DynamicCache

    ours, theirs = key_value_cache(), DynamicCache()
    for seed, change in enumerate(["many", "repeat", *changes, "one"]):
        if change in ("one", "many"):
            rows = ours.layers[0].keys.shape[0] if ours.layers else 1
            more = states(rows, 1 if change == "one" else ROOM // 2, seed), states(rows, 1, -seed)
            more = more[0], more[1].expand_as(more[0])
            shown = [cache.update(*more, 0) for cache in (ours, theirs)]
        elif change == "copy":
            ours = deepcopy(before := ours)
            before.update(*[torch.zeros_like(each[..., :1, :]) for each in shown[0]], 0)
        elif ours.get_seq_length() > 1 and ours.layers[0].keys.shape[0] <= 16:
            for cache in (ours, theirs):
                CHANGES[change](cache)
            shown = [(cache.layers[0].keys, cache.layers[0].values) for cache in (ours, theirs)]
        assert all(torch.equal(one, other) for one, other in zip(*shown, strict=True))
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_a_further_token_is_written_behind_the_others_without_copying_them() -> None:
    cache = key_value_cache()
    for tokens in (20, 1):
        cache.update(states(2, tokens, 0), states(2, tokens, 1), 0)
    places = set()
    for seed in range(ROOM):
        keys, _ = cache.update(states(2, 1, seed), states(2, 1, seed), 0)
        places.add(keys.data_ptr())

    assert len(places) == 1
