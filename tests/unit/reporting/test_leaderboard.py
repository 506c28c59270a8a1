from __future__ import annotations

import io
from dataclasses import replace

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.printing import Printer
from tunegate.harness.gate.rule import compare
from tunegate.harness.reporting.leaderboard import megabytes, print_leaderboard


def test_adapters_to_release_come_first_with_their_verdicts_and_sizes(tmp_path):
    write_desk(tmp_path / "fixtures", 60)
    write_policy(tmp_path / "fixtures", triage={"role": "target", "margin": 0.2})
    tasks = load_tasks(tmp_path / "fixtures")
    base = record(tasks, {"desk/triage": "1" * 10 + "0" * 50})
    judged = []
    for name, scores in (("bad", "0" * 60), ("fair", "1" * 40 + "0" * 20), ("good", "1" * 58 + "00")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter.bin").write_bytes(b"x" * 1_500_000)
        made = replace(record(tasks, {"desk/triage": scores}), adapter=str(tmp_path / name))
        judged.append(compare(tasks, made, {"baseline": base}, ["desk"]))
    console = Printer(file=io.StringIO(), width=200)

    print_leaderboard(console, judged, base=tmp_path / "good")

    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]
    names = [line.split()[0] for line in lines if line.split()[0] in {"good", "fair", "bad"}]
    assert names == ["good", "fair", "bad"]
    assert "good 96.7 % release" in lines
    assert "bad 0.0 % block" in lines
    luck = "desk/triage: the best of 3 was selected by its score; if all were equally good, it would still be about"
    assert lines[-2] == f"{luck} 6.4 points too high"
    assert lines[-1] == "3 adapters of 4.5 MB in all on one base of 1.5 MB"


def test_a_folder_weighs_what_its_files_do(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").write_bytes(b"x" * 2000)
    assert megabytes(tmp_path) == 0.002


def test_of_many_adapters_the_best_have_a_line_each_and_the_rest_are_counted(tmp_path):
    write_desk(tmp_path / "fixtures", 20)
    write_policy(tmp_path / "fixtures", triage={"role": "target", "margin": 0.2})
    tasks = load_tasks(tmp_path / "fixtures")
    base = record(tasks, {"desk/triage": "1" * 4 + "0" * 16})
    made = [
        replace(record(tasks, {"desk/triage": "1" * right + "0" * (20 - right)}), adapter=f"adapter-{right:02}")
        for right in range(21)
    ]
    judged = [compare(tasks, each, {"baseline": base}, ["desk"]) for each in made]
    console = Printer(file=io.StringIO(), width=100)

    print_leaderboard(console, judged, limit=3)

    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]
    best = [line for line in lines if line.startswith("adapter-")]
    assert best == [
        "adapter-20 100.0 % improved release", "adapter-19 95.0 % improved release",
        "adapter-18 90.0 % improved release",
    ]  # fmt: skip
    rest = next(line for line in lines if line.startswith("and 18 more below ("))
    assert rest.endswith(" block): tunegate report RECORD.json ... shows all of them")
