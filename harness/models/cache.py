"""A cache of completions: the key holds everything that determined the output, so no model gets another's.

Its size is bounded: the least recently used outputs are evicted. Several processes may read and write it at once, and
a kill loses no stored output: a run with caching disabled that was stopped resumes with its own (unfinished.py).
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.reading import NotJson, parse_json
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.claims import claiming, wait
from tunegate.harness.models.conversion import cache_folder
from tunegate.harness.models.model_options import CACHE_MEGABYTES

MEGABYTE = 1_000_000  # bytes
LEFT = 0.8  # of the bound, after an eviction: so that not every output evicts another
EVERY = 256  # outputs between two checks of the size
DAY = 86_400  # seconds; the last use of an output is stored by day, so that most reads write nothing
PATIENCE = 60  # seconds to wait for another process that writes
VERSION = 3  # of the tables
#: `used` is the day of the last use, `run` the run that made the request, if it counts only its own outputs; claims are
#: of what runs ask for now (claims.py).
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS generations (key TEXT PRIMARY KEY, answer TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0, run TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_use ON generations (used);
CREATE TABLE IF NOT EXISTS unfinished (command TEXT PRIMARY KEY, run TEXT NOT NULL, begun REAL NOT NULL,
    machine TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_owner ON claims (owner);
PRAGMA user_version = {VERSION};
COMMIT;
"""
Keys = Mapping[tuple[str, int], str]  # of generations, by case and repeat
KEY = re.compile("[0-9a-f]{64}")
_NONE = type(None)
#: The types of the values in a row, by the attributes of a completion.
TYPES: Mapping[str, Sequence[type]] = {
    "key": (str,), "output": (str, _NONE), "tokens_in": (int, _NONE), "tokens_out": (int, _NONE), "latency_s": (_NONE,),
    "finish": (str, _NONE), "repeat": (int,), "generation": (str,), "reasoning": (str,),
    "raw": (str,),
}  # fmt: skip


def store_path() -> Path:
    """Path of the cache, for all projects of a user."""
    return cache_folder() / "generations.sqlite"


@dataclass
class Run:
    """A run that counts only its own outputs; `command` identifies the command that may resume it if it is stopped."""

    id: str
    command: str = ""
    machine: str = ""
    is_noted: bool = False

    def note(self, store: Store) -> None:
        """Record, once there is an output, that it has not ended."""
        if self.command and not self.is_noted:
            store.begin(self.command, self.id, self.machine)
            self.is_noted = True


@dataclass(frozen=True, slots=True)
class Kept:
    """Contents of a store: the number of outputs, and the bytes of its file that are in use."""

    outputs: int
    used_bytes: int


