"""The benchmark of real outputs: what is drawn, which units are written, and what labels save."""

from __future__ import annotations

from benchmarks.real_outputs import BANK, CASES, SENTENCE, SNAPSHOTS, Compared, Project, drawn, report
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.snapshot import traffic_in
from tunegate.harness.core.progress import quiet

TEXTS = [f"message {number}" for number in range(30)]


def test_a_draw_has_each_text_once_and_does_not_depend_on_the_order():
    first = drawn([*TEXTS, " message 3 "], 12)

    assert len(set(first)) == 12
    assert first == drawn(reversed(TEXTS), 12)
    assert sorted(drawn(TEXTS, 99)) == sorted(TEXTS)


def test_a_project_has_traffic_units_with_labels_and_the_demos_prompts(tmp_path):
    project = Project(tmp_path / "desk", (), quiet())
    named = project.write(dict.fromkeys(SNAPSHOTS.values(), TEXTS), *SNAPSHOTS)
    project.write_unit("triage", named[BANK], SENTENCE)

    with traffic_in(tmp_path / "desk/snapshots"):
        [task] = load_tasks(tmp_path / "desk/fixtures")

    assert {unit.name: len(unit.cases) for unit in task.units if unit.labels} == dict.fromkeys(SNAPSHOTS, len(TEXTS))
    assert {unit.name for unit in task.units} == {*SNAPSHOTS, CASES}
    prompts = {unit.name: unit.cases[0].prompt for unit in task.units}
    assert prompts["triage"].system.endswith(SENTENCE)
    assert prompts["replies"].template.startswith("Customer: {input}")


def test_labels_save_cases_where_few_outputs_differ_and_nothing_where_nearly_all_do():
    compared = [Compared("A, B", "triage", 1000, differing, (0, 20)) for differing in (0, 100, 970)]

    rows = [line.split(" | ") for line in report((compared, {"train": 1.5}), "made").splitlines() if "A, B" in line]

    assert [row[4] for row in rows] == ["0.0", "10.0", "97.0"]
    assert [row[5] for row in rows] == ["0", "19", "all do not suffice"]
    assert [row[7].rstrip(" |") for row in rows] == ["59", "142", "nothing"]
