"""Checkpoints on disk: which of them counts, and which are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunegate.trainers.training.checkpoints import MARK, close_work, keep_only, mark, newest, open_work

# the checkpoints themselves


def checkpoint(work: Path, step: int, whole: bool = True) -> Path:
    folder = work / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes([step]) * 9)
    if whole:
        mark(folder)
    return folder


def test_the_newest_whole_checkpoint_counts(tmp_path):
    assert newest(tmp_path) is None
    first, second = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 11, whole=False)

    assert newest(tmp_path) == second
    (second / "weights").write_bytes(b"half of it")
    assert newest(tmp_path) == first
    (first / "more").write_bytes(b"")
    assert newest(tmp_path) is None


def test_only_the_one_that_is_gone_on_from_is_kept(tmp_path):
    first = checkpoint(tmp_path, 9)
    checkpoint(tmp_path, 10, whole=False)

    keep_only(tmp_path, first)

    assert list(tmp_path.iterdir()) == [first]


def test_work_with_nothing_to_go_on_from_is_removed(tmp_path):
    work = tmp_path / "work"
    open_work(work, {"recipe": "1"}, pytest.fail)
    checkpoint(work, 9)
    close_work(work)
    assert work.exists()

    (work / "checkpoint-9" / MARK).unlink()
    close_work(work)
    assert not work.exists()


def test_work_is_kept_only_for_the_same_training(tmp_path):
    work, said = tmp_path / "work", []
    same_training = {"recipe": "1", "rows": "2", "versions": "3"}
    open_work(work, same_training, said.append)
    kept = checkpoint(work, 9)
    open_work(work, same_training, said.append)
    assert kept.exists()
    assert said == []

    open_work(work, same_training | {"rows": "4", "versions": "5"}, said.append)

    assert said == ["discarding the interrupted training (rows and versions changed since): starting from scratch"]
    assert [path.name for path in work.iterdir()] == ["of.json"]
