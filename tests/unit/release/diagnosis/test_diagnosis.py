from __future__ import annotations

import io
from dataclasses import replace

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from tests.support.records import record, write_desk
from tests.support.units import write_unit
from tests.unit.release.diagnosis.test_ladder import Scripted
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.baselines.diagnosed import RungResult, better_prompting
from tunegate.harness.history.baselines.matching import check_vanished
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.release.diagnosis.diagnosis import (
    Diagnosis,
    Recommendation,
    diagnose_task,
    optimise,
    read_diagnosis,
    write_diagnosis,
)
from tunegate.harness.release.diagnosis.optimised import Optimisation, OptimisedPrompt, Spent, keep_prompts
from tunegate.harness.release.diagnosis.recommendation import rungs
from tunegate.harness.release.diagnosis.render import print_diagnosis

FOUND = Diagnosis(
    "desk", {"model": "tiny-12345678", "base": "b" * 64, "rung": "as-is"}, {"backend": "transformers"}, None, 40, 0,
    questions={"desk/triage": {"inputs": "x"}},
    units={
        "desk/triage": Recommendation("fine-tune for cost", "Fine-tune for cost: ...", 0.9, (
            RungResult("as-is", 40, 0.0, 0.0, 60.0),
            RungResult("few-shot", 40, 0.95, 1.0, 330.0, 0.95, (0.8, 0.99), better=True, cut=3),
        )),
        "desk/facts": Recommendation("retrieval", "Retrieval: ...", 0.9, (RungResult("as-is", 40, 0.1, 0.1, None),)),
    },
    unpromptable=("desk/passages",),
)  # fmt: skip


SPENT, REFLECTED = Spent(120, 30_000, 1.5), Spent(9, None, 3.0)
PROMPT = OptimisedPrompt(
    "triage.yaml", "Sort it.", "Sort the message. It's JSON: {\"product\": ...}\n\nNo more.", 60, 40, 0.1, 0.45, 390, 9,
    {"empty": 2}, 1, SPENT, REFLECTED,
)  # fmt: skip
OPTIMISED = replace(FOUND, optimised=Optimisation(
    "./critic", 400, 0, {"rows.jsonl": "a" * 64}, {"too similar to a case": 3},
    {"desk/triage": PROMPT, "desk/facts": replace(PROMPT, system="Sort it.", score=0.1, repeats=0)},
    {"desk/other": "the goal is met as it is"},
))  # fmt: skip


@pytest.mark.parametrize(("right", "said"), [(94, True), (95, False)])
def test_an_adapter_is_set_beside_the_best_prompting_strategy(tmp_path, right, said):
    write_desk(tmp_path / "fixtures", 100)
    made = record(load_tasks(tmp_path / "fixtures"), {"desk/triage": "1" * right + "0" * (100 - right)})
    made = replace(made, fingerprint=made.fingerprint | {"subject": FOUND.subject}, adapter="adapters/a")
    write_diagnosis(tmp_path, FOUND)
    line = (
        "desk/triage: this adapter has 94.0 %, the base has 95.0 % of 40 cases with the prompting strategy few-shot "
        "(tunegate diagnose)"
    )
    assert better_prompting(made, tmp_path) == ([line] if said else [])
    assert better_prompting(replace(made, adapter=None), tmp_path) == []
    assert better_prompting(made, tmp_path / "elsewhere") == []


def test_an_optimised_prompt_is_written_and_read_again(tmp_path):
    assert read_diagnosis(write_diagnosis(tmp_path, OPTIMISED)) == OPTIMISED


def test_an_optimised_prompt_is_kept_as_a_fixture_file_takes_it(tmp_path):
    [(unit, path)] = keep_prompts(OPTIMISED.optimised, tmp_path).items()

    assert (unit, path) == ("desk/triage", tmp_path / "desk/triage.prompt.yaml")
    assert yaml.safe_load(path.read_text("utf-8")) == {"prompt": {"system": PROMPT.system}}
    write_unit(tmp_path / "fixtures", ["a"], **yaml.safe_load(path.read_text("utf-8")))
    [task] = load_tasks(tmp_path / "fixtures")
    assert task.units[0].configuration.prompt.system == PROMPT.system
    assert keep_prompts(None, tmp_path) == {}


def printed(found: Diagnosis) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    print_diagnosis(console, found)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_without_a_reflecting_model_it_says_so():
    assert "optimised: skipped, name a reflecting model with --optimise-with." in printed(FOUND)


def test_what_an_optimised_prompt_cost_and_what_it_changes_is_shown():
    lines = printed(OPTIMISED)

    at = lines.index("optimised: rows that were left out: 3 too similar to a case.")
    cost = (
        "390 row evaluations, 120 requests, 30,000 tokens, 1.5 minutes; "
        "./critic: 9 requests, tokens unknown, 3.0 minutes."
    )
    assert lines[at + 1 : at + 5] == [
        "desk/other: optimised: skipped, the goal is met as it is.",
        "desk/triage: optimised: a prompt takes 40 validation rows from 10.0 % to 45.0 %, 9 proposed "
        f"(7 tried, 2 empty); {cost}",
        "desk/triage: the optimised prompt repeats the output of 1 row verbatim.",
        f"desk/facts: optimised: no better prompt found on 40 validation rows, 9 proposed (7 tried, 2 empty); {cost}",
    ]
    at = lines.index("desk/triage: its system prompt, optimised ([-removed-], {+added+}):")
    assert lines[at + 1 : at + 4] == [
        '    Sort [-it-]{+the message. It\'s JSON: {"product": ...}',
        "",
        "    No more+}.",
    ]
    assert lines[at + 4].startswith(
        "To use it, copy `prompt: system:` from .tunegate/diagnose/desk/triage.prompt.yaml into desk/triage.yaml."
    )


