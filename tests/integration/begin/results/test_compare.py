"""`tunegate compare OLD NEW [--gate]`: exit codes, what it prints and writes, and what other commands make of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.results import DATA, DIRECTIONS, csv_file, pair_of, two_providers
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cli.main import app
from tunegate.harness.core.reading import schema_mistakes

TOOLS = ["inspect", "lm", "promptfoo", "deepeval"]
NAMES = {"inspect": "inspect_ai", "lm": "lm-evaluation-harness", "promptfoo": "promptfoo", "deepeval": "deepeval"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder, in which nothing of a project lies."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "empty"


@pytest.fixture
def worse():
    """Two CSV files, the second of which is worse."""
    csv_file(Path("old.csv"), {f"q{n}": 1 for n in range(100)}, "acc")
    csv_file(Path("new.csv"), {f"q{n}": int(n % 4 > 0) for n in range(100)}, "acc")
    return "old.csv", "new.csv"


def ran(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def folders():
    """Two folders of lm-evaluation-harness with samples of two tasks."""
    for kind in ("old", "better"):
        shutil.copytree(DATA / f"lm_{kind}", Path(kind, "model"))
    return Path("old"), Path("better")


def test_folders_of_samples_are_compared_task_by_task(folders):
    done = ran(*folders, "--gate", "--inconclusive=warn")
    assert done.exit_code == 0, done.output
    name, sums = (next(Path("better/model").glob(f"samples_{task}_*")).name for task in ("mc", "sums"))
    assert f"{name}: Not proven: mc/acc (" in done.output
    assert f"{sums}: Passed: every unit of sums held. " in done.output
    blocked = ran(*folders, "--gate")
    assert (blocked.exit_code, blocked.stderr.splitlines()[-1]) == (1, f"gate: 1 of 2 tasks blocked: {name}")


@pytest.mark.parametrize("change", [
    lambda old, new: next(iter(new.rglob("samples_mc_*"))).unlink(),
    lambda old, new: next(iter(old.rglob("samples_mc_*"))).unlink(),
])  # fmt: skip
def test_folders_of_samples_must_have_the_same_tasks(folders, change):
    change(*folders)
    done = ran(*folders, "--gate")
    assert done.exit_code == 2
    assert "expected samples of mc, found none" in str(done.exception) + done.output


@pytest.mark.parametrize("option", ["--out=r.json", "--decision=d.json", "--json"])
def test_what_holds_one_comparison_is_refused_for_two_tasks(folders, option):
    done = ran(*folders, option)
    assert done.exit_code == 2
    assert "expected the files of one task, found 2 tasks" in str(done.exception) + done.output


@pytest.mark.parametrize("tool", TOOLS)
def test_a_worse_file_is_red_and_a_better_one_green(tool):
    old, worse = pair_of(tool, "worse")
    known = [f"--better={each}" for each in DIRECTIONS.get(tool, [])]
    red = ran(old, worse, "--gate", *known)
    assert (red.exit_code, "gate: blocked by" in red.stderr) == (1, True)
    assert red.stdout.startswith(f"results of {NAMES[tool]}")

    green = ran(old, pair_of(tool, "better")[1], "--gate", "--margin", ".15", *known)
    assert (green.exit_code, green.stdout.splitlines()[-1]) == (0, "gate: passes")
    assert "Supplied scores: not re-scored, never released." in green.stdout
    assert ran(old, worse, *known).exit_code == 0


def test_without_gate_the_exit_code_is_0_and_the_table_is_the_same(worse):
    gated, shown = ran(*worse, "--gate"), ran(*worse)

    assert (gated.exit_code, shown.exit_code) == (1, 0)
    assert shown.stdout.splitlines()[:-1] == gated.stdout.splitlines()
    assert "shown, not gated" in shown.stdout.splitlines()[-1]


def test_json_is_a_decision_with_the_numbers_of_each_metric(worse):
    done = ran(*worse, "--gate", "--json")
    found = json.loads(done.stdout)

    assert schema_mistakes(found, published_schema("decision")) == []
    assert (found["passes"], found["tool"], found["gated"]) == (False, "CSV", True)
    assert found["metrics"]["results/acc"]["mean"] == 0.75
    assert json.loads(ran(*worse, "--json").stdout)["metrics"] == found["metrics"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["old.csv"], 2, "expected two result files, OLD and NEW, found 1"),
        (["old.csv", "old.csv"], 2, "expected two files, found old.csv twice"),
        (["old.csv", "./link.csv"], 2, "expected two files, found old.csv twice"),
        (
            ["old.csv", "new.csv", "--out", "new.csv"],
            2,
            "expected a file of its own, found that NEW uses new.csv",
        ),
        (["old.csv", "new.csv", "--decision", "old.csv"], 2, "--decision: expected a file of its own"),
        (["old.csv", "new.csv", "--out", "d.json", "--decision", "d.json"], 2, "found that --out uses d.json"),
        (["old.csv", "new.csv", "--margin", "5"], 2, ".05 is five points"),
        (["old.csv", "new.csv", "--margin", "f1=.1"], 2, "expected a metric of the files (acc), found f1"),
        (["old.csv", "new.csv", "--policy", "gone.yaml"], 4, "gone.yaml"),
        (["old.csv", "gone.csv"], 4, "gone.csv: no such file"),
        (["old.csv", "odd.json"], 4, "found a text that begins with 'hello'"),
        (["old.csv", "big.csv", "--gate"], 4, "found none of them: q0, q1, q2"),
        (["old.csv", "seconds.csv"], 1, "NEW does not have this metric"),
    ],
)
def test_what_cannot_be_is_said_with_its_exit_code(worse, arguments, code, says):
    Path("link.csv").symlink_to("old.csv")
    Path("odd.json").write_text("hello\n")
    csv_file(Path("seconds.csv"), {f"q{n}": 3 for n in range(100)}, "seconds")
    csv_file(Path("big.csv"), {f"z{n}": 3 for n in range(100)}, "acc")
    done = ran(*arguments, *(["--gate"] if code == 1 else []))

    assert done.exit_code == code
    assert says in done.output


def test_a_gate_without_any_margin_is_refused_and_the_decision_says_so():
    for name in ("old.csv", "new.csv"):
        csv_file(Path(name), {f"q{n}": 100 + n for n in range(9)}, "latency")
    done = ran("old.csv", "new.csv", "--gate", "--decision", "d.json")

    assert done.exit_code == 4
    assert "--gate: expected a metric with a margin, found none (latency)" in done.stderr
    assert "found none (latency)" in json.loads(Path("d.json").read_text())["refused"]
    assert ran("old.csv", "new.csv").exit_code == 0


def test_inconclusive_may_warn():
    csv_file(Path("old.csv"), {f"q{n}": 1 for n in range(10)})
    csv_file(Path("new.csv"), {f"q{n}": int(n > 0) for n in range(10)})

    assert ran("old.csv", "new.csv", "--gate").exit_code == 1
    assert ran("old.csv", "new.csv", "--gate", "--inconclusive", "warn").exit_code == 0


def test_comment_report_and_view_show_what_was_decided(worse, tmp_path):
    assert ran(*worse, "--gate", "--decision", "out/decision.json").exit_code == 1
    shutil.copytree("out", tmp_path / "artefact")  # as a workflow's second job finds it
    decision = tmp_path / "artefact" / "decision.json"

    said = CliRunner().invoke(app, ["comment", str(decision)])
    assert said.exit_code == 0
    assert said.stdout.startswith(
        "### ❌ Blocked: results/acc regressed: the old file 100.0 %, this change 75.0 %. "
        "Next: read its 25 regressed cases, "
        "then change the model or its prompt."
        "\n\n- Supplied scores: not re-scored, never released."
    )
    assert "tunegate compare old.csv new.csv --gate" in said.stdout
    assert "pytest" not in said.stdout
    shown = CliRunner().invoke(app, ["report", "out/decision.record.json"])
    assert "results/acc: Regressed" in shown.stdout
    view = CliRunner().invoke(app, ["view", "out/decision.record.json"])
    assert view.exit_code == 0
    page = Path("out/decision.record.html").read_text()
    assert "supplied: not re-scored, never released" in page
    assert "tunegate compare old.csv new.csv --gate" in page


def test_the_page_has_inputs_outputs_and_reasons():
    old, new = pair_of("promptfoo", "worse")
    assert ran(old, new, "--out", "record.json").exit_code == 0
    assert CliRunner().invoke(app, ["report", "record.json", "--html", "page.html"]).exit_code == 0

    page = Path("page.html").read_text()
    assert "What is 43 plus 21? Reply with the number only." in page
    assert "equals: 64" in page


def test_hostile_ids_inputs_and_names_reach_no_terminal():
    odd = ["\x1b[2J", "::error::x", "a\u202eb", "a\nb", "x" * 5000, "[red]b[/red]"]
    metrics = [{"name": "\x1b[1mm", "threshold": 0.5, "score": 1, "success": True}]
    shared = {"success": True, "actualOutput": "\x07", "metricsData": metrics}
    rows = [shared | {"name": name, "input": f"\x1b]0;{n}"} for n, name in enumerate(odd)]
    Path("old.json").write_text(json.dumps({"testCases": rows, "testPassed": 6}))
    Path("new.json").write_text(json.dumps({"testCases": rows[:1], "testPassed": 1}))
    for more in ([], ["--gate"], ["--json"], ["--gate", "--decision", "d.json"]):
        done = ran("old.json", "new.json", *more)
        assert done.exit_code == (1 if "--gate" in more else 0)
        text = done.output
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert not any(line.lstrip().startswith("::error") for line in text.splitlines())
    assert not {"\x1b", "\x07"} & set(CliRunner().invoke(app, ["comment", "d.json"]).output)


def test_it_runs_in_an_empty_folder_and_loads_no_torch(worse, here):
    code = (
        "import sys\nfrom tunegate.harness.cli.main import app\n"
        "try:\n    app(['compare', 'old.csv', 'new.csv', '--gate'])\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sentence_transformers'} & set(sys.modules)\n"
        "print('ended with', code, sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=here)

    assert done.stdout.splitlines()[-1] == "ended with 1 []"
    assert sorted(path.name for path in here.iterdir()) == ["new.csv", "old.csv"]


def test_data_of_the_tools_is_small():
    assert max(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 60_000


@pytest.mark.parametrize("metric", ["failed", "wrong", "refusals"])
def test_a_rise_of_what_is_bad_is_not_held(metric):
    for name, bad in (("old.csv", 29), ("new.csv", 63)):  # 14.5 and 31.5 %
        csv_file(Path(name), {f"q{n}": int(n < bad) for n in range(200)}, metric)
    asked = ran("old.csv", "new.csv", "--gate", "--decision", "d.json")

    assert asked.exit_code == 2
    assert (
        f"old.csv: expected to know whether more or less of {metric} is better" in str(asked.exception) + asked.output
    )
    done = ran("old.csv", "new.csv", "--gate", f"--better={metric}=lower")
    assert done.exit_code == 1
    assert f"results/{metric} regressed: the old file 85.5 %, this change 68.5 %" in done.output
    assert ran("old.csv", "new.csv", "--gate", f"--better={metric}=higher").exit_code == 0
    assert ran("old.csv", "new.csv", f"--better={metric}").exit_code == 2


def test_two_providers_of_one_file_are_old_and_new_by_name():
    two_providers(Path("both.json"), labels=("gpt 4", "vendor/gpt:5"))
    one = ran("both.json", "--gate")
    assert one.exit_code == 2
    says = "found 1; it holds results of gpt 4, vendor/gpt:5: name OLD and NEW, as in tunegate compare"
    assert f"{says} 'gpt 4=both.json' vendor/gpt:5=both.json" in " ".join((str(one.exception) + one.output).split())
    assert "found both.json twice; it holds" in str((done := ran("both.json", "both.json")).exception) + done.output

    done = ran("gpt 4=both.json", "vendor/gpt:5=both.json", "--gate", "--decision", "d.json")
    assert done.exit_code == 1
    said = CliRunner().invoke(app, ["comment", "d.json"]).stdout
    assert "tunegate compare 'gpt 4=both.json' vendor/gpt:5=both.json --gate" in said
    alone = json.loads(ran(*pair_of("promptfoo", "worse"), "--json").stdout)["metrics"]
    both = json.loads(ran("gpt 4=both.json", "vendor/gpt:5=both.json", "--json").stdout)["metrics"]
    assert {key: each["verdict"] for key, each in both.items()} == {key: alone[key]["verdict"] for key in alone}
    assert ran("gpt 4=both.json", "gpt 4=both.json").exit_code == 2
    assert ran("gpt 4=both.json", "gpt=both.json").exit_code == 4


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (["old.cvs", "new.csv"], 4, "old.cvs: no such file; did you mean 'old.csv'?"),
        (["quite.csv", "new.csv"], 4, "quite.csv: no such file; expected a result file: an inspect_ai log"),
        (["old.cvs", "new.cvs"], 4, "did you mean 'old.csv'?"),
        (["old.csv", "smollm2"], 2, "expected result files or configurations, found both: old.csv and smollm2"),
        (["old.csv", "."], 2, "found both: old.csv and ."),
        (["old.csv", "note.txt"], 4, "note.txt: expected a result file"),
    ],
)
def test_a_misspelt_file_is_named(worse, given, code, says):
    Path("note.txt").write_text("hello\n")
    done = ran(*given, "--gate")

    assert done.exit_code == code
    assert says in done.output


def test_what_is_in_a_file_counts_and_not_its_ending(worse):
    Path("old.csv").rename("old.scores")

    assert ran("old.scores", "new.csv", "--gate").exit_code == 1


def test_one_question_under_ten_ids_is_no_significant_loss_and_the_grouping_is_printed():
    for name, wrong in (("old.csv", ()), ("new.csv", (3,))):
        rows = [f"{q}-{r},question {q},{int(q not in wrong)}\n" for q in range(20) for r in range(10)]
        Path(name).write_text("id,input,accuracy\n" + "".join(rows))
    done = ran("old.csv", "new.csv", "--gate", "--decision", "d.json")

    assert done.exit_code == 1
    assert "OLD old.csv has 200 samples, NEW new.csv has 200; paired: 200 ids, 20 questions" in done.stdout
    assert "results/accuracy: Inconclusive" in done.stdout
    assert "worse than the old file" not in done.output
    said = CliRunner().invoke(app, ["comment", "d.json"]).stdout
    assert "200 ids, 20 questions: ids with the same input or group are one observation" in said
