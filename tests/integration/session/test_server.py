"""A server under pytest and the gate: scored, recorded, gated, reported; what is kept, and what is never kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from tests.support.fault_server import GOOD, FaultServer, answers, drops, finds, says, serving, stalls
from tests.support.gated import git
from tests.support.project import Project
from tunegate.harness.cli.main import app
from tunegate.harness.models.served import http_client

IDS = [f"case{number:02}" for number in range(12)]
BAD = answers("a boiler")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with serving(answers()) as server:
        yield server


@pytest.fixture
def desk(project: Project, server: FaultServer) -> Project:
    """Twelve cases with a wide margin, and the server as the project's model."""
    project.unit(IDS)
    project.policy(triage={"role": "guard", "margin": 0.5})
    settings = f'[tool.tunegate]\nmodel = "{server.model}"\ndeadline = 2\n'
    (project.path / "pyproject.toml").write_text((project.path / "pyproject.toml").read_text() + settings)
    return project


def asked(server: FaultServer) -> int:
    """Requests since the last look, the probe left out."""
    found = sum(each.body["messages"][-1]["content"] != "Hello." for each in server.asked)
    server.asked.clear()
    return found


def test_it_is_scored_recorded_gated_and_reported(desk, server):
    assert desk.run("--tg-record").ret == 0
    held = desk.run("--tg-against=baseline", "--tg-out=record.json")
    assert (held.ret, desk.record()["verdicts"]["desk/triage"]["verdict"]) == (0, "held")
    server.then = BAD
    blocked = desk.run("--tg-against=baseline", "--tg-out=record.json")

    assert (blocked.ret, desk.record()["verdicts"]["desk/triage"]["verdict"]) == (1, "regressed")
    [baseline] = desk.path.glob("baselines/tuned-*/desk/triage.json")
    assert json.loads(baseline.read_text())["engine"]["backend"] == "openai"
    reported = CliRunner().invoke(app, ["report", str(desk.path / "record.json")])
    assert "regressed" in reported.stdout


def test_outputs_of_a_strange_end_are_unscored_and_the_run_says_why(desk, server):
    server.then = finds("end_turn")
    done = desk.run("--tg-record")
    assert done.ret != 0
    done.stdout.fnmatch_lines(["*12 outputs ended with the finish_reason end_turn; expected stop or length*"])


def test_the_gate_decides_on_it(desk, server, monkeypatch):
    monkeypatch.chdir(desk.path)
    assert desk.run("--tg-record").ret == 0
    held = CliRunner().invoke(app, ["gate"])
    server.then = BAD
    blocked = CliRunner().invoke(app, ["gate"])

    assert (held.exit_code, blocked.exit_code) == (0, 1), held.output + blocked.output


def test_its_answers_are_kept_and_that_is_told_but_a_gate_asks_again(desk, server):
    counts = [asked(server) for _ in range(2) if desk.run("--tg-record", "-q").ret == 0]
    assert f"12 outputs of {server.model} come from the cache; --tg-fresh runs it again" in desk.run().stdout.str()
    counts += [asked(server) for _ in range(2) if desk.run("--tg-against=baseline", "-q").ret == 0]
    desk.run("--tg-fresh")

    assert [*counts, asked(server)] == [12, 0, 12, 12, 12]


@pytest.mark.parametrize(
    ("fault", "code"), [(stalls, 3), (drops, 3), (says("no"), 3), (says("", 500), 3), (answers(model="other"), 4)]
)
def test_a_fault_leaves_no_record_and_the_same_command_goes_on(desk, server, fault, code):
    server.script = [answers()] * 6  # the probe and five cases
    server.then = fault
    (desk.path / "pyproject.toml").write_text((desk.path / "pyproject.toml").read_text() + "in-flight = 1\n")
    broken = desk.run("--tg-record")

    assert broken.ret == code, broken.stderr.str()
    assert (desk.runs(), list(desk.path.glob("baselines/*/desk/*"))) == ([], [])
    asked(server)
    server.then = answers()
    assert desk.run("--tg-record").ret == 0
    assert asked(server) == 7