class Rewriting:
    """An optimiser with a prompt for each unit that it is given."""

    reflecting = "critic"

    def __call__(self, units, model, reflecting, watch):
        found = {unit.key: replace(PROMPT, before="Sort it.", system="cold radiator") for unit in units}
        return Optimisation(self.reflecting, 400, 0, {}, {}, found, {})


def test_an_optimised_prompt_is_scored_on_the_cases_of_units_below_their_goal(tmp_path):
    write_desk(tmp_path, 5, prompt={"system": "Sort it."})
    write_desk(tmp_path, 5, "done", prompt={"system": "For a cold radiator."})
    [task] = load_tasks(tmp_path)
    model = Scripted("as-is", "cold radiator")
    first = evaluate(task.units, model, quiet(), partial=True)

    found, scored = optimise(task, task.units, first, Rewriting(), model, model, quiet())

    assert found.skipped == {"desk/done": "the goal is met as it is"}
    assert {key: each.mean for key, each in scored.units.items()} == {"desk/triage": 1.0}
    assert first.units["desk/triage"].mean == 0.0
    assert scored.questions["desk/triage"] == first.questions["desk/triage"]
    assert scored.configurations["desk/triage"]["system"] == "cold radiator"
    [unit] = [unit for unit in task.units if unit.name == "triage"]
    assert [(each.rung, each.mean) for each in rungs(unit, {"as-is": first, "optimised": scored})] == [
        ("as-is", 0.0), ("optimised", 1.0)
    ]  # fmt: skip


@pytest.mark.parametrize(("options", "says"), [
    ([], "--optimise-with: expected training rows, found none; add --rows FILE.jsonl or a recipe"),
    (["--rows=rows.jsonl"], "--optimise-with: expected one task, found 2 (desk, mail); name the one of the rows"),
    (["--rows=recipe.yaml", "desk"], "recipe.yaml: task: expected desk, found mail; name its own recipe"),
    (["--rows=rows.jsonl", "--optimise-budget=5"], "--optimise-budget"),
])  # fmt: skip
def test_rows_that_no_prompt_can_be_optimised_on(tmp_path, monkeypatch, options, says):
    pytest.importorskip("gepa")
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 2)
    write_unit(tmp_path / "fixtures", ["a"], task="mail")
    (tmp_path / "rows.jsonl").write_text('{"unit": "triage", "input": "It drips.", "output": "boiler"}\n')
    (tmp_path / "recipe.yaml").write_text("{version: 1, task: mail, rows: [rows.jsonl], output: tuned}")

    done = CliRunner().invoke(app, ["diagnose", "--optimise-with=critic", *options])

    assert done.exit_code in (2, 4), done.output
    assert says in done.stderr


def test_written_and_read_again(tmp_path):
    path = write_diagnosis(tmp_path, FOUND)
    assert path == tmp_path / "tiny-12345678/desk/diagnosis.json"
    assert read_diagnosis(path) == FOUND
    before = path.read_bytes()
    write_diagnosis(tmp_path, FOUND)
    assert path.read_bytes() == before


def test_only_a_fine_tune_is_no_cheaper_remedy():
    assert list(FOUND.cheaper) == ["desk/facts"]


def test_a_file_that_is_not_as_it_was_written(tmp_path):
    for spoil, says in [
        (lambda path: path.unlink(), "expected a diagnosis at .*, found none; run: tunegate diagnose"),
        (lambda path: path.write_text("{}"), "expected a diagnosis, found"),
        (lambda path: path.write_text("[1]"), "expected a diagnosis, found"),
        (lambda path: path.write_text(path.read_text().replace('"retrieval"', '"prompt"')), "found it edited"),
    ]:
        path = write_diagnosis(tmp_path, FOUND)
        spoil(path)
        with pytest.raises(Refused, match=says):
            read_diagnosis(path)


def test_it_is_no_baseline_of_a_vanished_unit(tmp_path):
    write_diagnosis(tmp_path / "baselines", FOUND)
    check_vanished(tmp_path / "baselines", "tiny-12345678", ())


def test_shown():
    console = Console(file=io.StringIO(), width=80)
    print_diagnosis(console, FOUND)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[3] == "desk/triage"
    assert lines[4].split() == ["as-is", "40", "0.0", "%", "0.0", "%", "60", "1.0"]
    assert lines[5].split() == ["few-shot", "40", "100.0", "%", "95.0", "%", "+95.0", "[+80.0,", "+99.0]", "330", "5.5"]
    assert "desk/facts: Retrieval: ..." in lines
    assert "Not diagnosed: desk/passages." in lines


def test_an_unknown_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 2)
    done = CliRunner().invoke(app, ["diagnose", "dask"])
    assert done.exit_code == 4
    assert "task 'dask': expected one of desk; did you mean 'desk'?" in done.stderr


def test_nothing_to_diagnose(tmp_path):
    write_unit(tmp_path, ["one"], sealed=True)
    [task] = load_tasks(tmp_path)
    with pytest.raises(Refused, match="desk: expected a unit that generates and is not sealed, found none"):
        diagnose_task(task, "smollm2", None, quiet())
