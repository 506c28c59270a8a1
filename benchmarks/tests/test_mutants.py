"""The mutants: each form is changed, by a seed, and every reader ends as it should on a few of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import mutants
from benchmarks.mutants_data import mutant
from benchmarks.mutants_readers import BAD, READERS, SETTINGS, Reader, prepare, readings
from tunegate.harness.core.progress import quiet

TEXTS = {
    "json": json.dumps({"a": [1, {"b": "c"}], "digest": "x"}), "yaml": "a: [1, 2]\nb: {c: d}\n",
    "lines": '{"a": 1}\n{"a": {"b": [2]}}\n', "toml": SETTINGS,
}  # fmt: skip


@pytest.mark.parametrize("form", TEXTS)
def test_a_seed_makes_one_mutant_and_most_differ(form: str) -> None:
    whole = TEXTS[form].encode()
    made = [mutant(whole, form, random.Random(seed)) for seed in range(300)]
    assert made == [mutant(whole, form, random.Random(seed)) for seed in range(300)]
    assert len(set(made)) > 100
    assert sum(each == whole for each in made) < 60


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("desk")
    mutants.make(home)
    prepare(home, mutants.run, mutants.GATE)
    return home


def test_every_reader_reads_its_file_and_ends_well_on_mutants(project: Path) -> None:
    found = readings(project, 3 * len(READERS), quiet())
    assert Counter(each.reader for each in found) == {reader.name: 3 for reader in READERS}
    assert [each for each in found if each.what in BAD] == []


def broken(path: Path) -> object:
    if path.read_bytes().startswith(b"{"):
        raise KeyError(path.name)
    return None


def endless(_: Path) -> object:
    while True:
        pass


def greedy(_: Path) -> object:
    return bytearray(3 << 60)


@pytest.mark.parametrize(("read", "what"), [
    (broken, "unexpected error"), (endless, "too slow"), (greedy, "too much memory"),
])  # fmt: skip
def test_a_reader_that_ends_badly_is_seen(project: Path, monkeypatch: pytest.MonkeyPatch, read, what: str) -> None:
    def only_mutants(path: Path) -> object:
        return None if path.read_bytes() == whole else read(path)

    whole = (project / "decision.json").read_bytes()
    monkeypatch.setattr("benchmarks.mutants_readers.SECONDS", 0.5)
    monkeypatch.setattr("benchmarks.mutants_readers.READERS", (Reader("it", "decision.json", "json", only_mutants),))
    found = readings(project, 4, quiet())
    assert len(found) == 4
    assert what in {each.what for each in found}
