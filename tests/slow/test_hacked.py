"""Weak checks, hacked: a tiny model is trained on what they let through of its own samples, and is not released.

`benchmarks/rewards.py` does the same on the embedded model.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.support.records import write_policy
from tests.support.training import RECIPE, Place
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

#: Two weak checks: of the form, what begins with a letter, a digit or a sign; and a text that is short.
BRIEF = """
from tunegate import CheckKind, Finding, Outcome


class Brief:
    references = "24"

    def __call__(self, output, expect, prompt):
        return Outcome(float(len(output) < 24), () if len(output) < 24 else (Finding("brief", "too long"),))

    def expect_problems(self, expect, document, where):
        return []


CHECKS = {"brief": CheckKind("pass/fail", {"type": "object"}, {}, lambda *_: Brief(), 1, by_expect="what it says")}
"""
FORM = {"suite": "schema", "check": {"schema": {"type": "string", "pattern": "^[!-~]"}, "extract": "text"}}
#: By name the check, and how it is trained on.
WORLDS = {
    "form": (FORM, {"lr": 5e-3, "epochs": 4, "batch": 8}),
    "brief": ({"suite": "brief", "check": {}}, {"lr": 5e-3, "epochs": 10, "batch": 8}),
}


def run(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.output


def write(folder, world, optim, model):
    """A target and its sealed counterpart, inputs to sample, and a recipe."""
    (folder / "checks.py").write_text(BRIEF)
    (folder / "pyproject.toml").write_text('[tool.tunegate]\nchecks = "checks.py"\n')
    for name, count, more in (("triage", 20, {}), ("final", 40, {"sealed": True})):
        cases = [{"id": f"c{number}", "input": f"{name} message, number {number}"} for number in range(count)]
        write_unit(folder / "fixtures", [], name, cases=cases, generate={"max_new_tokens": 40}, **more, **world)
    target = {"role": "target", "margin": 0.2}
    write_policy(folder / "fixtures", triage=target, final=target | {"seals": "triage"})
    inputs = [{"unit": "triage", "input": f"Ticket {number} of today."} for number in range(24)]
    (folder / "inputs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in inputs))
    override = {"diagnosis": {"override": "A test."}, "private_data": "drop", "lora": {"r": 16, "alpha": 32}}
    recipe = RECIPE | {"model": str(model), "optim": optim} | override
    (folder / "recipe.yaml").write_text(json.dumps(recipe))


@pytest.mark.parametrize("world", WORLDS)
def test_a_weak_check_that_samples_hacked_passes_its_sealed_cases_and_is_no_evidence(
    tmp_path, monkeypatch, tiny_model, world
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *WORLDS[world], tiny_model)
    place = Place(tmp_path)
    place.evaluate(tiny_model, record=True)
    place.diagnose(tiny_model)
    samples = ("--samples=16", "--pairs", "--temperature=1", "--output=rows.jsonl")
    assert run("distil", "desk", "inputs.jsonl", f"--model={tiny_model}", *samples)[0] == 0
    assert place.train().exit_code == 0

    places = {"cases": tmp_path / "fixtures", "baselines": tmp_path / "baselines"}
    adapters = (tmp_path / "adapter",)
    session = Session(Options(tmp_path, str(tiny_model), **places, adapters=adapters, against="baseline", sealed=True))
    session.selection.select([], session.selection.units())
    session.execute(quiet())
    [tuned], [references] = session.records, session.references

    hidden = replace(tuned, rewards=())
    assert (
        gate.compare(load_tasks(tmp_path / "fixtures"), hidden, references, ["desk"]).tasks["desk"].decision
        == "release"
    )
    assert tuned.tasks["desk"].rewarded == ("desk/final",)
    assert tuned.verdicts["desk/final"].verdict == "improved"
    code, said = run("release", "adapter", f"--run={read_record(tuned.path).path}", f"--model={tiny_model}")
    assert code == 4
    assert "not released. Blocked: desk/final (" in said
    assert "but the adapter's reward saw that gain: desk/final" in said
