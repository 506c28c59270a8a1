"""`tunegate gate`: the same decision without pytest, and by the rules that a change comes from as well."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import (
    COMMAND,
    OWN,
    commit_to_main,
    decided,
    edit,
    gate,
    git,
    record,
    run,
    with_own_checks,
    write,
)  # fmt: skip
from tests.support.records import write_policy
from tunegate.harness.history.ledger.ledger import Event, EventKind
from tunegate.harness.history.ledger.store import append
from tunegate.harness.reporting.decision import read_inputs


def test_an_honest_model_passes_by_both_rules(repository):
    said = gate()
    assert said.exit_code == 0, said.output
    assert "by the rules of main: passes\nby the rules of this change: passes\ngate: passes" in said.output
    assert "modified" not in said.output


def test_the_same_verdicts_by_both_rules_are_printed_once(repository):
    record(38)
    commit_to_main("a better model")
    write(10)
    said = gate()
    assert said.exit_code == 1
    assert said.stdout.count("desk/triage: Regressed") == 1
    assert "by the rules of main and the rules of this change:\n" in said.stdout
    assert "by the rules of main: blocked by desk/triage, desk\nby the rules of this change: blocked by" in said.output


def test_without_a_branch_the_work_tree_alone_decides(repository):
    assert gate(since=None).exit_code == 0
    write(2)
    said = gate(since=None)
    assert said.exit_code == 1
    assert "gate: blocked by desk" in said.output
    assert "by the rules" not in said.output


def test_a_gate_that_passes_says_of_which_unit_nothing_is_right(repository):
    write_policy(Path("fixtures"), triage={"role": "guard", "margin": 0.1})
    shutil.rmtree("baselines")
    record(good=0)
    write(0)
    said = gate(since=None)
    assert said.exit_code == 0, said.output
    assert said.output.splitlines()[-1] == "gate: passes, but nothing is right in desk/triage"


def test_it_decides_as_pytest_does(repository):
    for good, code in ((38, 0), (10, 1)):
        write(good)
        options = ["--tg-model=replay:gpt=outputs.jsonl", "--tg-requests=requests.jsonl", "--tg-against=baseline"]
        there = subprocess.run([sys.executable, "-m", "pytest", "fixtures/", "-q", *options], capture_output=True)
        assert there.returncode == code
        assert gate(since=None).exit_code == code


def test_added_cases_with_an_added_baseline_pass(repository):
    edit(lambda data: data["cases"].extend({"id": f"n{n}", "input": f"new {n}"} for n in range(10)))
    record()
    write(48)
    said = gate()
    assert said.exit_code == 0, said.output
    assert "1 addition, blocking nothing\n  desk/triage: 10 cases (n0, n1, n2" in said.output


def test_cases_that_pass_do_not_dilute_those_that_fell(repository):
    write_policy(Path("fixtures"), triage={"role": "guard", "margin": 0.1})
    record(40)
    commit_to_main("a good base")
    edit(lambda data: data["cases"].extend({"id": f"n{n:03d}", "input": f"new {n}"} for n in range(400)))
    record(440)
    write(440, but=range(20, 40))
    found = decided()
    by_rules = {each["rules"]: each["verdicts"]["desk/triage"] for each in found["by_rules"]}
    assert by_rules == {"the rules of main": "regressed", "the rules of this change": "held"}
    assert not found["passes"]


def tell(kind: EventKind, **more: Any) -> None:
    append(Path("baselines"), Event(kind, "desk", {"model": "tiny", "adapter": "a" * 64}, **more))


ALTERED: dict[str, tuple[Callable[[], object], str]] = {
    "a margin": (
        lambda: write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.4}),
        "desk/triage: task.yaml is looser: margin 0.1 -> 0.4",
    ),
    "a role": (
        lambda: write_policy(Path("fixtures"), triage={"role": "guard", "margin": 0.1}),
        "desk/triage: task.yaml is looser: role target -> guard",
    ),
    "a case": (
        lambda: edit(lambda data: data["cases"][3].update(input="easier")),
        "desk/triage: input of 1 case (c03) edited",
    ),
    "an expectation": (
        lambda: edit(lambda data: data["cases"][3].update(expect={"product": "radiator"})),
        "desk/triage: expect of 1 case (c03) edited",
    ),
    "a removed case": (lambda: edit(lambda data: data["cases"].pop()), "desk/triage: 1 case (c39) removed"),
    "a critical mark": (
        lambda: edit(lambda data: data["cases"][0].pop("critical")),
        "desk/triage: the critical mark of 1 case (c00) dropped",
    ),
    "an unstable mark": (
        lambda: edit(lambda data: data["cases"][0].update(unstable=True)),
        "desk/triage: the unstable mark of 1 case (c00) set",
    ),
    "a case's own prompt": (
        lambda: edit(lambda data: data["cases"][3].update(prompt={"system": "Just say boiler."})),
        "desk/triage: prompt of 1 case (c03) edited",
    ),
    "a schema": (
        lambda: edit(lambda data: data.update(check={"schema": {}, "extract": "fenced"})),
        "desk/triage: check of 40 cases (c00, c01, c02",
    ),
    "a case's own decoding": (
        lambda: edit(lambda data: data["cases"][3].update(generate={"max_new_tokens": 500})),
        "desk/triage: decoding of 1 case (c03) edited",
    ),
    "a seal": (
        lambda: edit(lambda data: data.update(sealed=True)),
        "desk/triage: task.yaml is looser: sealed false -> true",
    ),
    "a unit": (
        lambda: (
            edit(lambda data: data.update(unit="other")),
            write_policy(Path("fixtures"), other={"role": "target"}),
        ),
        "desk/triage: the unit is gone (40 cases)",
    ),
    "a task": (lambda: shutil.move("fixtures/desk", "fixtures/other"), "desk: the task is gone"),
    "the folder of fixtures": (
        lambda: (
            shutil.copytree("fixtures", "easy"),
            Path("pyproject.toml").write_text('[tool.tunegate]\ncases="easy"'),
        ),
        "[tool.tunegate] cases: not set -> easy",
    ),
    "the model": (
        lambda: Path("pyproject.toml").write_text('[tool.tunegate]\nmodel="replay:gpt=outputs.jsonl"'),
        "[tool.tunegate] model: not set -> replay:gpt=outputs.jsonl",
    ),
    "a withdrawal": (lambda: tell("withdrawn", reason="It is slow."), "the ledger: the withdrawal of adapter aaaaaaaa"),
    "a retired unit": (
        lambda: tell("retired", files={"desk/old": "b" * 64}, reason="Old."),
        "the ledger: the retirement of desk/old: Old.",
    ),
    "a release": (
        lambda: tell("released", files={"desk/triage": "b" * 64}),
        "the ledger: the release of adapter aaaaaaaa on tiny",
    ),
    "what inconclusive means": (
        lambda: Path("pyproject.toml").write_text('[tool.tunegate]\ninconclusive="warn"'),
        "[tool.tunegate] inconclusive: not set -> warn",
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_rule_blocks_and_is_told_first(repository, what):
    alter, told = ALTERED[what]
    alter()
    said = gate()
    assert said.exit_code in (1, 4)
    first, second, *_ = said.stdout.splitlines()
    assert "rule change" in first
    assert "block until a reviewer approves them" in first
    assert ("--approve=" in said.output) == (said.exit_code == 1)
    assert told in second


def test_how_the_model_is_computed_and_where_openings_are_counted_are_rules(repository):
    git("init", "-q", "--bare", "elsewhere.git")
    settings = {"attention": "eager", "device": "cpu", "dtype": "float32", "ledger-remote": "elsewhere.git",
                "max-model-len": 4096, "quantization": "8bit"}  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    Path("pyproject.toml").write_text("\n".join(["[tool.tunegate]", *lines, ""]))

    told = [f"[tool.tunegate] {name}: not set -> {value}" for name, value in settings.items()]
    assert gate().stdout.splitlines()[1].strip() == told[0]
    assert decided()["modified"] == told


def test_an_edit_of_the_chat_template_is_an_edit_of_the_configuration(repository):
    Path("pyproject.toml").write_text('[tool.tunegate]\nchat-template = "chat.jinja"\n')
    Path("chat.jinja").write_text("{{ messages }}")
    commit_to_main("a template")
    assert decided()["modified"] == []

    Path("chat.jinja").write_text("{{ messages[-1] }}")
    there, here = "chat.jinja (f24189f08c85a1eb19a737306c3a13e8)", "chat.jinja (d936c225b5a96ddeedc403727eb34241)"
    found = decided()
    assert found["modified"] == []
    assert found["configuration"] == [{"unit": "", "part": "chat-template", "before": there, "now": here}]

    Path("chat.jinja").unlink()
    [edited] = decided()["configuration"]
    assert edited["now"] == "chat.jinja (no file)"


def test_an_altered_rule_with_its_baseline_recorded_again_blocks_until_it_is_permitted(repository):
    ALTERED["a margin"][0]()
    record()
    found = decided()
    assert not found["passes"]
    assert found["refused"] == ""
    assert [each["blocks"] for each in found["by_rules"]] == [[], []]
    assert gate().exit_code == 1
    assert gate(f"--approve={found['approve']}").exit_code == 0
    # another edit is another rule change
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.5})
    record()
    assert decided()["modified"] != found["modified"]
    assert gate(f"--approve={found['approve']}").exit_code == 1


def test_outputs_that_answer_the_edited_question_pass_once_the_edit_is_permitted(repository):
    ALTERED["a case"][0]()
    record()
    found = decided()
    assert "by the rules of main: 1 mistake" in found["refused"]
    said = gate(f"--approve={found['approve']}")
    assert said.exit_code == 0, said.output
    assert "approved, so not evaluated by the rules of main: 1 mistake" in said.output
    write(0)
    assert gate(f"--approve={found['approve']}").exit_code == 1


def test_what_is_stricter_is_told_and_blocks_nothing(repository):
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.08})
    edit(lambda data: data["cases"][1].update(critical=True))
    record()
    found = decided()
    assert found["modified"] == []
    assert found["added"] == [
        "desk/triage: the critical mark of 1 case (c01) set",
        "desk/triage: task.yaml is stricter: margin 0.1 -> 0.08",
    ]
    assert found["passes"]


def test_a_baseline_of_other_outputs_is_an_altered_rule(repository):
    record(0)
    [line] = decided()["modified"]
    assert line.startswith(
        "desk/triage: its baseline (replay-gpt/desk/triage.json) holds other outputs or scores of 10 "
    )


def test_a_task_that_the_branch_does_not_know_is_decided_by_its_own_rules(repository):
    shutil.copytree("fixtures/desk", "fixtures/shop")
    record()
    write(38)
    found = decided()
    assert "shop: new rules: a task of 1 units, decided only by this change" in found["added"]
    assert found["passes"]


def test_a_unit_without_a_baseline_on_the_branch_gets_the_one_that_the_change_brings(repository):
    kept = {path: path.read_bytes() for path in Path("baselines").rglob("*.json")}
    shutil.rmtree("baselines")
    commit_to_main("nobody recorded it")
    for path, content in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    said = gate()
    assert said.exit_code == 0, said.output
    assert "desk/triage: a new baseline (replay-gpt/desk/triage.json)" in said.output


def test_a_branch_without_fixtures_leaves_the_change_to_its_own_rules(repository):
    git("checkout", "-q", "--orphan", "empty")
    git("rm", "-rqf", "--cached", ".")
    git("commit", "-q", "--allow-empty", "-m", "nothing")
    said = gate(since="empty")
    assert said.exit_code == 0, said.output
    assert "empty has no fixtures: all rules are this change's own" in said.output


def test_an_event_of_the_branch_that_the_change_lacks_is_refused(repository):
    git("checkout", "-q", "main")
    append(Path("baselines"), Event("withdrawn", "desk", {"adapter": "a" * 64}, reason="It is slow."))
    git("add", "-A")
    git("commit", "-qm", "withdrawn")
    git("checkout", "-q", "change")
    said = gate()
    assert said.exit_code == 4
    assert "expected every event of main in the ledger here, found 1 missing" in said.output


def test_no_such_branch(repository):
    said = gate(since="nowhere")
    assert said.exit_code == 2
    assert "--policy-from nowhere: expected a branch or a commit of this repository, found none" in said.output


def weakened() -> None:
    """A branch that holds nobody to anything; it is the one that is checked out then."""
    git("checkout", "-qb", "weak")
    write_policy(Path("fixtures"), triage={"role": "guard", "margin": 0.9})
    record()
    write(38)
    git("add", "-A")
    git("commit", "-qm", "weak")


def test_a_tag_of_the_branchs_name_is_not_taken_for_it(repository):
    weakened()
    git("tag", "main", "weak")
    said = gate()
    assert said.exit_code == 2
    assert "--policy-from main: expected one commit of that name, found a branch and another ref" in said.output
    assert "task.yaml is looser" in gate(since="refs/heads/main").stdout


def test_a_branch_named_as_a_commit_begins_is_not_taken_for_it(repository):
    main = subprocess.run(["git", "rev-parse", "main"], check=True, capture_output=True, text=True).stdout.strip()
    weakened()
    assert "task.yaml is looser" in gate(since=main[:8]).stdout
    git("branch", main[:8], "weak")
    said = gate(since=main[:8])
    assert said.exit_code == 2
    assert "expected one commit of that name, found a branch and another ref" in said.output


def test_the_environment_leads_git_to_no_other_repository(repository, monkeypatch, tmp_path):
    weakened()
    git("init", "-q", str(tmp_path / "other"))
    for name in ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_GRAFT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other/.git"))
    assert "task.yaml is looser" in gate().stdout


def test_a_replaced_commit_is_not_taken_for_the_branch(repository):
    weakened()
    git("replace", "main", "weak")
    assert "task.yaml is looser" in gate().stdout


def test_a_work_tree_elsewhere_hides_no_fixtures(repository):
    weakened()
    git("config", "core.worktree", str(Path("..").resolve()))
    assert "task.yaml is looser" in gate().stdout


@pytest.mark.parametrize("what", ["fixtures/desk/triage.yaml", "baselines/replay-gpt"])
def test_a_link_on_the_branch_is_not_taken_for_nothing_there(repository, what):
    path, kept = Path(what), Path(f"{Path(what).name}.kept")
    path.rename(kept)
    path.symlink_to(kept.resolve())
    commit_to_main("links")
    said = gate()
    assert said.exit_code == 4
    assert "--policy-from: expected fixtures and baselines that are files of at most 128 MB" in said.output
    assert what in said.output


def test_a_baseline_that_cannot_be_read_is_told_alike_each_time(repository):
    [path] = Path("baselines").glob("*/desk/triage.json")
    path.write_text(path.read_text().replace("no idea", "an idea"))
    found = [decided() for _ in range(2)]
    told = "desk/triage: its baseline (replay-gpt/desk/triage.json) cannot be read on one side"
    assert found[0]["modified"] == found[1]["modified"] == [told]
    assert found[0]["approve"] == found[1]["approve"]


def test_a_permit_without_a_branch(repository):
    said = gate("--approve=abc", since=None)
    assert said.exit_code == 2
    assert "--approve: expected --policy-from GITREF with it" in said.output


# a project's own Python


def test_a_changed_check_of_ones_own_is_an_altered_rule(own):
    Path("checks.py").write_text(OWN.replace("< 60", "< 600"))
    [line] = decided()["modified"]
    assert line.startswith("checks of your own: ")


HIJACK = """
import tunegate.harness.gate.rule as rule
import tunegate.harness.checks.schema.check as schema
import tunegate.harness.review.change.decide as decide
from tunegate import Outcome
rule.task_blocked = lambda *_: False
decide.blocking = lambda *_: ()
schema.SchemaCheck.__call__ = lambda *_: Outcome(1.0)
"""


@pytest.mark.parametrize("since", [None, "main"])
def test_checks_that_reach_into_the_gate_reach_nothing(own, since):
    Path("checks.py").write_text(OWN + HIJACK)
    commit_to_main("it reaches further")
    write(0)
    done = gate(since=since)
    assert done.exit_code == 1, done.output
    assert "desk/triage" in done.output


def test_a_check_that_ends_its_process_is_no_pass(own):
    Path("checks.py").write_text(OWN.replace("return Outcome", "import os; os._exit(0); return Outcome"))
    done = gate(since=None)
    assert done.exit_code == 3
    assert "checks.py: expected a response from the project's own checks" in done.output


UNFINISHED = "the gate did not finish: it was stopped or crashed, and decided nothing; run it again"


def test_a_gate_that_is_killed_leaves_no_earlier_decision(own):
    run("--decision=d.json", "--junit=d.xml")
    assert json.loads(Path("d.json").read_text())["passes"]
    assert '" failures="0" errors="0"' in Path("d.xml").read_text()
    kills = subprocess.Popen([*COMMAND, "--decision=d.json", "--junit=d.xml"], stdout=subprocess.DEVNULL)
    while UNFINISHED not in Path("d.xml").read_text():
        time.sleep(0.01)
    kills.kill()
    assert kills.wait() == -9
    found = read_inputs([Path("d.json")]).report()
    assert (found.outcome, found.rules.refused) == ("refused", UNFINISHED)


@pytest.mark.parametrize(("options", "why"), [
    (["--approve=7816ee245021"], "--approve: expected --policy-from GITREF with it"),
    (["--adapter=nowhere"], "take no adapter"),
    (["--model=replay:gpt=nowhere.jsonl"], "nowhere.jsonl"),
])  # fmt: skip
def test_whatever_stops_the_gate_is_its_decision(repository, options, why):
    assert gate("--decision=d.json", since=None).exit_code == 0
    assert gate("--decision=d.json", "--junit=d.xml", *options, since=None).exit_code in (2, 3, 4)
    decision = json.loads(Path("d.json").read_text())
    assert not decision["passes"]
    assert why in decision["refused"]
    [error] = ET.parse("d.xml").iter("error")  # noqa: S314  (it is our own)
    assert why in error.text


def test_a_regressed_unit_is_a_failure_of_its_test_case(repository):
    write(0)
    assert gate("--junit=out/gate.xml", since=None).exit_code == 1
    cases = ET.parse("out/gate.xml").iter("testcase")  # noqa: S314  (it is our own)
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["triage (in service)", "decision"]


@pytest.mark.parametrize(("options", "code", "why"), [
    (["--out=outputs.jsonl"], 4, "--out: expected a file of its own, found that --model reads outputs.jsonl"),
    (["--out=./requests.jsonl"], 4, "--out: expected a file of its own, found that --requests reads requests.jsonl"),
    (["--out=x.json", "--decision=x.json"], 2, "--decision: expected a file of its own, found that --out uses x.json"),
    (["--out=x.json", "--decision=x.cases.jsonl"], 2, "found that --out uses x.cases.jsonl"),
    (["--decision=x.xml", "--junit=x.xml"], 2, "--junit: expected a file of its own, found that --decision uses x.xml"),
    (["--decision=outputs.jsonl"], 2, "--decision: expected a file of its own, found that --model uses outputs.jsonl"),
])  # fmt: skip
def test_nothing_is_written_over_what_the_run_reads_or_writes(repository, options, code, why):
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    done = gate(*options, since=None)
    assert done.exit_code == code
    assert why in done.output.replace("\n", " ")
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_a_check_that_never_answers_is_ended(repository, monkeypatch):
    monkeypatch.setattr("tunegate.harness.checks.isolated.SECONDS", 6.0)
    with_own_checks()
    Path("checks.py").write_text(OWN.replace("return Outcome", "import time; time.sleep(1000); return Outcome"))
    done = gate(since=None)
    assert done.exit_code == 3
    assert "checks.py: expected a response from the project's own checks within 6 seconds" in done.output


@pytest.mark.parametrize("score", ["float('nan')", "2.0"])
def test_a_score_that_is_none_names_its_case(own, score):
    Path("checks.py").write_text(OWN.replace("Outcome(float(len(output) < 60))", f"Outcome({score})"))
    done = gate(since=None)
    assert done.exit_code == 3
    assert "expected a score from 0 to 1 from its check, found" in done.output
    assert "desk/" in done.output


def test_a_check_that_prints_and_fails(own):
    Path("checks.py").write_text(OWN.replace("return Outcome", "print('hello'); 1 / 0; return Outcome"))
    done = gate(since=None)
    assert done.exit_code == 3
    assert "checks.py: a check failed: ZeroDivisionError: division by zero" in done.output


def test_a_mistake_of_ones_own_check_is_told_at_its_line(own):
    Path("checks.py").write_text("import nowhere\n" + OWN)
    done = gate(since=None)
    assert done.exit_code == 4
    assert "checks.py:1: expected Python that can be loaded, found ModuleNotFoundError" in done.output


# the ways of pytest

SKIPS = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
FLIPS = """
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    return report
"""
ENDS_WELL = """
def pytest_itemcollected(item):
    item.add_marker("xfail")

