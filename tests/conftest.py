"""What the tests share: a folder of cheap fixtures, a tiny model made on the spot, and the embedded one for real."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SCHEMA = {
    "type": "object",
    "properties": {"product": {"enum": ["boiler", "radiator"]}},
    "required": ["product"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep generations and models of the tests out of the user's cache; CI may keep the converted model."""
    if "TUNEGATE_TEST_CACHE" in os.environ:
        os.environ["TUNEGATE_CACHE"] = os.environ["TUNEGATE_TEST_CACHE"]
    else:
        os.environ["TUNEGATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def write_unit(root: Path, ids: list[str], name: str = "triage", task: str = "desk", **more: object) -> Path:
    """A schema unit with one case an id, each expecting a boiler; returns the fixture file."""
    folder = root / task
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "product.schema.json").write_text(json.dumps(SCHEMA))
    cases = [{"id": case, "input": f"message {case}", "expect": {"product": "boiler"}} for case in ids]
    data = {
        "version": 1,
        "suite": "schema",
        "unit": name,
        "check": {"schema": "refs/product.schema.json"},
        "generate": {"max_new_tokens": 4},
        "cases": cases,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(data | more))  # JSON is YAML
    return path


def write_outputs(path: Path, outputs: dict[str, str | None]) -> Path:
    """A replay file of outputs by case key."""
    path.write_text("".join(json.dumps({"case": key, "output": output}) + "\n" for key, output in outputs.items()))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a byte-level tokenizer and a chat template: real code, no skill, milliseconds."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<|unk|>", "<|start|>", "<|end|>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<|unk|>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"unk_token": "<|unk|>", "bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = (
        "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=1, eos_token_id=2, pad_token_id=2, max_position_embeddings=4096,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes LoRA adapters on the tiny model with random weights, one a name: they act, without having been trained."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    home = tmp_path_factory.mktemp("adapters")
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )

    def make(name: str) -> Path:
        if not (home / name).exists():
            torch.manual_seed(sum(name.encode()))
            get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config).save_pretrained(home / name)
        return home / name

    return make


@pytest.fixture(scope="session")
def tiny_adapter(make_adapter: Callable[[str], Path]) -> Path:
    """One such adapter, to be read and not changed."""
    return make_adapter("adapter")


INI = """
[tool.pytest.ini_options]
addopts = ["--strict-markers", "--strict-config", "-p", "no:hypothesispytest"]
xfail_strict = true
filterwarnings = [
  "error",
  # the tests run pytest inside pytest, where the plugin is imported already
  "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning",
  "ignore::DeprecationWarning:torch.*",
]
"""


class Project:
    """A user's project in a folder of its own: the shipped suites, fixtures to be written, and pytest to be run."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.fixtures = pytester.path / "fixtures"
        (self.path / "pyproject.toml").write_text(INI)
        suites = Path(__file__).parent.parent / "suites"
        shutil.copytree(suites, self.path / "suites", ignore=shutil.ignore_patterns("__pycache__"))

    def unit(self, ids: list[str], name: str = "triage", **more: object) -> Path:
        """A unit of the task `desk`; see `write_unit`."""
        return write_unit(self.fixtures, ids, name, **more)

    def policy(self, **units: dict[str, object]) -> None:
        """The task's policy: every unit named, each with a reason."""
        declared = {name: {"reason": "a test"} | unit for name, unit in units.items()}
        (self.fixtures / "desk" / "task.yaml").write_text(json.dumps({"version": 1, "units": declared}))

    def run(self, *arguments: str | Path) -> pytest.RunResult:
        """`pytest suites/` with more arguments."""
        return self.pytester.runpytest("suites/", *arguments)

    def replay(self, outputs: dict[str, str | None], *arguments: str | Path) -> pytest.RunResult:
        """`pytest suites/` on outputs made elsewhere."""
        write_outputs(self.path / "outputs.jsonl", outputs)
        return self.run("--tg-model=replay:outputs.jsonl", *arguments)

    def record(self, path: str | Path = "record.json") -> dict:
        """A record that a run wrote."""
        return json.loads((self.path / path).read_text())

    def runs(self) -> list[Path]:
        """Every record that was kept."""
        return sorted((self.path / ".tunegate" / "runs").glob("*.json"))


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A user's project with the suites and no fixtures yet."""
    return Project(pytester)
