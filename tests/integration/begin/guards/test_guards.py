"""`tunegate guards` and `init` as processes: what they write, print and refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.forked import run_program

TABLE = ("--from", "mail.csv", "--input", "text", "--expect", "team")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program("tunegate", *arguments, folder=folder)


@pytest.fixture
def shop(tmp_path):
    lines = [f"Message number {n},{('billing', 'repairs', 'sales')[n % 3]}" for n in range(30)]
    (tmp_path / "mail.csv").write_text("\n".join(["text,team", *lines]))
    return tmp_path


def units(folder: Path) -> list[str]:
    path = folder / "fixtures" / "guards" / "task.yaml"
    return [*yaml.safe_load(path.read_text("utf-8"))["units"]] if path.exists() else []


def test_the_packs_are_listed_with_their_size(tmp_path):
    done = run(tmp_path, "guards")

    assert (done.returncode, done.stderr) == (0, "")
    assert "general             2    150  retention" in done.stdout


def test_a_pack_is_added_linted_and_not_added_twice(tmp_path):
    done = run(tmp_path, "guards", "add", "general")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote fixtures/guards/general.yaml",
        "wrote fixtures/guards/task.yaml",
        "guards/general: 150 cases, a margin of 6 points",
        "150 more calls of each model in a whole run",
        "next: tunegate lint, then pytest --tg-record",
    ]
    assert run(tmp_path, "lint").returncode == 0
    assert "nothing to add" in run(tmp_path, "guards", "add", "general").stdout


def test_edits_are_named_by_update_and_refused_by_add(tmp_path):
    run(tmp_path, "guards", "add", "general")
    path = tmp_path / "fixtures" / "guards" / "general.yaml"
    path.write_text(path.read_text("utf-8").replace("Poland", "Peru"), "utf-8")

    shown = run(tmp_path, "guards", "update")
    assert "1 case changed (capitals-warsaw)" in shown.stdout
    assert "Peru" in shown.stdout
    assert run(tmp_path, "guards", "add", "general").returncode == 4
    assert "Peru" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add"], 2, "PACK: expected one or more of general"),
        (["add", "genral"], 2, "did you mean 'general'?"),
        (["add", "general", "--take"], 2, "--take: expected guards update, found guards add"),
        (["update", "general"], 4, "expected a copy of general, found none"),
    ],
)
def test_what_cannot_be_done_is_named(tmp_path, arguments, code, said):
    done = run(tmp_path, "guards", *arguments)

    assert (done.returncode, said in done.stderr) == (code, True)
    assert not (tmp_path / "fixtures").exists()


def test_init_adds_guards_where_the_weights_are_here_and_only_once(shop):
    done = run(shop, "init", "desk", *TABLE, "--model", "smollm2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "guards/general: 150 cases, a margin of 6 points" in done.stdout
    assert "by labels of people: tunegate guards add refusals overrefusals" in done.stdout
    assert units(shop) == ["general"]
    path = shop / "fixtures" / "guards" / "general.yaml"
    path.write_text(path.read_text("utf-8").replace("Poland", "Peru"), "utf-8")

    again = run(shop, "init", "front", *TABLE, "--model", "smollm2")

    assert (again.returncode, "guards" in again.stdout) == (0, False)
    assert "Peru" in path.read_text("utf-8")


def test_init_leaves_them_out_for_a_reason_that_it_keeps(shop):
    done = run(shop, "init", "desk", *TABLE, "--model", "smollm2", "--no-guards", "It does one thing.")

    assert (done.returncode, units(shop)) == (0, [])
    assert (shop / "fixtures/desk/task.yaml").read_text().startswith("# no guards that ship: It does one thing.\n")
    assert run(shop, "lint").returncode == 0


def test_init_names_the_command_for_a_hosted_model_and_adds_none_to_supplied_outputs(shop):
    hosted = run(shop, "init", "desk", *TABLE, "--model", "openai:https://api.example.com/v1#small")
    assert (hosted.returncode, units(shop)) == (0, [])
    assert "no guard was added, since its calls are paid for: tunegate guards add general" in hosted.stdout

    done = run(shop, "init", "front", *TABLE)

    assert (units(shop), "guard was added" in done.stdout) == ([], False)


@pytest.mark.parametrize(
    ("task", "more", "said"),
    [
        ("guards", [], "TASK: expected another name than guards"),
        ("desk", ["--no-guards", " "], "--no-guards: expected a reason, found none"),
    ],
)
def test_init_refuses_the_guards_own_task_and_an_empty_reason(shop, task, more, said):
    done = run(shop, "init", task, *TABLE, "--model", "smollm2", *more)

    assert (done.returncode, said in done.stderr, (shop / "fixtures").exists()) == (2, True, False)


def test_a_model_without_a_chat_template_gets_passages_only(shop):
    (shop / "plain").mkdir()
    (shop / "plain" / "config.json").write_text("{}")

    done = run(shop, "init", "desk", *TABLE, "--model", "./plain")

    assert (done.returncode, units(shop)) == (0, ["passages"])
    assert "guards/passages: 120 cases, a margin of 0.2 nats" in done.stdout
    assert "warning: guards" not in run(shop, "lint").stdout


def test_no_run_imports_the_packs():
    runs = ("cli.main", "session.pytest_plugin.plugin", "session.run")
    imports = f"import sys, {', '.join(f'tunegate.harness.{run}' for run in runs)}"
    code = f"{imports}; print([name for name in sys.modules if 'tunegate.harness.begin.guards' in name])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
