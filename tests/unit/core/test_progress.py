from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from tunegate.harness.core.progress import quiet, watch_on


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def test_elsewhere_than_on_a_terminal_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr("tunegate.harness.core.progress.LINE_SECONDS", 0)
    log = console(terminal=False)

    with watch_on(log)("Training on 9 rows, steps", 2) as done:
        done(1, "loss 1.234")
        done(1, "loss 1.111")

    first, middle, last = log.file.getvalue().splitlines()
    assert first == "Training on 9 rows, steps: 2"
    assert middle == "  1/2 after 0 s, loss 1.234"
    assert last.startswith("  done in ")


def test_the_time_before_the_first_item_tells_nothing_of_the_pace(monkeypatch):
    monkeypatch.setattr("tunegate.harness.core.progress.LINE_SECONDS", 0)
    clock = iter([0.0, 60.0, 62.0, 62.0])
    monkeypatch.setattr("tunegate.harness.core.progress.time.monotonic", lambda: next(clock))
    log = console(terminal=False)

    with watch_on(log)("Judging smollm2", 100) as done:
        done(1)
        done(1)

    told = log.file.getvalue().splitlines()
    assert told[1:3] == ["  1/100 after 60 s", "  2/100 after 62 s, about 196 s left"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_silent_model_brings_a_hint_once(monkeypatch, terminal):
    monkeypatch.setattr("tunegate.harness.core.progress.SILENT_SECONDS", 0.01)
    log = console(terminal)

    with watch_on(log)("Judging qwen", 2, if_silent="2 requests are under way"):
        for _ in range(1000):
            if "no reply for 0 s: 2 requests are under way" in log.file.getvalue():
                break
            time.sleep(0.01)

    assert log.file.getvalue().count("2 requests are under way") == 1


def test_a_model_that_replies_brings_no_hint(monkeypatch):
    log = console(terminal=False)

    with watch_on(log)("Judging qwen", 2, if_silent="2 requests are under way") as done:
        done(2)

    assert "under way" not in log.file.getvalue()


def test_time_left_is_told_from_the_work_and_not_the_count(monkeypatch):
    monkeypatch.setattr("tunegate.harness.core.progress.LINE_SECONDS", 0)
    clock = iter([0.0, 90.0, 100.0, 100.0])
    monkeypatch.setattr("tunegate.harness.core.progress.time.monotonic", lambda: next(clock))
    log = console(terminal=False)

    with watch_on(log)("Judging smollm2", 3, work=1000) as done:
        done(1, work=900)  # the longest first
        done(1, work=50)

    told = log.file.getvalue().splitlines()
    assert told[1:3] == ["  1/3 after 90 s", "  2/3 after 100 s, about 10 s left"]


def test_a_quick_step_is_two_lines():
    log = console(terminal=False)

    with watch_on(log)("Judging [base]", 100) as done:
        for _ in range(100):
            done(1)

    assert [line.split(" in ")[0] for line in log.file.getvalue().splitlines()] == ["Judging [base]: 100", "  done"]


def test_a_step_that_fails_is_not_done():
    log = console(terminal=False)

    with pytest.raises(ZeroDivisionError), watch_on(log)("Loading tiny"):
        1 / 0  # noqa: B018

    assert log.file.getvalue() == "Loading tiny ...\n"


def test_on_a_terminal_a_bar_with_its_note():
    screen = console(terminal=True)

    with watch_on(screen)("Judging [base]", 4) as done:
        done(4, "loss 0.5")

    assert "Judging [base] (loss 0.5)" in screen.file.getvalue()
    assert "4/4" in screen.file.getvalue()


def test_quiet_says_nothing(capsys):
    with quiet()("Training", 2) as done:
        done(1)
        done(1, "loss 0.5")

    assert capsys.readouterr() == ("", "")
