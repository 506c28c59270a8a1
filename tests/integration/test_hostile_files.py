"""Every file that a command reads, replaced by what nobody should leave there: told at once, and nothing changed."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.support.hostile_files import NO_FILES, NO_JSON
from tests.support.records import stamp, training_record, write_policy
from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import CONFIG, WEIGHTS, adapter_digest
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

BASE = "baselines/replay-gpt/desk/triage.json"
RECORD = ["record", "--from=outputs.jsonl", "--name=gpt", "--requests=requests.jsonl"]
GATE = ["gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl"]
RELEASE = ["release", "tuned", "--run=run.json"]
TRAIN = ["train", "recipe.yaml", "--dry-run"]
NONE = {"nothing"}
BLANK = {"an empty file", "white space"}

#: What is read, by which command, and which hostile files say nothing there, or are as if there were none.
READERS: dict[str, tuple[str, list[str], set[str]]] = {
    "a record, reported": ("run.json", ["report", "run.json"], set()),
    "one of two records": ("run.json", ["report", "other.json", "run.json"], set()),
    "a record, planned with": ("run.json", ["plan", "--run=run.json"], set()),
    "a record, released by": ("run.json", RELEASE, set()),
    "a baseline": (BASE, GATE, set()),
    "outputs": ("outputs.jsonl", RECORD, BLANK),
    "requests": ("requests.jsonl", RECORD, set()),
    "a manifest": ("tuned/release.json", ["verify", "tuned"], set()),
    "the record of a release": ("tuned/record.json", ["verify", "tuned"], set()),
    "a training record": ("tuned/training.json", RELEASE, set()),
    "an adapter's configuration": (f"tuned/{CONFIG}", RELEASE, set()),
    "weights": (f"tuned/{WEIGHTS}", RELEASE, set()),
    "a fixture file": ("fixtures/desk/triage.yaml", ["lint"], set()),
    "task.yaml": ("fixtures/desk/task.yaml", ["lint"], NONE),
    "a schema": ("fixtures/desk/refs/product.schema.json", ["lint"], {"an object of others"}),
    "settings": ("pyproject.toml", ["lint"], NONE | BLANK),
    "a recipe": ("recipe.yaml", TRAIN, set()),
    "rows": ("rows.jsonl", TRAIN, set()),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A project of which every file is read by some command."""
    home = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        write_unit(home / "fixtures", ["a", "b"])
        write_policy(home / "fixtures", triage={"role": "target", "margin": 0.3})
        (home / "pyproject.toml").write_text("[tool.tunegate]\nstrict = false\n")
        requests = CliRunner().invoke(app, ["prompts"]).stdout
        (home / "requests.jsonl").write_text(requests)
        lines = [{"case": json.loads(line)["case"], "output": "{}"} for line in requests.splitlines()]
        (home / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert CliRunner().invoke(app, RECORD).exit_code == 0
        for out in ("run.json", "other.json"):
            session = Session(Options(home, "replay:outputs.jsonl", out=home / out))
            session.selection.select([], session.selection.units())
            session.execute(quiet())
        shutil.rmtree(home / ".tunegate")
        write_adapter(home)
        recipe = {"version": 1, "task": "desk", "model": "./none", "rows": ["rows.jsonl"], "output": "new"}
        (home / "recipe.yaml").write_text(json.dumps(recipe))
        (home / "rows.jsonl").write_text('{"input": "one", "output": "{}"}\n')
    return home


def write_adapter(home: Path) -> None:
    """An adapter that looks released, and run.json as if it were its run."""
    folder = home / "tuned"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / CONFIG).write_text('{"r": 16}')
    stamp(folder / "training.json", training_record(adapter=adapter_digest(folder)))
    run = json.loads((home / "run.json").read_text())
    run["fingerprint"]["engine"] = {"backend": "transformers"}
    run["fingerprint"]["subject"] |= {"adapter": adapter_digest(folder)}
    stamp(home / "run.json", run)
    shutil.copy(home / "run.json", folder / "record.json")
    (folder / "README.md").write_text("# tuned\n")
    files = {path.name: file_digest(path) for path in folder.iterdir()}
    manifest = {
        "schema_version": 1, "adapter": adapter_digest(folder), "model": {"name": "tiny"}, "task": "desk",
        "decision": {"decision": "release", "reason": ""}, "verdicts": {}, "files": files,
        "ledger": {"compared": False, "said": "no remote"},
    }  # fmt: skip
    stamp(folder / "release.json", manifest)