def test_a_gate_that_a_fault_ended_goes_on_and_the_next_one_asks_anew(desk, server):
    assert desk.run("--tg-record").ret == 0
    server.script = [answers()] * 6  # the probe and five cases
    server.then = says('{"error": {"message": "No credit.", "code": "insufficient_quota"}}', 429)
    (desk.path / "pyproject.toml").write_text((desk.path / "pyproject.toml").read_text() + "in-flight = 1\n")
    broken = desk.run("--tg-against=baseline")
    asked(server)
    server.then = answers()
    gone_on = desk.run("--tg-against=baseline")

    assert (broken.ret, gone_on.ret) == (3, 0), broken.stderr.str()
    assert "desk/triage/case05: " in broken.stdout.str()
    assert "status 429: No credit; the account has no quota left" in broken.stdout.str()
    assert "it resumes with its own outputs" in gone_on.stdout.str()
    assert asked(server) == 7
    assert desk.run("--tg-against=baseline").ret == 0
    assert asked(server) == 12


def test_a_gate_that_was_refused_before_it_asked_counts_nothing_that_came_later(desk, server):
    assert desk.run("--tg-against=baseline").ret == 4  # there is none yet
    assert desk.run("--tg-record").ret == 0
    asked(server)
    server.then = BAD

    assert desk.run("--tg-against=baseline").ret == 1
    assert asked(server) == 12


@pytest.mark.parametrize(("then", "now"), [("tuned", "tuned-2026-09-01"), ("tuned-2026-09-01", "tuned")])
def test_a_name_that_became_an_alias_or_is_none_any_more_is_told(desk, server, then, now):
    server.then = answers(model=then)
    assert desk.run("--tg-record").ret == 0
    server.then = answers(model=now)
    said = desk.run("--tg-against=baseline").stdout.str()

    names = ["that exact name" if each == "tuned" else each for each in (then, now)]
    assert f"the baseline is of {names[0]}, and {server.model} is {names[1]} now" in said


def test_what_cannot_be_gone_on_with_has_no_limit(desk, monkeypatch):
    monkeypatch.chdir(desk.path)
    for option in ("--fresh", "--noise"):
        refused = CliRunner().invoke(app, ["record", "--limit=5", option])
        assert refused.exit_code == 2
        assert "--limit: expected it without --fresh and --noise" in refused.output


def test_what_is_asked_again_or_twice_is_reckoned_so(desk, monkeypatch):
    monkeypatch.chdir(desk.path)
    assert desk.run("--tg-record").ret == 0
    said = {
        option: CliRunner().invoke(app, ["record", "--dry-run", *option.split()]).output
        for option in ("", "--fresh", "--noise")
    }

    assert "desk: 0 requests (12 more are cached)" in said[""]
    assert "desk: 12 requests: about " in said["--fresh"]
    assert "desk: 12 requests (12 more are cached): about " in said["--noise"]


def test_both_sides_of_a_change_evaluate_the_same_answers(desk, server, monkeypatch):
    assert desk.run("--tg-record").ret == 0
    asked(server)
    monkeypatch.chdir(desk.path)
    git("init", "-q", ".")
    git("add", "-A")
    git("commit", "-qm", "a baseline")
    git("commit", "-qm", "a change", "--allow-empty")
    held = CliRunner().invoke(app, ["gate", "--policy-from=HEAD~1"])

    assert held.exit_code == 0, held.output
    assert asked(server) == 12


def test_an_alias_that_leads_to_another_version_is_asked_again_and_told(desk, server):
    server.then = answers(model="tuned-2026-03-01")
    assert desk.run("--tg-record").ret == 0
    [baseline] = desk.path.glob("baselines/tuned-*/desk/triage.json")
    same = desk.run("--tg-against=baseline").stdout.str()
    asked(server)
    server.then = answers(model="tuned-2026-09-01")
    other = desk.run("--tg-against=baseline")

    told = "the baseline is of tuned-2026-03-01, and "
    assert json.loads(baseline.read_text())["served"] == "tuned-2026-03-01"
    assert (other.ret, told in same, told in other.stdout.str()) == (0, False, True)
    assert f"{server.model} is tuned-2026-09-01 now: a difference may come from the version" in other.stdout.str()
    asked(server)
    desk.run()  # what is kept is the new version's: of the old one's answers none counts
    assert asked(server) == 0


