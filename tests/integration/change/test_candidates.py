"""Changes of the configuration: prompts, decoding and models are candidates, compared with what is in service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import FaultServer, Handler, reply, serving
from tests.support.gated import BAD, GOOD, commit_to_main, edit, git, invoke, ok
from tests.support.records import write_policy
from tests.support.units import write_unit

CASES = 120
IN_SERVICE, REWORDED, BETTER, WORSE = "Sort the ticket.", "Please sort the ticket.", "Sort it; think.", "Sort."
#: How many cases a prompt gets right, from the first on, and those that it gets wrong besides.
RIGHT: dict[str, tuple[int, set[int]]] = {
    IN_SERVICE: (110, set()), REWORDED: (110, {7}), BETTER: (119, set()), WORSE: (91, set()),
}  # fmt: skip


def act(handler: Handler, body: dict[str, Any]) -> None:
    """A model that is right as often as its prompt deserves; the smaller one is right less often."""
    texts = {each["role"]: each["content"] for each in body["messages"]}
    most, but = RIGHT.get(texts.get("system", ""), (60, set()))
    most -= 30 if body["model"] == "small" else 0
    most -= 25 if body.get("temperature") else 0
    number = int(texts["user"].rpartition(" ")[2]) if texts["user"][-1:].isdigit() else -1
    output = GOOD if number < most and number not in but else BAD
    handler.send(json.dumps(reply(body, output, model=body["model"])))


@pytest.fixture
def server(monkeypatch) -> Iterator[FaultServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(act) as served:
        yield served


@pytest.fixture
def desk(server, tmp_path, monkeypatch) -> Path:
    """A repository whose model is behind an address, with the record of what is in service on main."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    cases = [{"id": f"c{n:03}", "input": f"ticket {n}", "expect": {"product": "boiler"}} for n in range(CASES)]
    write_unit(Path("fixtures"), [], cases=cases, prompt={"system": IN_SERVICE})
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.05})
    settings(server.model)
    Path(".gitignore").write_text(".tunegate/\n*.lock\n")
    ok("record")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")
    return tmp_path


def settings(model: str, **more: str) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"model": model, **more}.items()]
    Path("pyproject.toml").write_text("\n".join(["[tool.tunegate]", *lines, ""]))


def prompt(text: str) -> None:
    edit(lambda data: data.update(prompt={"system": text}))


def gate(*options: str) -> dict[str, Any]:
    done = invoke("gate", "--policy-from=main", "--json", *options)
    assert done.exit_code in (0, 1, 4), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.exit_code == 0) == found["passes"]
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {each["rules"]: each["verdicts"]["desk/triage"] for each in found["by_rules"]}


def test_the_first_record_is_in_service(desk):
    said = ok("ledger")
    assert "in service" in said


@pytest.mark.parametrize(
    ("text", "passes", "verdict"),
    [(IN_SERVICE, True, "held"), (REWORDED, True, "held"), (BETTER, True, "held"), (WORSE, False, "regressed")],
)
def test_an_edited_prompt_is_compared_with_what_is_in_service(desk, text, passes, verdict):
    prompt(text)
    found = gate()
    assert (found["passes"], found["modified"], found["approve"]) == (passes, [], "")
    assert verdicts(found) == {"the rules of main": verdict, "the rules of this change": verdict}
    edited = [] if text == IN_SERVICE else [
        {"unit": "desk/triage", "part": "system", "before": IN_SERVICE, "now": text}
    ]  # fmt: skip
    assert found["configuration"] == edited


def test_a_raised_temperature_and_another_model_are_compared_too(desk, server):
    edit(lambda data: data["generate"].update(temperature=1.0))
    hot = gate()
    assert (hot["passes"], hot["modified"]) == (False, [])
    assert hot["configuration"] == [{"unit": "desk/triage", "part": "temperature", "before": "0.0", "now": "1.0"}]

    edit(lambda data: data["generate"].pop("temperature"))
    small = server.model.replace("#tuned", "#small")
    settings(small)
    other = gate(f"--model={small}")
    assert (other["passes"], other["modified"]) == (False, [])
    assert other["configuration"] == [{"unit": "", "part": "model", "before": server.model, "now": small}]
    assert set(verdicts(other).values()) == {"regressed"}


def test_two_at_once_are_both_named(desk):
    prompt(BETTER)
    edit(lambda data: data["generate"].update(max_new_tokens=64))
    assert [each["part"] for each in gate()["configuration"]] == ["system", "max_new_tokens"]