def ran(command: list[str]) -> Result:
    return CliRunner().invoke(app, command)


@pytest.fixture
def place(good, tmp_path, monkeypatch) -> Path:
    home = tmp_path / "home"
    shutil.copytree(good, home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    return home


def content(home: Path, without: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith(without.name) and path.name != "pipe"
    }


#: One reader of each sort meets every hostile file, the others one of each class: all go through core/reading.py.
ALL_KINDS = {"a record, reported", "a baseline", "outputs", "a fixture file", "settings"}
SOME_KINDS = (
    "nothing", "a folder", "a pipe", "a device without end", "links in a circle", "a file of 2 GB", "an empty file",
    "UTF-16", "brackets", "a number of a million digits", "NaN", "a key twice", "a list", "an object of others",
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_file_is_told_and_nothing_changes(place, reader):
    name, command, harmless = READERS[reader]
    path = place / name
    whole = path.read_bytes()
    for kind in [*NO_FILES, *NO_JSON] if reader in ALL_KINDS else SOME_KINDS:
        path.unlink()
        (NO_FILES | NO_JSON)[kind](path)
        before = content(place, path)
        done = ran(command)

        assert done.exit_code in ({0, 1} if kind in harmless else {3, 4}), (kind, done.output)
        assert "internal error" not in done.output, kind
        if kind in harmless:  # what says nothing is judged as such, and a run that was judged is kept
            shutil.rmtree(place / ".tunegate", ignore_errors=True)
        assert content(place, path) == before, kind
        if kind not in harmless:
            told = [line for line in done.stderr.splitlines() if not line.startswith("fixtures/")]
            assert 1 <= len(told) <= 12, kind
            assert all(len(line) < 2000 for line in told), kind
        for left in (path, path.with_name(f"{path.name}.other"), path.with_name("pipe")):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink(missing_ok=True)
        path.write_bytes(whole)


@pytest.mark.parametrize("reader", READERS)
def test_without_it_the_command_reads_its_file(place, reader):
    _, command, _ = READERS[reader]
    done = ran(command)
    said = {
        "release": "it was trained on another base",
        "verify": "does not say release",
        "train": "'./none'",
        "plan": "expected a record evaluated with --tg-against",
        "gate": "gate: blocked by desk/triage, desk",
    }
    assert done.exit_code == 0 or said[command[0]] in done.output, done.output


KEYS = ["", "../up", "\u202e", "::error::x", "a\nb"]
VALUES = [None, True, -1, 10**40, 1e308, "", "x\x00\n::error::", [], {}, [[]], {"a": None}]


def places(value: object, where: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [where, *(place for key, each in inner for place in places(each, (*where, key)))]


@pytest.mark.parametrize(
    "reader", ["a record, reported", "one of two records", "a record, planned with", "a record, released by",
               "a baseline", "a manifest", "a training record", "an adapter's configuration"],
)  # fmt: skip
def test_no_mutant_with_a_valid_digest_ends_in_a_mistake_of_ours(place, reader):
    name, command, _ = READERS[reader]
    whole, chance = json.loads((place / name).read_text()), random.Random(reader)
    for _ in range(20):
        data = json.loads(json.dumps(whole))
        *above, last = chance.choice([where for where in places(data) if where])
        target = data
        for key in above:
            target = target[key]
        change = chance.randrange(3)
        if change == 0:
            target[last] = chance.choice(VALUES)
        elif change == 1:
            del target[last]
        elif isinstance(target, dict):
            target[chance.choice(KEYS)] = target.pop(last)
        stamp(place / name, data)

        done = ran(command)

        assert done.exit_code in {0, 1, 4}, (done.output, above, last)
        assert "internal error" not in done.output, (done.output, above, last, change)
        assert "\n::error" not in done.output
        assert "\u202e" not in done.output
