"""Every mistake of the table, made in a copy of a good project, is caught by name; without it the command passes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.kept import Kept
from tests.support.mistakes import MISTAKES, Mistake, page
from tests.support.paths import ROOT
from tests.support.project import INI
from tests.support.spoil import Place, Ran
from tests.support.units import write_outputs
from tunegate.harness.cli.main import app
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

PAGE = ROOT / "tests" / "golden" / "mistakes.md"
ROWS = {f"{title}: {row.what}": row for title, rows in MISTAKES.items() for row in rows}


# --- the good project

PROMPT = {"system": "Count."}
ADAPTERS = {"tuned": "7", "second": "3", "third": "5"}  # what each answers to everything; the base answers 1


def write(path: Path, **data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1))


def write_project(root: Path, model: Path) -> None:
    shutil.copytree(model, root / "model")
    shutil.copytree(ROOT / "suites", root / "suites", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text(f'{INI}\n[tool.tunegate]\nmodel = "model"\n')
    write_fixtures(root / "fixtures" / "desk")
    for name, digit in ADAPTERS.items():
        rows = [{"unit": "triage", "input": f"Ticket {n} asks for a number.", "output": digit} for n in range(8)]
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        write(root / f"{name}.yaml", version=1, task="desk", model="model", rows=[f"{name}.jsonl"], output=name, seed=3,
              lora={"r": 4, "alpha": 8}, optim={"lr": 5e-2, "epochs": 4, "batch": 8})  # fmt: skip


def write_fixtures(desk: Path) -> None:
    refs = desk / "refs"
    write(refs / "number.schema.json", type="integer", minimum=2, maximum=9)
    write(refs / "large.schema.json", type="integer", minimum=4)
    term = {"id": "digit", "preferred": "7", "forms": ["1", "3"], "banned": ["5"]}
    write(refs / "terms.yaml", version=1, language="en", terms=[term])
    write(refs / "voice.yaml", **read_yaml(ROOT / "fixtures" / "support" / "refs" / "voice.yaml").data)

    triage = [triage_case(number) for number in range(40)]
    write_unit(desk, "triage", suite="schema", check={"schema": "refs/number.schema.json"}, cases=triage)
    wording = [{"id": f"w{n:02}", "input": f"Write to house {n}.", "expect": {"terms": ["digit"]}} for n in range(20)]
    write_unit(desk, "wording", suite="vocabulary", check={"terms": "refs/terms.yaml"}, cases=wording)
    final = [{"id": f"f{n:02}", "input": f"How many radiators has flat {n}?"} for n in range(64)]
    write_unit(desk, "final", suite="schema", check={"schema": "refs/number.schema.json"}, cases=final, sealed=True)
    replies = [
        {"id": f"r{n}", "input": f"Reply to house {n}.", "expect": {"says": f"We'll be there on {day}."}}
        for n, day in enumerate(("Monday", "Tuesday", "Friday"))
    ]
    write_unit(desk, "replies", suite="voice", check={"references": "refs/voice.yaml"}, cases=replies, sealed=True)

    units = {
        "triage": {"role": "target", "margin": 0.2, "minimum_score": 0.5, "target_score": 0.9, "reason": "a test"},
        "wording": {"role": "guard", "margin": 0.2, "minimum_score": 0.5, "reason": "a test"},
        "replies": {"role": "guard", "margin": 0.99, "reason": "a test"},
        "final": {"role": "target", "margin": 0.2, "seals": "triage", "reason": "a test"},
    }
    write(desk / "task.yaml", version=1, units=units)


def write_unit(desk: Path, unit: str, **more: object) -> None:
    write(desk / f"{unit}.yaml", version=1, unit=unit, prompt=PROMPT, generate={"max_new_tokens": 1}, **more)


def triage_case(number: int) -> dict[str, object]:
    """Any number from 2 passes; from 4 in the last 16 of the 40 cases, one of which expects 7."""
    channel = "chat" if number < 8 else "email" if number < 16 else "phone"
    expected = {"check": {"schema": "refs/large.schema.json"}} if number >= 24 else {}
    expected |= {"expect": 7} if number == 39 else {}
    return {
        "id": f"c{number:02}", "input": f"How many boilers are in house {number}?", "tags": {"channel": channel},
        "critical": number == 20,
    } | expected  # fmt: skip


def teach(model: Path, token: str) -> None:
    """Let a model answer `token` where it now answers something else: swap two rows of its output layer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    turns = [{"role": "system", "content": PROMPT["system"]}, {"role": "user", "content": "How many?"}]
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt")
    rows = [int(base(**asked).logits[0, -1].argmax()), tokenizer.convert_tokens_to_ids(token)]
    output = base.lm_head.weight.data
    output[rows] = output[rows[::-1]]
    base.save_pretrained(model)


def evaluate(model: str, **options: object) -> Record:
    session = Session(Options(Path.cwd(), model, **options))
    session.selection.select([], session.selection.units())
    session.execute(quiet())
    return session.records[0]


def command(*arguments: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def good(kept: Kept, tiny_model: Path) -> Path:
    """The good project, to be copied."""
    return kept("good-project", lambda root: make_good(root, tiny_model))


def make_good(root: Path, tiny_model: Path) -> None:
    """Recorded, trained, judged, released."""
    write_project(root, tiny_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        teach(root / "model", "1")
        evaluate("model", record=True)
        command("diagnose", "--model=model")
        for name in ADAPTERS:
            command("train", f"{name}.yaml")
            evaluate("model", adapters=(Path(name),), against="baseline", sealed=True, out=Path(f"{name}.json"))
        (root / "tuned.json").rename(root / "run.json")
        command("release", "tuned")
        outputs = {f"desk/triage/c{n:02}": "7" for n in range(40)} | {f"desk/wording/w{n:02}": "7" for n in range(20)}
        worse = {f"desk/triage/c{n:02}": "none" for n in range(8, 16)}  # a target has to be won
        write_outputs(root / "outputs.jsonl", outputs | worse)
        evaluate("replay:outputs.jsonl", out=Path("base.json"))
        write_outputs(root / "outputs.jsonl", outputs)


@pytest.fixture
def place(good: Path, pytester: pytest.Pytester) -> Place:
    """A copy of the good project, as working directory."""
    shutil.copytree(good, pytester.path, dirs_exist_ok=True)

    def run(command: str) -> Ran:
        program, *arguments = shlex.split(command)
        if program == "pytest":
            done = pytester.runpytest(*arguments)
            return Ran(int(done.ret), done.stdout.str() + done.stderr.str())
        result = CliRunner().invoke(app, arguments)
        return Ran(result.exit_code, result.output)

    return Place(pytester.path, run)


def holds(text: str, said: str) -> bool:
    """Whether a text holds what was to be said, ` ... ` standing for anything, whatever the line breaks."""
    pattern = ".*?".join(re.escape(" ".join(part.split())) for part in said.split(" ... "))
    return re.search(pattern, " ".join(text.split())) is not None


@pytest.mark.parametrize("command", sorted({row.passes for row in ROWS.values()}))
def test_without_a_mistake_every_command_passes(place: Place, command: str) -> None:
    result = place.run(command)
    assert result.code == 0, result.text


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_mistake_is_caught_by_name(place: Place, row: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    if row.own_cache:
        monkeypatch.setenv("TUNEGATE_CACHE", str(place.path / "cache"))
    for step in row.steps:
        step(place)
    result = place.run(row.command)
    assert result.code == row.code, result.text
    assert holds(result.text, row.says), result.text


@pytest.mark.golden
def test_the_page_shows_every_mistake() -> None:
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
