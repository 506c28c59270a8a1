"""The benchmark of scale: it runs, it counts what was loaded, and it speaks up where time does not grow in step."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer import Exit

from benchmarks import scale
from benchmarks.frame import Failed, carry_out, run_process
from benchmarks.scale import COMMANDS, FILES, LINT, PLAIN, REPORT, SUITES, Run, broken, findings, growths, report
from benchmarks.scale_project import write_project
from tunegate.harness.core.progress import quiet


@pytest.fixture(scope="module")
def measured():
    return scale.measure([20], quiet(), times=1)


def runs(*sizes: int, slower: float = 1.0) -> list[Run]:
    """Each command takes a millisecond a case, and `slower` times that among the most."""
    return [
        Run(what, n, 1.0, n / 1e3 * (slower if n == max(sizes) else 1), 50 + n / 1e3)
        for n in sizes for what in COMMANDS
    ]  # fmt: skip


def test_every_command_is_run(measured):
    assert [each.what for each in measured] == [PLAIN, LINT, SUITES, FILES, REPORT]
    assert all(each.cpu > 0 and each.peak > 10 for each in measured)


def test_nothing_heavy_is_loaded_by_any_of_them(measured):
    assert [each.heavy for each in measured] == [[], [], [], [], []]


def test_a_heavy_library_is_noticed(tmp_path):
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "sneaky.py").write_text("import torch\nraise SystemExit(1)\n")
    child = Path(scale.__file__).with_name("scale_child.py")

    subprocess.run([sys.executable, child, "report.json", "sneaky"], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})

    heavy = json.loads((tmp_path / "report.json").read_text())["heavy"]
    assert heavy == ["torch"]
    assert list(broken([replace(runs(10)[0], heavy=heavy), *runs(10, 100)[1:]])) == [
        "bare pytest at 10 cases loaded torch"
    ]


def test_time_in_step_with_the_cases_is_fine_and_more_is_not():
    assert list(broken(runs(10, 100, 1_000, slower=1.4))) == []

    told = list(broken(runs(10, 100, 1_000, slower=10)))

    assert len(told) == len(COMMANDS)
    assert told[2] == "pytest suites/: a case takes 10.0 times as long at the largest size as at the one before"


def test_a_command_that_does_not_score_ends_the_run(tmp_path):
    write_project(tmp_path, 10)

    with pytest.raises(Failed, match=r"(?s)after.json ended with 4:.*expected a record \(JSON\), found nothing there"):
        scale.run(SUITES, COMMANDS[SUITES], 10, tmp_path)


def test_a_project_is_the_same_each_time_and_holds_every_case(tmp_path):
    write_project(tmp_path / "one", 20)
    write_project(tmp_path / "two", 20)

    one, two = ({path.name: path.read_text() for path in (tmp_path / name).rglob("*.*")} for name in ("one", "two"))

    assert one == two
    assert len(one["before.jsonl"].splitlines()) == len(one["after.jsonl"].splitlines()) == 20
    assert sum(text.count("- id: ") for text in one.values()) == 20


def test_the_report_says_what_was_found():
    text = report(runs(1_000, 10_000), "made so.")

    assert (
        "- End to end by pytest suites/, a case among 10,000 takes 1.00 ms, a bare pytest test 1.00 ms: 1.0 times."
        in text
    )
    assert "| 10,000 | pytest suites/ | 1.0 | 10.0 | 1.00 | 1.0 | 60 |" in text
    assert "\nmade so. Up to 10,000 cases" in text
    assert growths(runs(1_000, 10_000))[SUITES] == 1
    assert any("none was loaded" in line for line in findings(runs(1_000, 10_000)))


def test_a_run_is_written_down_and_a_broken_promise_ends_it_with_1(tmp_path, capsys):
    def run(*broken: str) -> None:
        carry_out(
            tmp_path / "new/x.md", "python x.py", ["numpy"], lambda watch: 7, "found {}: {}".format, lambda _: broken
        )

    run()
    assert (tmp_path / "new/x.md").read_text().startswith("found 7:     python x.py\n\n")
    with pytest.raises(Exit) as ended:
        run("it is slow", "it is late")
    assert ended.value.exit_code == 1
    assert "A promise is broken: it is slow; it is late\n" in capsys.readouterr().out


def test_a_run_that_fails_writes_nothing(tmp_path, capsys):
    def measure(watch: object) -> None:
        run_process(["-c", "print('no such thing'); raise SystemExit(3)"], tmp_path, tmp_path / "log.txt")

    with pytest.raises(Exit) as ended:
        carry_out(tmp_path / "x.md", "python x.py", [], measure, str.format, lambda _: ())

    assert ended.value.exit_code == 1
    assert "ended with 3:\nno such thing\n" in capsys.readouterr().out
    assert not (tmp_path / "x.md").exists()