def test_a_record_of_the_change_is_never_the_reference_and_serves_after_the_merge(desk):
    prompt(WORSE)
    ok("record")
    worse = gate()
    assert not worse["passes"]
    assert (worse["modified"], worse["untrue"]) == ([], [])
    assert verdicts(worse) == {"the rules of main": "regressed", "the rules of this change": "regressed"}

    prompt(REWORDED)
    ok("record")
    found = gate()
    assert found["passes"], found
    assert found["added"] == ["desk/triage: this change's record is in service after the merge"]
    commit_to_main("reworded")
    prompt(WORSE)
    assert not gate()["passes"]


def test_a_record_that_the_gate_does_not_find_so_blocks(desk):
    """A record that is lower than the truth would let worse prompts pass later."""
    prompt(WORSE)
    ok("record")
    text = {path: path.read_text() for path in Path("baselines").rglob("*") if path.is_file()}
    prompt(BETTER)
    ok("record")
    [worse] = [each for each in text if each.name == "triage.json"]
    forged = json.loads(text[worse])
    forged["configuration"] = json.loads(worse.read_text())["configuration"]
    assert not gate()["untrue"]

    from tunegate.harness.core.files import stamped
    from tunegate.harness.ledger.ledger import Event, append

    forged.pop("digest")
    forged = stamped(forged)
    worse.write_text(json.dumps(forged))
    for kind in ("recorded", "serves"):
        append(Path("baselines"), Event(kind, "desk", forged["subject"], {"desk/triage": forged["digest"]}))
    found = gate()
    assert not found["passes"]
    assert found["untrue"] == [
        "desk/triage: the record of this change (baselines/tuned-"
        f"{worse.parent.parent.name[-8:]}/desk/triage.json) has 75.8 %, and the gate finds 99.2 %; record it again: "
        "tunegate record --fresh"
    ]


def test_another_host_is_a_rule_and_nothing_is_sent_there_before_it_is_approved(desk):
    with serving(act) as elsewhere:
        settings(elsewhere.model)
        found = gate(f"--model={elsewhere.model}")
        assert not found["passes"]
        assert [line.partition(" model:")[0] for line in found["modified"]] == ["[tool.tunegate]"]
        assert found["by_rules"] == []
        assert elsewhere.asked == []


def test_ten_merges_of_half_a_margin_are_stopped_by_the_anchor(desk):
    """Each prompt loses half a margin more: each is held of the one before, and the sum is not."""
    write_policy(Path("fixtures"), triage={"role": "target", "margin": 0.15})
    ok("record")
    commit_to_main("a margin")
    outcomes = []
    for step in range(1, 11):
        text = f"Sort the ticket. Step {step}."
        RIGHT[text] = (110 - 9 * step, set())
        prompt(text)
        outcomes.append(gate()["passes"])
        if not outcomes[-1]:
            break
        ok("record")
        commit_to_main(f"step {step}")
    assert 1 < len(outcomes) < 10
    said = invoke("gate", "--policy-from=main")
    assert "the anchor" in said.output


def test_the_comment_shows_the_prompt_and_both_scores(desk, tmp_path):
    prompt(WORSE)
    assert invoke("gate", "--policy-from=main", "--decision=d.json").exit_code == 1
    said = ok("report", "d.json", "--markdown")
    assert "**This change edits the configuration**" in said
    assert "- desk/triage: system: Sort the ticket. → Sort." in said
    assert "| 91.7 % | 75.8 % |" in said


def test_the_terminal_names_what_is_edited_first(desk):
    prompt(WORSE)
    said = invoke("gate", "--policy-from=main").stdout
    assert said.startswith("1 part of the configuration edited: compared with what is in service\n")
    assert "  desk/triage: system: Sort the ticket. -> Sort." in said


def test_a_guard_that_is_held_at_a_late_run_says_so_on_terminal_and_comment(desk):
    write_policy(Path("fixtures"), triage={"margin": 0.15})
    ok("record")
    commit_to_main("a guard")
    for step in range(1, 5):
        text = f"Please sort the ticket, {step}."
        RIGHT[text] = (110, {step})
        prompt(text)
        done = invoke("gate", "--policy-from=main", "--decision=d.json")
        assert done.exit_code == 0, done.output
        assert ("Held at the" in done.output) == (step == 4)
    said = ok("report", "d.json", "--markdown")
    worth = "of 4 candidates that each lose the whole margin, one or more is held 15 % of the time"
    assert f"Held at a late run of its cases: desk/triage at the 4th; {worth}" in said
    prompt(REWORDED)
    assert "at the 5th" in invoke("gate", "--policy-from=main").output
    assert "at the 5th" in invoke("gate", "--policy-from=main").output  # a repeated run is no further one
