"""Completions kept by content: the key holds everything that decided the output, so no model is given another's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.reading import parse_json
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request

TABLE = "CREATE TABLE IF NOT EXISTS generations (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"


class Store:
    """Generations on disk, one row each; a row is there whole or not at all, also after a kill.

    Raises:
        CouldNotRun: the file cannot be written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._kept():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _open(path)

    def get(self, key: str) -> Completion | None:
        """The completion under a key, or None."""
        with self._kept():
            row = self._connection.execute("SELECT answer FROM generations WHERE key = ?", (key,)).fetchone()
            return _completion(parse_json(row[0])) if row else None

    def put(self, key: str, completion: Completion) -> None:
        """Keep a completion; its latency is left out, since a cached one would be a lie."""
        text = json.dumps(asdict(replace(completion, latency_s=None)))
        with self._kept():
            self._connection.execute("INSERT OR REPLACE INTO generations VALUES (?, ?)", (key, text))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """A damaged or full store is no answer, and no mistake of ours."""
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            raise CouldNotRun(
                f"{show_path(self._path)}: expected a store of generations, found {error}; delete it, or name another "
                "folder with TUNEGATE_CACHE"
            ) from error


def _completion(raw: Mapping[str, Any]) -> Completion:
    return Completion(**{**raw, "logprobs": tuple(tuple(each) for each in raw.get("logprobs", ()))})


def _open(path: Path) -> sqlite3.Connection:
    # Autocommit, so that a killed run keeps each answer that it had; WAL, so that runs beside each other do not wait.
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Cached:
    """A model that asks another one only for what is neither in the store nor among the `known` completions.

    If `fresh` it asks for everything, and stores what came.
    """

    def __init__(
        self, model: Model, store: Store, known: Mapping[str, Completion] | None = None, fresh: bool = False
    ) -> None:
        self._model = model
        self._store = store
        self._known = known or {}
        self._fresh = fresh
        self.reused = 0

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the model behind it."""
        return self._model.fingerprint

    @property
    def can(self) -> frozenset[Can]:
        """What the model behind it can do."""
        return self._model.can

    def answer(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield what is known at once, then what the model answers, storing each as it comes."""
        missing: list[Request] = []
        keys = {(request.key, request.repeat): self.fingerprint.generation(request) for request in requests}
        for request in requests:
            key = keys[request.key, request.repeat]
            found = None if self._fresh else self._known.get(key) or self._store.get(key)
            if found is None:
                missing.append(request)
                continue
            self.reused += 1
            yield replace(found, key=request.key, repeat=request.repeat, generation=key)
        if missing:
            for completion in self._model.answer(missing):
                key = keys[completion.key, completion.repeat]
                if completion.is_given:  # what was not answered is asked again
                    self._store.put(key, completion)
                yield replace(completion, generation=key)
