"""Several processes that write one folder of baselines, and those that read it meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tunegate.harness.core.errors import Refused
from tunegate.harness.history.ledger import journal
from tunegate.harness.history.ledger.journal import JOURNAL, check_finished, undo_cut_off

#: Writes two files as one change and stops in the middle of it: until a line comes, or for ever.
WRITER = """
import sys
from pathlib import Path
from tunegate.harness.history.ledger import journal
from tunegate.harness.core.files import locked
root, put = Path("baselines"), journal._put
def waiting(texts):
    print("writing", flush=True)
    sys.stdin.readline()
    put(texts)
journal._put = waiting
with locked(root / journal.LOCK):
    journal.undo(root)
    journal.write_together(root, {root / "a.json": "new", root / "b.json": "new"}, "pytest fixtures/ --tg-record")
"""
#: Prints, each in a line, how often it read, then whether each reading was the old or the new files, whole.
READER = """
import sys
from pathlib import Path
from tunegate.harness.history.ledger.journal import check_finished
print("ready", flush=True)
while not Path("enough").exists():
    check_finished(Path("baselines"))
"""
RECORDER = """
import sys
from pathlib import Path
from tunegate.harness.history.ledger import journal
from tunegate.harness.core.files import locked
root = Path("baselines")
for n in range(40):
    journal.undo_cut_off(root)
    with locked(root / journal.LOCK):
        journal.undo(root)
        texts = {root / f"{name}.json": f"{sys.argv[1]} {n}" for name in "abcd"}
        journal.write_together(root, texts, "pytest fixtures/ --tg-record")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "baselines"
    folder.mkdir()
    (folder / "a.json").write_text("old")
    return folder


@contextmanager
def started(code: str, root: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=root.parent, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_reader_waits_for_a_writer_that_is_about_to_finish(root: Path) -> None:
    with started(WRITER, root) as writer:
        assert said(writer) == "writing"
        with started("import sys\n" + READER, root) as reader:
            assert said(reader) == "ready"
            time.sleep(0.3)
            assert writer.stdin
            writer.stdin.write("\n")
            writer.stdin.flush()
            assert writer.wait() == 0
            time.sleep(0.3)
            (root.parent / "enough").touch()
            assert reader.wait() == 0, reader.stderr and reader.stderr.read()
    assert (root / "b.json").read_text() == "new"


def test_baselines_that_another_process_is_writing_are_named_as_that(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE", 0.2)
    with started(WRITER, root) as writer:
        assert said(writer) == "writing"
        with pytest.raises(Refused) as refused:
            check_finished(root)
        assert str(refused.value).endswith(
            "expected baselines without a writer, found another process that writes them (pytest fixtures/ "
            "--tg-record), after a wait of 0 s; run this again when it has finished"
        )
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    with pytest.raises(Refused, match="found one; run it again: pytest fixtures/ --tg-record"):
        check_finished(root)
    undo_cut_off(root)
    check_finished(root)
    assert (root / "a.json").read_text() == "old"


def test_a_writer_does_not_clean_up_what_another_one_writes(root: Path) -> None:
    slow = WRITER.replace("journal._put = waiting\n", "").replace('"new"}', '"new"}'.replace('"new"', "pieces()"))
    slow = slow.replace("with locked", 'def pieces():\n    yield "ne"\n    waiting({})\n    yield "w"\nwith locked')
    slow = slow.split("with locked")[0] + "from tunegate.harness.core.files import write_atomically\n"
    with started(slow + 'write_atomically(root / "b.json", pieces())\n', root) as writer:
        assert said(writer) == "writing"
        [part] = root.glob(".*.part")
        undo_cut_off(root)
        assert part.exists()
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.wait() == 0
    assert (root / "b.json").read_text() == "new"


@pytest.mark.parametrize("moment", ["os.replace", "os.fsync"])
def test_a_kill_while_the_journal_is_written_leaves_nothing_that_stays(root: Path, moment: str) -> None:
    die = f"import os, signal\n{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    with started(die + WRITER, root) as writer:
        assert writer.wait() == -signal.SIGKILL
    assert [path.name.startswith(f".{JOURNAL}.") for path in root.glob(".*.part")] == [True]
    check_finished(root)  # nothing was begun
    undo_cut_off(root)
    assert list(root.glob(".*.part")) == []
    assert (root / "a.json").read_text() == "old"


def test_four_that_record_at_once_are_no_mistake_to_those_who_read(root: Path) -> None:
    with started(READER, root) as reader:
        assert said(reader) == "ready"
        command = [sys.executable, "-c", RECORDER]
        writers = [subprocess.Popen([*command, str(number)], cwd=root.parent) for number in range(4)]
        assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
        (root.parent / "enough").touch()
        assert reader.wait() == 0, reader.stderr and reader.stderr.read()
    assert len({(root / f"{name}.json").read_text() for name in "abcd"}) == 1
    assert sorted(path.name for path in root.iterdir() if path.name != ".recording.lock") == [
        "a.json", "b.json", "c.json", "d.json",
    ]  # fmt: skip
