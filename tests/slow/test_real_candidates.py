"""Pull requests that change the configuration, on the embedded model: sixty general questions, and what they lose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.gated import commit_to_main, git, invoke, ok
from tests.support.paths import ROOT
from tests.support.records import write_policy
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.resolve import resolve

pytestmark = pytest.mark.real

LONG = {"max_new_tokens": 24, "temperature": 3.0, "seed": 5}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the demo's questions and the record of the embedded model, once."""
    home = tmp_path_factory.mktemp("questions")
    folder = home / "fixtures" / "desk"
    folder.mkdir(parents=True)
    data = read_yaml(ROOT / "fixtures/support/questions.yaml").data
    (folder / "questions.yaml").write_text(json.dumps(data))
    write_policy(home / "fixtures", questions={"margin": 0.3})
    (home / "pyproject.toml").write_text('[tool.tunegate]\nmodel = "smollm2"\n')
    (home / ".gitignore").write_text(".tunegate/\n*.lock\n")
    return home


@pytest.fixture
def desk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "repo"
    shutil.copytree(made, home)
    monkeypatch.chdir(home)
    ok("record")
    git("init", "-q")
    git("checkout", "-qb", "change")
    commit_to_main("base")
    return home


def edit(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("fixtures/desk/questions.yaml")
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def gate(*options: str) -> tuple[int, dict[str, Any]]:
    done = invoke("gate", "--policy-from=main", "--json", *options)
    found: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, found


def system(text: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["prompt"].update(system=text)


@pytest.mark.parametrize(
    ("what", "change", "code"),
    [
        ("reworded", system("Reply in only a few words."), 0),
        ("worse", system("Never answer. Tell a story about a dragon instead, and name nothing that was asked."), 1),
        ("hotter", lambda data: data.update(generate=LONG), 1),
        ("both", lambda data: (system("Reply in a few words.")(data), data.update(generate=LONG)), 1),
    ],
)
def test_a_change_of_the_prompt_or_of_decoding(desk, what, change, code):
    edit(change)
    found = gate()
    assert found[0] == code, json.dumps(found[1], indent=1)
    assert found[1]["modified"] == []
    assert found[1]["configuration"], what


def test_another_adapter_is_compared_with_the_base(desk):
    adapter = scrambled(desk / "adapters" / "odd")
    code, found = gate(f"--adapter={adapter}")
    assert code == 1, json.dumps(found, indent=1)


def scrambled(folder: Path) -> Path:
    """A LoRA of the embedded model whose weights are noise."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(resolve("smollm2", quiet()))
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=64, target_modules=["q_proj", "v_proj"]))
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    return folder