class Store:
    """Generations on disk, one row each; each row is written atomically, and survives a kill.

    The file has at most `megabytes`, apart from what a run has just written; CouldNotRun if it is no store.
    """

    def __init__(self, path: Path, megabytes: int = CACHE_MEGABYTES) -> None:
        self._path = path
        self._most = megabytes * MEGABYTE
        self._today = int(time.time()) // DAY
        self._read: list[str] = []
        self._written = 0
        with self._kept():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _open(path)

    def get(self, key: str, run: str = "") -> Completion | None:
        """The completion under a key, or None; with a `run`, only a completion of that run."""
        with self._kept():
            query = "SELECT answer, used FROM generations WHERE key = ? AND ? IN ('', run)"
            row = self._connection.execute(query, (key, run)).fetchone()
            if row is None:
                return None
            if row[1] < self._today:
                self._read.append(key)
            return _completion(parse_json(row[0]))

    def put(self, key: str, completion: Completion, run: str = "") -> None:
        """Store a completion of a run, without its latency, which would be wrong for a cached one."""
        text = json.dumps(asdict(replace(completion, latency_s=None)))
        with self._kept():
            self._connection.execute(
                "INSERT OR REPLACE INTO generations (key, answer, used, run) VALUES (?, ?, ?, ?)",
                (key, text, self._today, run),
            )
            self._written += 1
            if self._written % EVERY == 0:
                self._evict()

    def close(self) -> None:
        """Record what was used, evict what exceeds the bound, and close the file."""
        try:
            with self._kept():
                self._note_use()
                if self._written:
                    self._evict()
        finally:
            self._connection.close()

    def unfinished(self, command: str, machine: str) -> tuple[str, float] | None:
        """The run of a command that was stopped on this machine within a day, and its start time."""
        with self._kept():
            query = "SELECT run, begun FROM unfinished WHERE command = ? AND machine = ?"
            row = self._connection.execute(query, (command, machine)).fetchone()
            return (row[0], row[1]) if row and 0 <= time.time() - row[1] < DAY else None

    def begin(self, command: str, run: str, machine: str) -> None:
        """Record that a run of a command has outputs, and has not ended."""
        with self._kept():
            self._connection.execute(
                "INSERT OR REPLACE INTO unfinished VALUES (?, ?, ?, ?)", (command, run, time.time(), machine)
            )

    def end(self, command: str) -> None:
        """Record that no run of a command can be resumed."""
        with self._kept():
            self._connection.execute("DELETE FROM unfinished WHERE command = ?", (command,))

    def claim(self, keys: Sequence[str], owner: str) -> dict[str, str]:
        """Claim the keys that no run asks for; return who has each."""
        with self._kept(), self._transaction():
            self._connection.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?)", [(key, owner) for key in keys])
            owners = dict(self._connection.execute("SELECT key, owner FROM claims"))
        return {key: owners[key] for key in keys}

    def disclaim(self, owner: str) -> None:
        """Delete the claims of an owner."""
        with self._kept():
            self._connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    @property
    def claims_folder(self) -> Path:
        """Where each run that asks a model holds a lock."""
        return self._path.parent / "claims"

    def kept(self) -> Kept:
        """Count its outputs and bytes."""
        with self._kept():
            [[outputs]] = self._connection.execute("SELECT COUNT(*) FROM generations")
            return Kept(outputs, self._size())

    def damaged(self) -> list[str]:
        """The damage, one line each: of the file itself, or outputs that cannot be read."""
        with self._kept():
            wrong = [str(line) for [line] in self._connection.execute("PRAGMA integrity_check") if line != "ok"]
            unread = [
                str(key) for key, output in self._connection.execute("SELECT key, answer FROM generations")
                if not _is_whole(str(key), output)
            ]  # fmt: skip
        return [*wrong, *(f"the output under {key[:12]} cannot be read" for key in unread)]

    def clear(self) -> int:
        """Delete every output, and free the space; return how many there were."""
        with self._kept():
            [[count]] = self._connection.execute("SELECT COUNT(*) FROM generations")
            self._connection.execute("DELETE FROM generations")
            self._connection.execute("VACUUM")
            return int(count)

    def _note_use(self) -> None:
        if not self._read:
            return
        with self._transaction():
            self._connection.executemany(
                "UPDATE generations SET used = ? WHERE key = ?", [(self._today, key) for key in self._read]
            )
        self._read = []

    def _evict(self) -> None:
        """Evict the least recently used outputs until there is room again."""
        if self._size() <= self._most:
            return
        self._note_use()
        target = self._most * LEFT
        with self._transaction():  # another process may have made room in the meantime
            while (size := self._size()) > target:
                [[count]] = self._connection.execute("SELECT COUNT(*) FROM generations")
                # as if all had the same length; the loop does the rest
                share = max(1, int(count * (1 - target / size)))
                oldest = "SELECT rowid FROM generations ORDER BY used, rowid LIMIT ?"
                gone = self._connection.execute(f"DELETE FROM generations WHERE rowid IN ({oldest})", (share,))  # noqa: S608
                if not gone.rowcount:
                    return

    def _size(self) -> int:
        """The bytes of the file that are in use; free pages are reused."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Turn the errors of a damaged, full or busy store into CouldNotRun."""
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            if _is_in_use(error):
                raise CouldNotRun(
                    f"{show_path(self._path)}: another run has been writing for {PATIENCE} s; wait until it ends, then "
                    "run the same command again"
                ) from error
            raise CouldNotRun(
                f"{show_path(self._path)}: expected a store of generations, found {error}; delete it (tunegate cache "
                "clear), or name another folder with TUNEGATE_CACHE"
            ) from error


def clear_store(path: Path) -> int:
    """Delete every output, or the file if it is no store; return how many there were, 0 if they cannot be counted.

    Raises CouldNotRun if another process is writing to it: its outputs would be lost with the file.
    """
    try:
        with closing(Store(path)) as store:
            return store.clear()
    except CouldNotRun as error:
        if _is_in_use(error.__cause__):
            raise
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            each.unlink(missing_ok=True)
        return 0


