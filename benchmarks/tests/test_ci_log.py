"""The log of a run that blocks: each case once, the verdict last, no longer under CI, and as the results say."""

from __future__ import annotations

import pytest

from benchmarks.ci_log import RESULT, Log, logs


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, Log]:
    return logs(tmp_path_factory.mktemp("tour").resolve())


def test_the_table_and_the_decision_are_the_last_lines_and_whole(found):
    for log in found.values():
        first, last = log.table
        assert [line.split()[0] for line in log.lines[first + 1 : last]] == ["support/questions", "support/triage"]
        assert last < log.decision
        after = [line.partition(":")[0] for line in log.lines[log.decision :] if not line.startswith("=")]
        assert set(after) <= {"record", "next"}


def test_each_regressed_case_is_told_once(found):
    assert {(len(log.wrong), log.told) for log in found.values()} == {(19, 1)}


def test_ci_adds_little(found):
    terminal, ci = (len(log.text) for log in found.values())
    assert ci < 1.1 * terminal


def test_the_results_are_those_of_now(found):
    written = RESULT.read_text()
    for name, log in found.items():
        row = log.row(name)
        [line] = [line for line in written.splitlines() if line.startswith(f"| {name} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[2:] == row[2:]
        assert int(cells[1].replace(",", "")) == pytest.approx(len(log.text.encode()), rel=0.02)
