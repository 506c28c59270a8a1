"""Thinking models: text between a tokenizer's reasoning tags is not part of the output, and is stored separately."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

#: As tokenizers name them: the opening and the closing tag.
TAGS = (
    ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
)  # fmt: skip
NAMED_IN = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json")

Tags = tuple[str, str]


def thinking_tags(folder: Path) -> Tags | None:
    """The tags for which a model folder's tokenizer has tokens; None if it has none."""
    named = [path for name in NAMED_IN if (path := folder / name).is_file() and path.stat().st_size]
    return next((tags for tags in TAGS if any(all(_names(path, tag) for tag in tags) for path in named)), None)


def _names(path: Path, token: str) -> bool:
    # by its bytes: these files have up to 30 MB, and are read before anything is loaded
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(f'"{token}"'.encode()) >= 0


def part_ids(ids: Sequence[int], opening: int, closing: int, prompt: Sequence[int]) -> tuple[list[int], list[int]]:
    """The tokens of the reasoning, and those of the output after it; without a closing tag there is no output.

    A template may write the opening tag itself: then the response to the `prompt` begins inside the
    reasoning.
    """
    if closing in ids:
        end = len(ids) - 1 - list(reversed(ids)).index(closing)
        return [each for each in ids[:end] if each != opening], list(ids[end + 1 :])
    begun = opening in ids or begins_inside(prompt, opening, closing)
    return ([each for each in ids if each != opening], []) if begun else ([], list(ids))


def begins_inside(prompt: Sequence[int], opening: int, closing: int) -> bool:
    """Whether the response to a prompt begins inside the reasoning, since its template opened it."""
    return _last(prompt, opening) > _last(prompt, closing)


def _last(ids: Sequence[int], token: int) -> int:
    return max((at for at, each in enumerate(ids) if each == token), default=-1)


def opens_reasoning(prompt: str) -> bool:
    """Whether a template wrote the opening tag itself, so that the response to its prompt begins inside."""
    return prompt.rstrip().endswith(tuple(opening for opening, _ in TAGS))


def only_closes(text: str) -> bool:
    """Whether a text closes a reasoning that its template opened."""
    return any(closing in text and opening not in text for opening, closing in TAGS)


def part_text(text: str, inside: bool = False) -> tuple[str, str]:
    """The reasoning and the output in a server's text, by any of the tags; `inside`: it begins in a reasoning."""
    for opening, closing in TAGS:
        before, tag, output = text.rpartition(closing)
        if tag:
            return before.replace(opening, "").strip("\n"), output.lstrip("\n")
        if text.lstrip().startswith(opening):
            return text.replace(opening, "").strip("\n"), ""
    return (text.strip("\n"), "") if inside else ("", text)