def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
DIES = "raise SystemExit(0)"
NO_TESTS = '[tool.tunegate]\n[tool.pytest]\naddopts = ["-k", "nothing"]\n'
WAYS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "items are deselected": ({"conftest.py": SKIPS, "suites/test_schema.py": "def test_nothing():\n    pass\n"}, {}),
    "outcomes are flipped": ({"conftest.py": FLIPS + ENDS_WELL, "pyproject.toml": NO_TESTS}, {}),
    "the environment": (
        {"evil.py": FLIPS, "user/usercustomize.py": DIES},
        {"PYTEST_ADDOPTS": "-k nothing --tg-inconclusive=warn", "PYTEST_PLUGINS": "evil", "PYTHONPATH": ".",
         "PYTHONUSERBASE": "user", "PYTHONOPTIMIZE": "2"},
    ),
    "modules of the folder": (
        dict.fromkeys(("yaml.py", "json.py", "harness/__init__.py", "tunegate/__init__.py"), DIES), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_talks_pytest_round_does_not_touch_the_gate(repository, way):
    files, environment = WAYS[way]
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    write(2)
    blocked = run("--policy-from=main", **environment)
    assert blocked.returncode == 1, blocked.stdout + blocked.stderr
    assert "gate: blocked by the rules of main and the rules of this change" in blocked.stderr


def test_a_change_that_only_talks_to_pytest_is_judged_by_its_model(repository):
    Path("conftest.py").write_text(SKIPS)
    done = run("--policy-from=main")
    assert done.returncode == 0, done.stdout + done.stderr


def test_supplied_outputs_of_an_edited_prompt_are_recorded_again_only_with_approval(repository):
    """Nobody can check what was generated elsewhere, so the record of another prompt is no candidate's."""
    edit(lambda data: data.update(prompt={"system": "Be brief."}))
    record(2)
    write(38)
    found = decided()
    assert not found["passes"]
    assert any("was recorded with another system prompt" in line for line in found["modified"])
    assert any("is in service after the merge, and nothing here can check it" in line for line in found["modified"])
