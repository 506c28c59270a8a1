"""Steps that spoil a project: edits as people make them by mistake, and runs that come before one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.harness.core.files import stamped, write_json
from tunegate.harness.history.ledger.journal import JOURNAL
from tunegate.harness.history.ledger.ledger import Event, EventKind
from tunegate.harness.history.ledger.store import append
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.conversion import cache_folder


class Ran(NamedTuple):
    """What a command came to: its exit code, and all that it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Place:
    """A copy of the good project, as working directory, and its command line."""

    path: Path
    run: Callable[[str], Ran]

    def files(self, pattern: str) -> list[Path]:
        found = sorted(self.path.glob(pattern))
        assert found, f"no {pattern}"
        return found

    def file(self, pattern: str) -> Path:
        [path] = self.files(pattern)
        return path


Step = Callable[[Place], object]


def ran(command: str, code: int = 0) -> Step:
    """Run a command that ends with `code`."""

    def step(place: Place) -> None:
        result = place.run(command)
        assert result.code == code, result.text

    return step


# --- values of JSON files (the fixtures are YAML, of which JSON is a part)


def put(files: str, where: str, value: Any) -> Step:
    """Set what stands at a place such as `cases.3.input`."""

    def change(data: Any, key: Any) -> None:
        data[key] = value

    return _edited(files, where, change)


def drop(files: str, where: str) -> Step:
    """Delete what stands at a place."""

    def change(data: Any, key: Any) -> None:
        del data[key]

    return _edited(files, where, change)


def again(files: str, where: str, **changes: Any) -> Step:
    """Append a copy of a list's item to the list, changed or not."""

    def change(data: Any, key: Any) -> None:
        data.append(data[key] | changes)

    return _edited(files, where, change)


def _edited(files: str, where: str, change: Callable[[Any, Any], None]) -> Step:
    *above, last = [int(part) if part.isdigit() else part for part in where.split(".")]

    def step(place: Place) -> None:
        for path in place.files(files):
            whole = data = json.loads(path.read_text())
            for key in above:
                data = data[key]
            change(data, last)
            path.write_text(json.dumps(whole))

    return step


def stamp(files: str) -> Step:
    """Give records or baselines the digest of what they now hold, as a run that had written them so would have."""

    def step(place: Place) -> None:
        for path in place.files(files):
            data = json.loads(path.read_text())
            del data["digest"]
            path.write_text(json.dumps(stamped(data)))

    return step


def line(case: str, output: str | None) -> Step:
    """Answer a case of the outputs made elsewhere otherwise, or one more."""

    def step(place: Place) -> None:
        path = place.file("outputs.jsonl")
        lines = {each["case"]: each for each in map(json.loads, path.read_text().splitlines())}
        lines[case] = {"case": case, "output": output}
        path.write_text("".join(json.dumps(each) + "\n" for each in lines.values()))

    return step


# --- whole files


def replace(files: str, old: str, new: str) -> Step:
    """Replace a text where it first stands."""

    def step(place: Place) -> None:
        for path in place.files(files):
            text = path.read_text()
            assert old in text, f"{path} does not hold {old!r}"
            path.write_text(text.replace(old, new, 1))

    return step


def cut(file: str) -> Step:
    """Keep the first half of a file."""

    def step(place: Place) -> None:
        path = place.file(file)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return step


def flip(file: str) -> Step:
    """Change the last byte of a file."""

    def step(place: Place) -> None:
        path = place.file(file)
        *most, last = path.read_bytes()
        path.write_bytes(bytes([*most, last ^ 1]))

    return step


def pipe(file: str) -> Step:
    """Put a pipe in a file's place, to which nobody writes."""

    def step(place: Place) -> None:
        path = place.file(file)
        path.unlink()
        os.mkfifo(path)

    return step


def circle(file: str) -> Step:
    """Put a link to itself in a file's place."""

    def step(place: Place) -> None:
        path = place.file(file)
        path.unlink()
        path.symlink_to(path.name)

    return step


def remove(files: str) -> Step:
    """Delete files or folders."""

    def step(place: Place) -> None:
        for path in place.files(files):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return step


def forget(kind: str) -> Step:
    """Delete the ledger's events of a kind."""

    def step(place: Place) -> None:
        found = [
            path for path in place.files("baselines/ledger/*.json") if json.loads(path.read_text())["kind"] == kind
        ]
        assert found, f"no event is called {kind}"
        for path in found:
            path.unlink()

    return step


def move(old: str, name: str) -> Step:
    """Rename a file or a folder, where it is."""

    def step(place: Place) -> None:
        path = place.file(old)
        path.rename(path.with_name(name))

    return step


def copy(source: str, target: str) -> Step:
    """Copy a file over another one, or a file or folder to a new place."""

    def step(place: Place) -> None:
        over, found = [*place.path.glob(target), place.path / target], place.file(source)
        shutil.copytree(found, over[0]) if found.is_dir() else shutil.copy(found, over[0])

    return step


# --- weights


def rescaled(file: str, names: str, factor: float) -> Step:
    """Multiply the weights whose names hold `names`."""

    def step(place: Place) -> None:
        from safetensors.torch import load_file, save_file

        path = place.file(file)
        weights = load_file(path)
        changed = {name: weight * factor for name, weight in weights.items() if names in name}
        assert changed
        save_file(weights | changed, path, {"format": "pt"})

    return step


def claim(record: str, adapter: str, file: str) -> Step:
    """Write the record of one adapter down as that of another, digest and all."""

    def step(place: Place) -> None:
        data = json.loads(place.file(record).read_text())
        data["fingerprint"]["subject"]["adapter"] = adapter_digest(place.path / adapter)
        (place.path / file).write_text(json.dumps(data))
        stamp(file)(place)

    return step


def poison(old: str, new: str) -> Step:
    """Put other outputs into the cache of generations."""

    def step(place: Place) -> None:
        with closing(sqlite3.connect(cache_folder() / "generations.sqlite")) as store, store:
            store.execute(
                "UPDATE generations SET answer = replace(answer, ?, ?)", (f'"output": "{old}"', f'"output": "{new}"')
            )

    return step


def write(file: str, text: str) -> Step:
    """Write a file of one's own."""
    return lambda place: (place.path / file).write_text(text)


def commit() -> Step:
    """Commit all that there is, in a new repository."""

    def step(place: Place) -> None:
        own = ["git", "-C", str(place.path), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run([*own, *arguments], check=True, capture_output=True)

    return step


def enter(file: str) -> Step:
    """Tell the ledger of a baseline, or of a release's outputs, that another tool wrote."""

    def step(place: Place) -> None:
        path = place.file(file)
        found = json.loads(path.read_text())
        task, _, _ = found["unit"].rpartition("/")
        kind: EventKind = "released" if path.name.endswith(".released.json") else "recorded"
        append(place.path / "baselines", Event(kind, task, found["subject"], files={found["unit"]: found["digest"]}))

    return step


def cut_off(command: str) -> Step:
    """Leave the journal of a command that was killed between its files."""

    def step(place: Place) -> None:
        write_json(place.path / "baselines" / JOURNAL, stamped({"command": command, "folder": "", "files": []}))

    return step