def _is_in_use(error: BaseException | None) -> bool:
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)  # higher bits hold details


def _is_whole(key: str, output: Any) -> bool:
    try:
        return bool(KEY.fullmatch(key)) and _completion(parse_json(output)).is_given
    except (NotJson, TypeError, ValueError, AttributeError):
        return False


def _completion(raw: Mapping[str, Any]) -> Completion:
    logprobs = tuple(tuple(each) for each in raw.get("logprobs", ()))
    odd = [name for name, value in raw.items() if name != "logprobs" and type(value) not in TYPES.get(name, ())]
    if odd or any(type(value) is not float for each in logprobs for value in each):
        raise TypeError(f"an output whose {odd[0] if odd else 'logprobs'} has another type")
    return Completion(**{**raw, "logprobs": logprobs})


def _open(path: Path) -> sqlite3.Connection:
    # Autocommit, so that a killed run keeps each output it had; WAL, so that concurrent runs do not wait.
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        _use_wal(connection)
        if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            connection.executescript(TABLES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    # The first change to WAL takes an exclusive lock, for which SQLite does not wait: two runs may begin at once.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_in_use(error) or time.monotonic() > until:
                raise
        time.sleep(0.01)


class Cached:
    """A model behind a cache: requests reach it only if neither the store nor `known` has their completion.

    With a `run`, only that run's completions count. At most `most` requests reach the model; `left`
    counts those beyond it.
    """

    def __init__(
        self,
        model: Model,
        store: Store,
        known: Mapping[str, Completion] | None = None,
        run: Run | None = None,
        most: int | None = None,
    ) -> None:
        self._model = model
        self._store = store
        self._known = (known or {}) if run is None else {}
        self._run = run
        self._most = most
        self.reused = self.left = 0
        self.if_silent: str = getattr(model, "if_silent", "")

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the wrapped model."""
        return self._model.fingerprint

    @property
    def can(self) -> frozenset[Can]:
        """The capabilities of the wrapped model."""
        return self._model.can

    def _reused(self, request: Request, key: str, found: Completion) -> Completion:
        """A stored completion; raw text is read again, so that all outputs of a record are read by one reader."""
        self.reused += 1
        own = replace(found, key=request.key, repeat=request.repeat, generation=key)
        return cast("Completion", cast("Any", self._model).read(request, own)) if own.raw else own

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield the known completions first, then the model's, storing each as it arrives."""
        missing: list[Request] = []
        run = self._run.id if self._run else ""
        keys = {(request.key, request.repeat): self.fingerprint.generation(request) for request in requests}
        for request in requests:
            key = keys[request.key, request.repeat]
            found = self._known.get(key) or self._store.get(key, run)
            if found is None:
                missing.append(request)
                continue
            yield self._reused(request, key, found)
        asked = missing[: self._most]
        self.left += len(missing) - len(asked)
        # a run that counts only its own outputs waits for no other
        yield from self._shared(asked, keys) if asked and not self._run else self._ask(asked, keys)

    def _shared(self, asked: Sequence[Request], keys: Keys) -> Iterator[Completion]:
        """Ask for what no other run asks for at this moment; the outputs of others are taken when they are stored."""
        waiting = list(asked)
        with claiming(self._store, self._store.claims_folder) as claims:
            while waiting:
                later: list[Request] = []
                now: list[Request] = []
                mine = claims.take([_key_of(request, keys) for request in waiting])
                for request in waiting:
                    # after the claim: another run may have just finished
                    if found := self._store.get(key := _key_of(request, keys)):
                        yield self._reused(request, key, found)
                    else:
                        (now if key in mine else later).append(request)
                yield from self._ask(now, keys)
                claims.release()
                waiting = later
                if waiting and not now:
                    wait(len(waiting))

    def _ask(self, asked: Sequence[Request], keys: Keys) -> Iterator[Completion]:
        run = self._run.id if self._run else ""
        for completion in self._model.complete(asked) if asked else ():
            key = keys[completion.key, completion.repeat]
            if completion.is_given:  # otherwise the next run requests it again
                self._store.put(key, completion, run)
                if self._run:
                    self._run.note(self._store)
            yield replace(completion, generation=key)


def _key_of(request: Request, keys: Keys) -> str:
    return keys[request.key, request.repeat]
