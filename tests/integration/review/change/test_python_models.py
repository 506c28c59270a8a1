"""A function as a model in a change: no code of the change runs before it is approved."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.support.gated import commit_to_main, decision, edit, git, invoke, ok
from tests.support.prompted import settings
from tests.support.records import write_policy
from tests.support.units import write_unit

IDS = [f"c{number:02d}" for number in range(40)]
BOT = """
import tone
def answer(messages, decoding):
    right = int(messages[-1]["content"].split()[-1]) < tone.RIGHT
    return '{"product": "boiler"}' if right else "no idea"
"""
RAN = "open(%r, 'w')\n"
MODEL = "python:bot.py:answer"
WAITS = "not evaluated: its model is code that needs approval"


@pytest.fixture
def ran(tmp_path) -> Path:
    """The file that planted code writes."""
    return tmp_path.parent / f"{tmp_path.name}-ran"


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A repository whose model is a function, with the record of what is in service on main."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path.parent / f"{tmp_path.name}-config"))
    cases = [{"id": name, "input": f"ticket {number}", "expect": {"product": "boiler"}}
             for number, name in enumerate(IDS)]  # fmt: skip
    write_unit(Path("fixtures"), [], cases=cases, prompt={"system": "Sort."})
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.2})
    Path("bot.py").write_text(BOT)
    Path("tone.py").write_text("RIGHT = 36\n")
    settings(MODEL)
    Path(".gitignore").write_text(".tunegate/\n*.lock\n__pycache__/\nbuild/\n")
    ok("record")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    return tmp_path


gate = partial(decision, "--policy-from=main")


def plant(file: str, ran: Path) -> None:
    path = Path(file)
    path.write_text(RAN % str(ran) + (path.read_text() if path.exists() else BOT))


def test_the_same_code_is_asked_and_a_prompt_of_it_is_a_candidate(desk):
    git("commit", "-qm", "notes", "--allow-empty")
    found = gate()
    assert (found["passes"], found["modified"]) == (True, [])
    assert [each["verdicts"] for each in found["by_rules"]] == [{"desk/triage": "held"}] * 2
    edit(lambda data: data.update(prompt={"system": "Sort it."}))
    edited = gate()
    assert (edited["passes"], edited["modified"]) == (True, [])
    assert [each["part"] for each in edited["configuration"]] == ["system"]


@pytest.mark.parametrize("file", ["bot.py", "tone.py"])
@pytest.mark.parametrize("named", [[], [f"--model={MODEL}"]], ids=["by the settings", "by the command line"])
def test_edited_code_waits_for_its_approval(desk, ran, file, named):
    plant(file, ran)
    found = gate(*named)
    assert not found["passes"]
    assert not ran.exists()
    assert found["by_rules"] == []
    [line] = found["modified"]
    said = "the model's code: bot.py:answer: [0-9a-f]{8} -> [0-9a-f]{8}; it does not run until it is approved"
    assert re.fullmatch(said.replace("bot.py", "python:bot.py"), line)
    assert any(WAITS in note for note in found["notes"])

    approved = gate(*named, f"--approve={found['approve']}")
    assert approved["passes"], approved
    assert ran.exists()
    assert [each["verdicts"] for each in approved["by_rules"]] == [{"desk/triage": "held"}] * 2


def test_worse_code_is_compared_with_what_is_in_service_once_approved(desk):
    Path("tone.py").write_text("RIGHT = 9\n")
    found = gate()
    approved = gate(f"--approve={found['approve']}")
    assert not approved["passes"]
    assert {each["verdicts"]["desk/triage"] for each in approved["by_rules"]} == {"regressed"}


@pytest.mark.parametrize("model", ["python:new.py:answer", "python:bot.py:other", "python:textwrap:dedent",
                                   "python:./new.py:answer"])  # fmt: skip
def test_a_function_that_the_branch_does_not_name_waits(desk, ran, model):
    plant("new.py", ran)
    settings(model)
    found = gate()
    assert not found["passes"]
    assert not ran.exists()
    assert found["by_rules"] == []
    assert any(line.startswith("the model's code: python:") and " is new (" in line for line in found["modified"])
    assert any(line.startswith("[tool.tunegate] model: ") for line in found["modified"])


def test_a_project_of_a_change_alone_runs_no_function_either(desk, ran):
    git("rm", "-rq", "--cached", "fixtures", "baselines", "pyproject.toml")
    git("commit", "-qm", "none")
    git("branch", "-f", "main")
    plant("bot.py", ran)
    found = gate()
    assert not found["passes"]
    assert not ran.exists()
    assert any("the model's code" in line for line in found["modified"])


def test_another_file_that_reviewed_code_reaches_for_is_not_there(desk, ran):
    """Code that looks further than its imports say would run what a change adds, and nobody approved."""
    Path("bot.py").write_text(f"import sys\nsys.path.insert(0, {str(desk)!r} + '/lib')\n{BOT}"
                              "try:\n    __import__('ex' + 'tra')\nexcept ImportError:\n    pass\n")  # fmt: skip
    Path("extra.py").write_text("")
    ok("record", "--fresh")
    commit_to_main("a look around")
    plant("extra.py", ran)
    git("commit", "-qam", "extra")
    found = gate()
    assert (found["passes"], found["modified"]) == (True, [])
    assert not ran.exists()


@pytest.mark.parametrize("how", ["a link", "a folder that is a link", "git ignores it"])
def test_code_that_is_not_what_a_reviewer_sees_is_refused(desk, ran, how):
    outside = desk.parent / f"{desk.name}-outside"
    outside.mkdir()
    plant(str(outside / "bot.py"), ran)
    if how == "a link":
        Path("bot.py").unlink()
        Path("bot.py").symlink_to(outside / "bot.py")
    elif how == "a folder that is a link":
        Path("lib").symlink_to(outside)
        settings("python:lib/bot.py:answer")
    else:
        Path("build").mkdir()
        plant("build/bot.py", ran)
        settings("python:build/bot.py:answer")
    done = invoke("gate", "--policy-from=main")
    assert done.exit_code == 4, done.output
    assert not ran.exists()
    assert "expected" in done.output


@pytest.mark.parametrize("command", [["lint"], ["plan"], ["prompts"]])
def test_other_commands_never_run_it(desk, ran, command):
    plant("bot.py", ran)
    invoke(*command)
    assert not ran.exists()


def test_code_that_edits_what_decides_is_found_out(desk):
    """It runs once it is approved, and what it changes meanwhile is seen."""
    Path("bot.py").write_text(
        BOT.replace("    right", f"    open({str(desk)!r} + '/fixtures/desk/task.yaml', 'a').write(' ')\n    right")
    )
    found = gate()
    done = invoke("gate", "--policy-from=main", f"--approve={found['approve']}")
    assert done.exit_code == 4, done.output
    assert "fixtures/desk/task.yaml: changed while the gate ran; nothing was decided" in done.output
