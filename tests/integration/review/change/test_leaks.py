"""Cases that a change puts into its prompt with their outputs block until a reviewer approves exactly these."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import FaultServer, Handler, reply, serving
from tests.support.gated import BAD, GOOD, commit_to_main, edit, git, invoke, ok
from tests.support.records import write_policy
from tests.support.units import write_unit

SYSTEM = "Sort the ticket. Reply with JSON only: boiler or radiator."
ASKED = [
    f"The {thing} in {place} {fault} since {day}"
    for thing in ("boiler", "burner", "pump")
    for place in ("our cottage", "the village school", "flat seven", "my mother's bungalow")
    for fault, day in (("rattles like a tin of nails", "Tuesday"), ("drips onto the parquet", "half past nine"))
]
PAIR = f'"{ASKED[3]}" -> {GOOD}'


def act(handler: Handler, body: dict[str, Any]) -> None:
    """A model that is right where the prompt holds the input, and for most others."""
    texts = {each["role"]: each["content"] for each in body["messages"]}
    asked, system = texts["user"], texts.get("system", "")
    handler.send(json.dumps(reply(body, GOOD if asked in system or asked not in ASKED[:2] else BAD)))


@pytest.fixture
def server(monkeypatch) -> Iterator[FaultServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(act) as served:
        yield served


@pytest.fixture
def desk(server, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    cases = [{"id": f"c{n:02}", "input": text, "expect": {"product": "boiler"}} for n, text in enumerate(ASKED)]
    write_unit(Path("fixtures"), [], cases=cases, prompt={"system": SYSTEM})
    write_policy(Path("fixtures"), triage={"role": "guard", "margin": 0.4})
    Path("pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{server.model}"\n')
    Path(".gitignore").write_text(".tunegate/\n*.lock\n")
    ok("record")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    git("checkout", "-qb", "change")


def prompt(text: str) -> None:
    edit(lambda data: data.update(prompt={"system": f"{SYSTEM}\n{text}"}))


def gate(*options: str) -> dict[str, Any]:
    done = invoke("gate", "--json", *options)
    assert done.exit_code in (0, 1, 4), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("desk")
def test_leaks_block_until_exactly_this_prompt_is_approved():
    prompt(PAIR)
    found = gate("--policy-from=main")
    assert not found["passes"]
    [line] = found["modified"]
    held = "its prompt (system prompt) holds the input and the expected output of 1 of 24 cases (c03); prompt "
    assert line.startswith(f"desk/triage: {held}")
    assert gate("--policy-from=main", f"--approve={found['approve']}")["passes"]

    prompt(f"{PAIR}. Mind the umlauts.")  # the same case, another prompt
    other = gate("--policy-from=main", f"--approve={found['approve']}")
    assert (other["passes"], other["approve"] != found["approve"]) == (False, True)


@pytest.mark.usefixtures("desk")
def test_what_the_branch_holds_already_blocks_nothing():
    prompt(PAIR)
    commit_to_main("approved")
    prompt(f"{PAIR}. Mind the umlauts.")
    assert gate("--policy-from=main")["modified"] == []

    prompt(f'{PAIR}\n"{ASKED[5]}" -> {GOOD}')
    [line] = gate("--policy-from=main")["modified"]
    assert "1 of 24 cases (c05)" in line


@pytest.mark.usefixtures("desk")
def test_a_case_that_the_change_removes_counts():
    prompt(PAIR)
    edit(lambda data: data["cases"].pop(3))
    modified = gate("--policy-from=main")["modified"]
    assert any("its prompt (system prompt)" in line and "(c03" in line for line in modified)


@pytest.mark.usefixtures("desk")
def test_disguises_and_worked_examples_are_searched():
    hidden = base64.b64encode(PAIR.encode()).decode()
    prompt(f"Context: {hidden}")
    assert "system prompt" in gate("--policy-from=main")["modified"][0]

    edit(lambda data: data.update(prompt={"system": SYSTEM}, shots=[{"input": ASKED[3].upper(), "output": GOOD}]))
    assert "worked example 1" in gate("--policy-from=main")["modified"][0]


@pytest.mark.usefixtures("desk")
def test_the_chat_template_of_a_model_folder_is_searched(tiny_model):
    shutil.copytree(tiny_model, "models/own")
    Path("pyproject.toml").write_text('[tool.tunegate]\nmodel = "models/own"\n')
    edit(lambda data: data.update(generate={"max_new_tokens": 3}))
    ok("record")
    commit_to_main("a model of its own")
    template = Path("models/own/chat_template.jinja")
    template.write_text(f"{PAIR}\n{template.read_text()}")
    [line] = gate("--policy-from=main")["modified"]
    assert "its prompt (chat template) holds the input and the expected output of 1 of 24 cases (c03)" in line
    assert any("(chat template)" in note for note in gate()["notes"])


@pytest.mark.usefixtures("desk")
def test_without_a_branch_a_note_says_so():
    prompt(PAIR)
    ok("record")
    found = gate()
    assert any("1 of 24 cases (c03)" in line for line in found["notes"])
    assert "1 of 24 cases (c03)" in invoke("lint").output


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    "text",
    [
        'Name the product, for example {"product": "boiler"} or {"product": "radiator"}.',
        "A pump or a burner is part of the boiler.",
        f'"Our radiator hisses when the cat sits on it" -> {BAD}',
    ],
)
def test_an_honest_prompt_is_a_candidate_like_any_other(text):
    prompt(text)
    assert gate("--policy-from=main")["modified"] == []
