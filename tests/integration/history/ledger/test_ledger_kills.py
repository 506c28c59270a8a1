"""Kills at every write of a recording, a release, a withdrawal and an opening: what is left, and what goes on."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.records import ENGINE, LOCAL, save, write_desk, write_policy
from tests.unit.release.test_last_release import T, last
from tests.unit.release.test_release import DIAGNOSIS, HALF, MOST, Desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.releases import withdraw
from tunegate.harness.history.ledger.evaluations import case_events, sealed_evaluations
from tunegate.harness.history.ledger.journal import JOURNAL, undo_cut_off
from tunegate.harness.history.ledger.store import LEDGER, append, read_ledger
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.release.diagnosis.diagnosis import write_diagnosis

REPLIES = "desk/replies"
BETTER = "1" * 40 + "0" * 20


def record(desk: Desk) -> None:
    desk.record_baseline({T: BETTER, REPLIES: BETTER})


def release(desk: Desk) -> None:
    desk.release(desk.home / "second", read_record(desk.home / "runs" / "second.json"))


def take_back(desk: Desk) -> None:
    withdraw(desk.home / "baselines", desk.home / "first", "A test.")


def open_cases(desk: Desk) -> None:
    [task] = load_tasks(desk.fixtures)
    for event in case_events("opened", Fingerprint(LOCAL | {"adapter": "c" * 64}, ENGINE), task.units):
        append(desk.home / "baselines", event)


STEPS: dict[str, Callable[[Desk], None]] = {
    "record": record, "release": release, "withdraw": take_back, "open": open_cases,
}  # fmt: skip


def kill_everywhere(step: str, made: Path, to: Path) -> None:
    """Run a step in copies of a desk, `to`/0, 1, ..., killed at each change of a file in turn, until it is not.

    Each run is forked from this process, which has imported all that it takes.
    """
    for at in itertools.count():
        desk = copied(made, to / str(at))
        child = os.fork()
        if not child:
            run_until(step, desk, at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not status:
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def run_until(step: str, desk: Desk, at: int) -> None:
    """Run a step, killed just before the change of the file system of this number: that is just after the last one."""
    changes = itertools.count()

    def killing(change: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **more: object) -> object:
            if next(changes) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **more)

        return counted

    os.replace = killing(os.replace)
    Path.unlink = killing(Path.unlink)
    STEPS[step](desk)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk with two units; its first adapter is released, its second was judged."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    for unit in ("triage", "replies"):
        write_desk(desk.fixtures, 60, unit)
    write_policy(desk.fixtures, triage={"role": "target"}, replies={"role": "guard"})
    desk.record_baseline({T: HALF, REPLIES: HALF})
    write_diagnosis(desk.home / "baselines", DIAGNOSIS)
    first, second = desk.adapter("first"), desk.adapter("second", weights="0.7")
    desk.release(first, desk.evaluate(first, {T: MOST, REPLIES: HALF}))
    desk.evaluate(second, {T: "1" * 58 + "00", REPLIES: HALF})
    return desk.home


def copied(made: Path, to: Path) -> Desk:
    shutil.copytree(made, to)
    return Desk(to)


def end_of(desk: Desk) -> dict[str, object]:
    """What a step came to: every file, and of the ledger what it says without times."""
    files = {name: data for name, data in desk.files().items() if f"{LEDGER}/" not in name and "/." not in name}
    events = read_ledger(desk.home / "baselines").in_order
    return {"files": files, "ledger": [(event.kind, event.who, event.files, event.cases) for event in events]}


def parts(desk: Desk) -> list[Path]:
    """What writers that were killed left of their files."""
    return sorted(desk.home.rglob("*.part"))


def record_again(desk: Desk) -> None:
    """What the next command that records does first."""
    undo_cut_off(desk.home / "baselines")


def is_unfinished(desk: Desk) -> bool:
    """Whether a step was cut off between its files; then the next candidate is not judged, and told what to do."""
    if not (desk.home / "baselines" / JOURNAL).exists():
        return False
    with pytest.raises(Refused, match="expected no unfinished change, found one; run it again: "):
        last(desk)
    shutil.rmtree(desk.home / "candidate", ignore_errors=True)
    return True


@pytest.fixture(scope="module", params=STEPS)
def killed(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A step, and the folder of the desks in which it was killed; the last one was let run to its end."""
    to = tmp_path_factory.mktemp(request.param)
    code = f"import {__name__} as kills; from pathlib import Path as P\nkills.kill_everywhere(*{[request.param]}, "
    code += f"P({str(made)!r}), P({str(to)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return request.param, to


def test_what_was_killed_at_any_change_of_a_file_has_not_happened_and_goes_on(
    made: Path, killed: tuple[str, Path]
) -> None:
    step, folder = killed
    *left, whole = [Desk(folder / str(at)) for at in range(len(list(folder.iterdir())))]
    before, after = end_of(Desk(made)), end_of(whole)
    first, second = adapter_digest(made / "first"), adapter_digest(made / "second")
    assert len(left) >= {"record": 4, "release": 9, "withdraw": 5, "open": 1}[step]
    for desk in left:
        if not is_unfinished(desk):  # all of it, or nothing
            end = end_of(desk)
            assert end in (before, after)
            assert last(desk) == (first if end == before else last(whole))
            for made_by_last in (desk, whole):
                shutil.rmtree(made_by_last.home / "candidate", ignore_errors=True)
            if end == after:
                continue
        STEPS[step](desk)
        assert end_of(desk) == after
        record_again(desk)
        assert parts(desk) == []
    assert last(whole) == {"release": second, "withdraw": None}.get(step, first)


OPENING = """
import sys
from pathlib import Path
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append
print("ready", flush=True)
for n in range(10**6):
    model = {"adapter": f"{sys.argv[1]}-{n}"}
    append(Path("baselines"), Event("opened", "desk", model, cases={"desk/final": ("a" * 16,)}))
    print(n, flush=True)
"""


def test_killed_at_random_moments_an_opening_is_there_or_not(made: Path, tmp_path: Path) -> None:
    root, rng = copied(made, tmp_path / "copy").home / "baselines", random.Random(7)
    for kill in range(8):
        command = [sys.executable, "-c", OPENING, str(kill)]
        with subprocess.Popen(command, cwd=root.parent, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
            said = process.stdout.read().split()
        names = {str(event.subject["adapter"]) for event in read_ledger(root).of("desk", "opened")}
        assert {f"{kill}-{number}" for number in range(len(said))} <= names  # what was said to be told is there
    assert sealed_evaluations(read_ledger(root), "desk")["a" * 16] == len(names)


def test_runners_at_once_each_leave_their_event(made: Path, tmp_path: Path) -> None:
    desk = copied(made, tmp_path / "copy")
    [task] = load_tasks(desk.fixtures)
    subjects = [LOCAL | {"adapter": f"{number:02}" * 32} for number in range(24)]

    def run(number: int) -> None:
        for event in case_events("opened", Fingerprint(subjects[number], ENGINE), task.units):
            append(desk.home / "baselines", event)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(len(subjects))))
    ledger = read_ledger(desk.home / "baselines")
    assert set(sealed_evaluations(ledger, "desk").values()) == {len(subjects)}
    save(desk.home / "baselines", desk.record(None, {T: BETTER}), [unit for unit in task.units if unit.key == T])
    assert len(read_ledger(desk.home / "baselines").heads) == 1
