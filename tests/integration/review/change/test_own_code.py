"""A change's code: none of it runs before somebody approves it, and what runs is in a box."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.gated import (
    IDS,
    OWN,
    commit_to_main,
    edit,
    gate,
    git,
    invoke,
    run,
    write,
)
from tests.support.records import write_policy
from tests.support.units import write_unit

RAN = "import sys\nprint('RAN', file=sys.stderr)\n"
PASSES_ALL = OWN.replace("float(len(output) < 60)", "1.0")
ENTER = "import sys; from tunegate.harness.checks.box import enter; print(enter(sys.argv[1]))"
BOX = (
    "Box(files=True, network=True, limits=True)"
    in subprocess.run([sys.executable, "-c", ENTER, "."], capture_output=True, text=True, check=True).stdout
)
SECRETS = (
    "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "OMP_KEY", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "GITHUB_ENV",
)  # fmt: skip


def approval(said: str) -> str:
    found = re.search(r"--approve=\w+", said)
    assert found, said
    return found[0]


# not before it is approved


def test_settings_below_the_root_are_refused_with_their_line_and_nothing_runs(repository):
    place = "fixtures/desk"
    Path(place, "evil.py").write_text(RAN + OWN)
    Path(place, "pyproject.toml").write_text('[project]\nname = "x"\n[tool.tunegate]\nchecks = "evil.py"\n')
    for done in (run("--policy-from=main"), run()):
        assert done.returncode == 4
        assert (
            f"{place}/pyproject.toml:4: [tool.tunegate] checks: expected the project's settings only in" in done.stderr
        )
        assert "RAN" not in done.stdout + done.stderr
    assert invoke("lint").exit_code == 4


def test_new_checks_do_not_run_and_block_until_they_are_approved(repository):
    Path("checks.py").write_text(RAN + OWN)
    Path("pyproject.toml").write_text('[tool.tunegate]\nchecks = "checks.py"\n')
    done = run("--policy-from=main")
    assert done.returncode == 1
    assert "checks of your own: checks.py is new (" in done.stdout
    assert "by the rules of this change: not evaluated: its checks need approval" in done.stdout
    assert "RAN" not in done.stdout + done.stderr
    approved = run("--policy-from=main", approval(done.stderr))
    assert approved.returncode == 0, approved.stderr
    assert "RAN" in approved.stderr


@pytest.mark.parametrize("how", ["edited", "moved", "a file that it imports", "a module that it names as text"])
def test_edited_or_moved_checks_do_not_run(own, how):
    if how == "edited":
        Path("checks.py").write_text(RAN + OWN)
    elif how == "moved":
        Path("evals").mkdir()
        Path("evals/checks.py").write_text(RAN + OWN)
        Path("pyproject.toml").write_text('[tool.tunegate]\nchecks = "evals/checks.py"\n')
    else:
        named = "from importlib import import_module\nimport_module('helper')\n"
        imports = "import helper\n" if "imports" in how else named
        Path("helper.py").write_text("")
        Path("checks.py").write_text(
            imports.replace("from importlib import *", "from importlib import import_module") + OWN
        )
        commit_to_main("a helper")
        Path("helper.py").write_text(RAN)
    done = run("--policy-from=main")
    assert done.returncode == 1, done.stderr
    assert "it does not run until it is approved" in done.stdout
    assert "not evaluated: its checks need approval" in done.stdout
    assert "RAN" not in done.stdout + done.stderr
    assert "by the rules of main: passes" in done.stdout


def test_an_approval_is_for_this_code_and_these_files_alone(own):
    Path("checks.py").write_text(PASSES_ALL)
    name = approval(gate().output)
    assert gate(name).exit_code == 0
    Path("checks.py").write_text(PASSES_ALL + "# more\n")
    assert gate(name).exit_code == 1
    Path("checks.py").write_text(PASSES_ALL)
    assert gate(name).exit_code == 0
    Path("words.txt").write_text("what the check reads")
    assert gate(name).exit_code == 1


def test_python_that_no_import_leads_to_is_not_there(own):
    Path("other.py").write_text("x = 1\n")
    Path("checks.py").write_text("__import__('oth' + 'er')\n" + OWN)
    commit_to_main("an import that nobody can read")
    done = gate()
    assert done.exit_code == 4
    assert "No module named 'other'" in done.output


def test_python_beside_the_checks_that_they_do_not_import_is_no_rule(own):
    Path("train.py").write_text("x = 1\n")
    assert gate().exit_code == 0, gate().output


def test_an_installed_check_that_fixtures_name_anew_waits_for_approval(repository, tmp_path, monkeypatch):
    site, info = tmp_path / "site", tmp_path / "site" / "tone-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tone_checks.py").write_text(OWN.replace('"short"', '"tone"') + "TONE = CHECKS['tone']\n")
    kind = OWN.partition("CHECKS = ")[0] + (
        'TONE = CheckKind(kind="pass/fail", options={}, expect={}, load=lambda *_: Short(), version=1)\n'
    )
    (site / "tone_checks.py").write_text(kind)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tone\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tunegate.checks]\ntone = tone_checks:TONE\n")
    monkeypatch.syspath_prepend(site)
    from tunegate.harness.core.entry_points import entries_of

    entries_of.cache_clear()
    try:
        write_unit(Path("fixtures"), IDS[:30], name="tone", suite="tone", check={})
        write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.1}, tone={"role": "guard", "margin": 0.2})
        write(38)
        done = gate()
        assert done.exit_code == 1, done.output
        assert "checks of your own: tone 1.0, tone = tone_checks:TONE is new" in done.output
        assert "tone_checks" not in sys.modules
    finally:
        entries_of.cache_clear()


# one root, one place


@pytest.mark.parametrize("setting", ["cases", "baselines"])
def test_what_leads_outside_the_root_is_refused_under_policy_from(repository, tmp_path, setting):
    folder = {"cases": "fixtures", "baselines": "baselines"}[setting]
    shutil.move(folder, tmp_path / "elsewhere")
    Path(folder).symlink_to(tmp_path / "elsewhere")
    done = gate()
    assert done.exit_code == 4
    assert f"{setting}: expected {folder} to lie in the project" in done.output.replace("\n", " ")
    assert f"found that it leads to {tmp_path / 'elsewhere'}" in done.output.replace("\n", " ")


def test_checks_outside_the_root_are_refused_under_policy_from(repository, tmp_path):
    (tmp_path / "outside.py").write_text(RAN + OWN)
    Path("pyproject.toml").write_text('[tool.tunegate]\nchecks = "../outside.py"\n')
    done = run("--policy-from=main")
    assert done.returncode == 4
    assert "checks: expected" in done.stderr
    assert "RAN" not in done.stdout + done.stderr


def test_a_link_inside_the_fixtures_that_leads_out_is_refused(repository, tmp_path):
    shutil.move("fixtures/desk/triage.yaml", tmp_path / "triage.yaml")
    Path("fixtures/desk/triage.yaml").symlink_to(tmp_path / "triage.yaml")
    done = gate()
    assert done.exit_code == 4
    assert "fixtures/desk/triage.yaml to lie in the project" in done.output.replace("\n", " ")


def test_a_project_that_moved_is_a_rule_change(repository, monkeypatch):
    for name in ("fixtures", "baselines", "pyproject.toml", "outputs.jsonl", "requests.jsonl", "base.jsonl"):
        Path("a").mkdir(exist_ok=True)
        git("mv", name, f"a/{name}")
    commit_to_main("a monorepo")
    git("mv", "a", "b")
    monkeypatch.chdir("b")
    done = gate()
    assert done.exit_code == 1, done.output
    assert "the project is in b, and the branch has it in a: it moved" in done.output
    assert gate(approval(done.output)).exit_code == 0


def test_a_first_project_of_a_repository_is_no_move(repository):
    git("rm", "-rq", "--cached", ".")
    Path("readme").write_text("x")
    git("add", "readme")
    git("commit", "-qm", "nothing yet")
    git("branch", "-f", "main")
    git("add", "-A")
    done = gate()
    assert done.exit_code == 0, done.output
    assert "main has no fixtures: all rules are this change's own" in done.output


def test_the_first_project_brings_checks_that_wait(own):
    Path("checks.py").write_text(RAN + OWN)
    git("branch", "-f", "main", git("commit-tree", "-m", "empty", git("mktree", "--missing").strip() or "x").strip())
    done = run("--policy-from=main")
    assert done.returncode == 1, done.stderr
    assert "checks.py is new" in done.stdout
    assert "RAN" not in done.stdout + done.stderr


# the box


def probe(*codes: str) -> str:
    """What an approved check that runs each of these when it is loaded prints and says; `say` is what it prints."""
    text = "import os, sys\nfrom pathlib import Path\ndef say(*x):\n    print('SAID', *x, file=sys.stderr)\n"
    for number, code in enumerate(codes):
        text += f"try:\n    {code}\n    say({number}, 'done')\n"
        text += f"except Exception as e:\n    say({number}, type(e).__name__)\n"
    Path("checks.py").write_text(text + OWN)
    commit_to_main("a probe")
    done = run("--policy-from=main", **dict.fromkeys(SECRETS, "hush-hush"))
    return done.stdout + done.stderr


def test_a_check_sees_no_secret_inherits_no_descriptor_and_has_so_much_memory(own):
    said = probe(
        "say(dict(os.environ))",
        "say(Path(f'/proc/{os.getppid()}/environ').read_bytes())",
        "say('descriptors', sorted(os.listdir('/proc/self/fd')))",
        "bytearray(5 << 30)",
    )
    assert "hush" not in said
    assert "SAID 1 PermissionError" in said or not BOX
    [*listed] = re.findall("SAID descriptors (.*)", said)
    # the pipes, where answers go, the folder that is listed
    assert listed
    assert all(len(re.findall(r"'(\d+)'", line)) <= 5 for line in listed)
    assert "SAID 3 MemoryError" in said


FORBIDDEN = (
    "Path('fixtures/desk/triage.yaml').write_text('x')",
    "Path(REPO, 'baselines', 'x.json').write_text('x')",
    "Path(REPO, 'fixtures', 'x.yaml').write_text('x')",
    "os.truncate(Path(REPO, 'outputs.jsonl'), 0)",
    "os.rename(Path(REPO, 'fixtures'), Path(REPO, 'gone'))",
    "import tunegate; open(tunegate.__file__, 'a').close()",
    "open(Path(sys.prefix, 'probe.txt'), 'a').close()",
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import socket; socket.socket(socket.AF_UNIX)",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "os.kill(os.getppid(), 9)",
    "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "os.chmod(Path(REPO, 'outputs.jsonl'), 0o777)",
    "os.utime(Path(REPO, 'outputs.jsonl'), (1, 1))",
    "import fcntl; fcntl.flock(open(Path(REPO, 'outputs.jsonl')), fcntl.LOCK_EX)",
    "os.setsid()",
)


@pytest.mark.skipif(not BOX, reason="this system has no Landlock, or no seccomp that is known here")
def test_what_a_check_may_not_do(own):
    here = repr(str(Path.cwd()))
    said = probe(*(code.replace("REPO", here) for code in FORBIDDEN))

    once = len(re.findall(r"SAID 0 ", said))  # for it is loaded by each set of rules
    for number, code in enumerate(FORBIDDEN):
        found = re.findall(rf"SAID {number} (\w+)", said)
        assert found == ["PermissionError"] * once != [], code
    assert "gate: passes" in said


def test_a_check_finds_the_files_of_the_rules_that_it_belongs_to(own):
    Path("allowed.txt").write_text("60")
    Path("checks.py").write_text(OWN.replace("< 60", "< int(open('allowed.txt').read())"))
    commit_to_main("what a check reads")
    Path("allowed.txt").write_text("6000")
    edit(lambda data: None, "brief.yaml")
    lines = [json.loads(line) for line in Path("outputs.jsonl").read_text().splitlines()]
    long = [each | {"output": "y" * 600} if "/brief/" in each["case"] else each for each in lines]
    Path("outputs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in long))
    done = gate()
    assert done.exit_code == 1, done.output
    assert "by the rules of main: blocked by desk/brief" in done.output
    assert "by the rules of this change: passes" in done.output


def test_what_a_check_prints_is_no_workflow_command(own):
    said = probe("print('::set-output name=code::0', file=sys.stderr); print('\\x1b[2J::stop-commands::x')")
    assert not [line for line in said.splitlines() if line.startswith("::") or "\x1b" in line]


def test_a_check_that_is_another_one_when_it_runs_than_it_declares_is_refused(own):
    other = "\nimport dataclasses\nCHECKS['short'] = dataclasses.replace(CHECKS['short'], version=2)\n"
    Path("checks.py").write_text(OWN + other)
    commit_to_main("it says one thing and is another")
    done = gate()
    assert done.exit_code == 4
    assert "expected a kind of check that matches its declaration, found another version when it runs" in done.output


# what decides stays as it is


@pytest.mark.parametrize("file", ["fixtures/desk/triage.yaml", "outputs.jsonl"])
def test_a_file_that_changes_while_the_gate_runs_ends_it_with_its_name(own, file, monkeypatch):
    from tunegate.harness.review.change import decide

    inner = decide._decided_by

    def meddle(*given):
        path = Path(file)
        text = path.read_text()
        path.write_text(text + " ")
        path.write_text(text)  # and back
        return inner(*given)

    monkeypatch.setattr(decide, "_decided_by", meddle)
    done = gate()
    assert done.exit_code == 4, done.output
    assert f"{file}: changed while the gate ran; nothing was decided" in done.output.replace("\n", " ")


# no command but evaluation imports them


SCORE_NOTHING = (
    "lint", "plan", "prompts", "schema fixture", "report record.json", "ledger",
    "report decision.json --html=page.html",
)  # fmt: skip


def test_commands_that_score_nothing_run_no_check(own):
    assert gate("--out=record.json", "--decision=decision.json", since=None).exit_code == 0
    Path("checks.py").write_text(OWN + "\nraise SystemExit('RAN')\n")
    for command in SCORE_NOTHING:
        done = invoke(*command.split())
        assert done.exit_code == 0, done.output
        assert "RAN" not in done.output


def test_lint_holds_fixtures_to_the_schema_that_checks_declare(own):
    words = {"type": "object", "required": ["words"], "properties": {"words": {"type": "integer"}}}
    Path("checks.py").write_text(f"OPTIONS = {words}\n" + OWN.replace("options={}", "options=OPTIONS"))
    done = invoke("lint")
    assert done.exit_code == 4
    assert "words" in done.output


def test_bytecode_beside_the_source_does_not_run(own):
    import py_compile

    Path("evil.py").write_text(RAN + PASSES_ALL)
    name = f"__pycache__/checks.{sys.implementation.cache_tag}.pyc"
    py_compile.compile("evil.py", name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    done = run("--policy-from=main")
    assert done.returncode == 0, done.stderr
    assert "RAN" not in done.stdout + done.stderr


def test_nothing_that_a_check_started_outlives_it(own):
    probe("import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987)'])")
    said = probe("import subprocess; subprocess.Popen(['sleep', '1'], start_new_session=True)")
    assert "SAID 0 PermissionError" in said or not BOX
    time.sleep(0.5)
    every = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in every if b"sleep(987)" in line]


# git, as a change would lead it


@pytest.mark.parametrize("folder", ["baselines", "fixtures"])
def test_a_repository_among_the_files_of_a_change_is_not_asked(repository, folder):
    place = Path(folder)
    (place / "objects").mkdir(parents=True)
    (place / "refs/remotes/origin").mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/heads/main\n")
    (place / "refs/remotes/origin/main").write_text("1" * 40 + "\n")
    (place / "config").write_text(
        "[core]\nrepositoryformatversion = 1\nbare = true\n[extensions]\npartialclone = evil\n"
        '[remote "evil"]\nurl = .\npromisor = true\nuploadpack = "touch hacked; false"\n'
    )
    git("update-ref", "refs/remotes/origin/main", "main")
    done = run("--policy-from=origin/main")
    assert not list(Path().rglob("hacked"))
    if folder == "baselines":
        assert done.returncode == 3
        assert "baselines: expected a folder of the project, found one that git takes for a repository" in done.stderr


def test_a_ledgers_remote_that_a_change_names_is_not_told_anything(repository, tmp_path):
    git("init", "-q", "--bare", "counts")
    hook = Path("counts/hooks/pre-receive")
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hacked\n")
    hook.chmod(0o755)
    Path("pyproject.toml").write_text('[tool.tunegate]\nledger-remote = "./counts"\n')
    from tunegate.harness.review.change import decide

    seen = []
    inner = decide._decided_by
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide, "_decided_by", lambda *given: (seen.append(given[1].ledger_remote), inner(*given))[1])
        assert gate().exit_code == 1
    assert seen == [None, None]
    assert not (tmp_path / "hacked").exists()


def test_a_link_in_a_circle_is_a_clear_error(repository):
    for path in map(Path, (".tunegate", "fixtures/desk/triage.yaml", "fixtures", "baselines")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(path.name)
        done = gate()
        assert done.exit_code in (3, 4), done.output
        assert "unexpected" not in done.output
        path.unlink()


def test_settings_that_are_a_link_out_of_the_project_are_refused(repository, tmp_path):
    shutil.move("pyproject.toml", tmp_path / "elsewhere.toml")
    Path("pyproject.toml").symlink_to(tmp_path / "elsewhere.toml")
    done = gate()
    assert done.exit_code == 4
    assert "settings: expected pyproject.toml to lie in the project" in done.output.replace("\n", " ")