def test_it_is_recorded_by_a_command_that_says_first_what_it_takes(desk, server, monkeypatch):
    monkeypatch.chdir(desk.path)
    first = CliRunner().invoke(app, ["record", "--dry-run"])
    none = asked(server)
    some = CliRunner().invoke(app, ["record", "--limit=5"])
    five = asked(server)
    whole = CliRunner().invoke(app, ["record"])

    assert (first.exit_code, some.exit_code, whole.exit_code) == (0, 1, 0), some.output + whole.output
    assert (none, five, asked(server)) == (0, 5, 7)
    assert "desk: 12 requests: about " in first.output
    assert "cost unknown, as task.yaml declares no prices" in first.output
    assert "7 requests are left (--limit): run the same command again to continue" in some.output
    assert "desk/triage: NOT recorded, 7 of 12 cases are unscored" in some.output
    assert "desk: 7 requests (5 more are cached)" in whole.output
    assert "desk/triage: recorded 12 cases" in whole.output


def test_what_it_did_not_answer_is_unscored_and_asked_again(desk, server):
    server.then = answers(None)
    desk.run("--tg-out=record.json")

    assert desk.record()["units"]["desk/triage"]["unscored"] == 12
    asked(server)
    server.then = answers()
    assert desk.run("--tg-out=record.json").ret == 0
    assert (asked(server), desk.record()["cases"]["desk/triage/case00"]["output"]) == (12, GOOD)


def test_another_way_of_asking_is_another_engine(desk, tiny_model):
    assert desk.run("--tg-record").ret == 0
    other = desk.run("--tg-against=baseline", f"--tg-tokenizer={tiny_model}")

    assert other.ret == 0, other.stdout.str()
    assert "prompt chat messages (now token ids)" in other.stdout.str()


def test_a_key_stands_in_no_file_and_in_no_message(desk, server, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEGATE_API_KEY", key := "sk-not-to-be-seen")
    monkeypatch.setenv("TUNEGATE_API_HOST", server.address.removeprefix("http://"))
    server.then = answers(f'{{"product": "{key}"}}')
    shown = [desk.run("--tg-record"), desk.run("--tg-against=baseline")]
    server.then = says(f"not {key}", 401)
    shown.append(desk.run("--tg-against=baseline"))

    assert [each.ret for each in shown] == [0, 0, 3]
    assert all(key not in each.stdout.str() + each.stderr.str() for each in shown)
    files = [path for root in (desk.path, tmp_path) for path in root.rglob("*") if path.is_file()]
    assert sum(key.encode() in path.read_bytes() for path in files) == 0
    [store] = (tmp_path / "cache").glob("generations.sqlite")
    with sqlite3.connect(store) as kept:
        assert "[key]" in str(kept.execute("SELECT answer FROM generations").fetchone())


def test_a_baseline_that_is_recorded_anew_is_what_it_answers_now(desk, server):
    assert desk.run("--tg-record").ret == 0
    server.then = BAD
    assert desk.run("--tg-against=baseline").ret == 1
    assert desk.run("--tg-record").ret == 0

    [baseline] = desk.path.glob("baselines/tuned-*/desk/triage.json")
    assert json.loads(baseline.read_text())["summary"]["mean"] == 0.0


def test_it_is_diagnosed(desk, server, monkeypatch):
    monkeypatch.chdir(desk.path)
    server.then = BAD
    done = CliRunner().invoke(app, ["diagnose", "desk", "--sample=10", "--json"])

    assert done.exit_code == 0, done.output
    [found] = json.loads(done.stdout)
    assert found["engine"]["backend"] == "openai"
    assert "Think step by step." in server.asked[-1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tg-adapter=a"], "with --tg-adapter: name the adapter as the server does, instead of MODEL"),
        (["--tg-dtype=bfloat16"], "--tg-dtype with --tg-model openai:URL#MODEL: the server's settings apply"),
        (["--tg-chat-template=a.jinja"], "name its tokenizer, too (--tg-tokenizer)"),
        (["--tg-in-flight=0"], "--tg-in-flight: expected a whole number from 1, found 0"),
        (["--tg-deadline=-1"], "--tg-deadline: expected a whole number from 1, found -1"),
        (["--tg-timing"], "--tg-timing with --tg-model openai:URL#MODEL"),
        (["--tg-model=openai:nowhere"], "expected a name such as openai:http://localhost:8000/v1#my-model"),
    ],
)
def test_options_that_mean_nothing_with_it_are_refused(desk, options, said):
    result = desk.run(*options)

    assert result.ret == 4
    assert said in result.stderr.str()
