"""Public sets of utterances with intents and slots, read out of their repositories at a commit."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

INPUT, WHOLE = "text", "output"
Row = Mapping[str, Any]  # the input, and a value for each slot
SLOTS, HOME = "61f0307c729b1fad479ef1de94aa5ac5dee601b0", "f6071b496b17d71e6eb43f543af0707f4ff30557"
LISTS = "b86ac7f1577868c42158d0dec77db50956046696"
PARTS = ("train", "valid", "test")


class Files:
    """The files of a repository at a commit; `digest` is that of all that were read."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._folder, self._commit, self._read = folder, commit, hashlib.sha256()

    def names(self) -> list[str]:
        """Their paths, in order."""
        return self._git("ls-tree", "-r", "--name-only", self._commit).decode().splitlines()

    def text(self, path: str) -> str:
        """The text of one."""
        content = self._git("show", f"{self._commit}:{path}")
        self._read.update(content)
        return content.decode("utf-8", "replace")

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(self._folder), *arguments], capture_output=True, check=True).stdout

    @property
    def digest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._read.hexdigest()


def tagged(files: Files, folder: str, parts: Sequence[str] = PARTS) -> Iterator[Row]:
    """Utterances with a BIO tag for each word, and an intent."""
    for part in parts:
        lines = [files.text(f"data/{folder}/{part}/{name}").splitlines() for name in ("seq.in", "seq.out", "label")]
        for text, tags, intent in zip(*lines, strict=True):
            yield {INPUT: text.strip(), "intent": intent.strip(), **_slots(text.split(), tags.split())}


def _slots(words: Sequence[str], tags: Sequence[str]) -> dict[str, str]:
    """The first value of each slot."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for word, tag in zip(words, tags, strict=True):
        kind, _, name = tag.partition("-")
        if kind == "B":
            current = []
            found.setdefault(name, current)
        if kind in ("B", "I"):
            current.append(word)
    return {name: " ".join(value) for name, value in found.items()}


def by_intent(files: Files, part: str = "train") -> Iterator[Row]:
    """Utterances in pieces, some of them values of slots; a file for each intent."""
    for path in files.names():
        if path.startswith("2017-06-custom-intent-engines/") and re.search(rf"/{part}_\w+\.json$", path):
            [(intent, utterances)] = json.loads(files.text(path)).items()
            for pieces in (each["data"] for each in utterances):
                slots: dict[str, list[str]] = {}
                for piece in (each for each in pieces if "entity" in each):
                    slots.setdefault(piece["entity"], []).append(piece["text"].strip())
                text = "".join(each["text"] for each in pieces).strip()
                yield {INPUT: text, WHOLE: {"intent": intent, "slots": slots}}


def annotated(files: Files, folds: Collection[int] = range(1, 11)) -> Iterator[Row]:
    """Utterances to an assistant at home, with entities; the test parts of ten folds, which together are the whole."""
    for path in files.names():
        test = re.search(r"/autoGeneFromRealAnno/.*/KFold_(\d+)/testset/annotated/.*\.json$", path)
        if test and int(test[1]) in folds:
            for each in json.loads(files.text(path))["test_data_annotation"]:
                entities = {entity["entity"]: entity["value"] for entity in each["entities"]}
                yield {INPUT: each["text"], "intent": each["intent"], "entities": entities}
