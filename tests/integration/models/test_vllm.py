"""A vLLM that the run starts, in its place a program that takes the same arguments; the real one: tests/services."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.integration.session.test_session import local  # noqa: F401  (a fixture)
from tests.support.fake_vllm import install
from tests.support.forked import start
from tests.support.tools import tool_set
from tests.unit.session.test_session import judged, options  # noqa: F401  (a fixture)
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.structured_outputs import SPACED
from tunegate.harness.models.served.vllm import Vllm
from tunegate.harness.models.served.vllm_process import ARGUMENTS, LOGS, PYTHON
from tunegate.harness.models.tokenizer import load_tokenizer

HELLO = Request("a", (("user", "Hello."),), Decoding(max_new_tokens=4))
ABOUT = Request("b", (), Decoding(max_new_tokens=1), texts=("Hello.",))
STARTS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by whoever starts in the background
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.cases.model import Decoding
from tunegate.harness.models.served.structured_outputs import SPACED
from tunegate.harness.models.served.vllm import Vllm
model = Vllm("vllm:" + MODEL, quiet())
print([each.output for each in model.complete([Request("a", (("user", "Hello."),), Decoding(max_new_tokens=4))])])
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, str(install(tmp_path / "venv")))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manner(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setenv("FAKE_VLLM", name)


@pytest.fixture
def opened(tiny_model: Path):
    """Opens the tiny model, with adapters on the same server."""
    models: list[Vllm] = []

    def open_model(adapter: Path | None = None, **more) -> Vllm:
        base = models[0].base if models else None
        models.append(Vllm(f"vllm:{tiny_model}", quiet(), adapter, base=base, options=ModelOptions(**more)))
        return models[-1]

    yield open_model
    for model in models:
        model.base.stop()


def logs(root: Path) -> list[str]:
    return [path.read_text() for path in sorted((root / LOGS).glob("*.log"))]


def is_gone(log: str) -> bool:
    """Whether the server of a log is no longer there, within a few seconds."""
    pid = int(re.search(r"^pid (\d+)", log, re.MULTILINE)[1])
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_given_texts_are_asked_one_at_a_time_beside_an_adapter_on_a_cpu(opened, make_adapter):
    """Two in one step end a vLLM on a CPU that has a LoRA."""
    alone = opened()
    assert alone.base.client(None)._texts_in_flight == ModelOptions().in_flight
    alone.base.stop()

    tuned = opened(make_adapter("one"))
    assert [each.base.client(None)._texts_in_flight for each in (alone, tuned)] == [1, 1]
    texts = [replace(ABOUT, key=str(number)) for number in range(5)]
    assert [each.key for each in tuned.complete(texts)] == ["0", "1", "2", "3", "4"]


def test_given_texts_are_refused_on_an_accelerator_where_the_head_is_trained(
    opened, make_adapter, tmp_path, monkeypatch
):
    adapter = shutil.copytree(make_adapter("one"), tmp_path / "with-head")  # that of all tests stays as it is
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj", "lm_head"]}))
    model = opened(adapter)
    model.base.check_texts(adapter)
    monkeypatch.setattr(model.base, "installation", replace(model.base.installation, device="cuda"))

    with pytest.raises(Refused, match="target_modules: lm_head is trained, which vLLM leaves out of the log-prob"):
        list(model.complete([ABOUT]))


def test_base_and_adapters_answer_on_one_server(tmp_path, opened, make_adapter):
    one, two = make_adapter("one"), make_adapter("two")
    models = [opened(), opened(one), opened(two)]
    assert not logs(tmp_path), "nothing starts before it is asked"
    assert [[each.output for each in model.complete([HELLO])] for model in models] == [
        ["answer 0"], ["answer 1"], ["answer 2"]
    ]  # fmt: skip
    [log] = logs(tmp_path)
    started = log.splitlines()[0]
    assert all(f"tg-{adapter_digest(each)}=" in started for each in (one, two))
    assert "--max-loras 2 --max-cpu-loras 2 --max-lora-rank 8" in started
    assert "--dtype float32 --max-model-len 4096" in started
    assert '"stops": [2]' in log, "answers end where those of a local model do"
    models[0].base.stop()
    assert is_gone(log)


def test_it_is_told_what_answers_are_held_to_and_need_not_be_asked_whether_it_does(tmp_path, opened, tiny_model):
    held = replace(HELLO, constraint=Constraint('{"type": "object"}', "answer.json"))
    assert [each.output for each in opened().complete([held])] == ["{}"]
    [log] = logs(tmp_path)
    schema = {"type": "object", "x-guidance": SPACED}
    said = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert [json.loads(line)["format"] for line in log.splitlines() if '"asked"' in line] == [said]
    constrained = Vllm(f"vllm:{tiny_model}", quiet(), rung="constrained").fingerprint
    assert constrained.engine["constraint"] == "llguidance"


def test_it_is_the_same_model_on_another_engine(opened, tiny_model, tiny_adapter, monkeypatch):
    model, here = opened(tiny_adapter), Local(str(tiny_model), quiet(), tiny_adapter)
    assert model.fingerprint.subject == here.fingerprint.subject
    assert model.fingerprint.engine == {
        "backend": "vllm", "vllm": "9.9", "dtype": "float32", "device": "cpu", "max_model_len": "4096",
        "prompt": "token ids",
    }  # fmt: skip
    monkeypatch.setenv(ARGUMENTS, "--enforce-eager --seed 1")
    other = Vllm(f"vllm:{tiny_model}", quiet(), options=ModelOptions(dtype="bfloat16"))
    assert other.fingerprint.engine["arguments"] == "--enforce-eager --seed 1"
    assert other.fingerprint.engine["dtype"] == "bfloat16"


def test_its_length_is_an_option_which_the_engine_names(tmp_path, tiny_model, monkeypatch):
    model = Vllm(f"vllm:{tiny_model}", quiet(), options=ModelOptions(max_model_len=1024))
    list(model.complete([HELLO]))
    model.base.stop()

    assert "--max-model-len 1024 " in logs(tmp_path)[0]
    assert model.fingerprint.engine["max_model_len"] == "1024"
    assert model.fingerprint.names["options"] == "--tg-max-model-len=1024"
    monkeypatch.setenv(ARGUMENTS, "--max_model_len=2048")
    with pytest.raises(Refused, match=f"--tg-max-model-len: .* found --max-model-len in {ARGUMENTS}, too; drop one"):
        Vllm(f"vllm:{tiny_model}", quiet(), options=ModelOptions(max_model_len=1024))


def test_it_loads_the_weights_that_were_digested_and_no_others(tmp_path, tiny_model):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "more.safetensors").write_bytes(b"others")
    (folder / "model.safetensors.index.json").write_text("{}")  # which transformers passes over, and vLLM follows
    model = Vllm(f"vllm:{folder}", quiet())
    list(model.complete([HELLO]))
    model.base.stop()
    [files] = re.findall("^files .*", logs(tmp_path)[0], re.MULTILINE)
    assert "'model.safetensors'" in files
    assert "more" not in files
    assert "index" not in files


def test_arguments_that_the_run_sets_are_refused(monkeypatch, tiny_model):
    monkeypatch.setenv(ARGUMENTS, "--port=1 --api-key x --seed 1")
    with pytest.raises(Refused, match="expected arguments that the run does not set, found --api-key, --port"):
        Vllm(f"vllm:{tiny_model}", quiet())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("--api_key=s3cr3t", "--api-key"),
        ("--api-k s3cr3t", "--api-k"),
        ("--hf-token s3cr3t", "--hf-token"),
        ("--hf_tok=s3cr3t", "--hf-tok"),
        ("--served_model_name x", "--served-model-name"),
        ("--config s3cr3t.yaml", "--config"),  # which could say any of them
    ],
)
def test_in_any_spelling_that_the_server_takes(monkeypatch, tiny_model, given, found):
    monkeypatch.setenv(ARGUMENTS, f"--seed 1 {given}")
    with pytest.raises(Refused, match=f"arguments that the run does not set, found {found}$") as error:
        Vllm(f"vllm:{tiny_model}", quiet())
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize("option", ["--max-model-len", "--max_model_len"])
def test_the_users_length_stands_in_the_engine(monkeypatch, opened, tmp_path, option):
    monkeypatch.setenv(ARGUMENTS, f"{option} 64")
    model = opened()
    assert (model.fingerprint.engine["arguments"], "max_model_len" in model.fingerprint.engine) == (
        "--max-model-len 64", False
    )  # fmt: skip
    list(model.complete([HELLO]))
    assert logs(tmp_path)[0].splitlines()[0].count("--max-model-len") == 1


def test_log_probabilities_are_of_the_given_text_alone(opened):
    [found] = opened().complete([ABOUT])
    assert found.logprobs == ((-1.0,) * 6,), "a letter a token, behind what begins a text"


def test_an_adapter_that_the_server_ignores_is_refused(opened, make_adapter, manner):
    manner("ignores")
    with pytest.raises(Refused, match=r"adapter .*one: not acting: behind vLLM the log-probabilities of a probe are"):
        list(opened(make_adapter("one")).complete([HELLO]))


def test_an_adapter_that_the_server_left_out_is_refused(opened, tmp_path, make_adapter, manner):
    manner("misses")
    with pytest.raises(Refused, match=r"expected vLLM at \S+ to serve tg-\w{64}, found tg-.*left an adapter out"):
        list(opened(make_adapter("one")).complete([HELLO]))
    assert is_gone(logs(tmp_path)[0])


def test_a_server_that_ends_while_it_loads_is_told_with_the_end_of_its_log(opened, manner):
    manner("dies")
    with pytest.raises(CouldNotRun) as error:
        list(opened().complete([HELLO]))
    assert str(error.value).startswith("expected vLLM to start, found that it ended; the end of its log (")
    assert str(error.value).endswith("\n  ValueError: not enough memory for the cache")


def test_a_server_that_ends_while_it_is_asked_is_told_so(opened, manner, monkeypatch):
    monkeypatch.setattr("tunegate.harness.models.served.http_client.FIRST_PAUSE", 0.01)
    manner("leaves")
    requests = [HELLO, replace(HELLO, key="c")]
    with pytest.raises(CouldNotRun, match=r"(?s)vLLM ended during a request \(.*the end of its log.*out of memory"):
        list(opened().complete(requests))


def test_an_adapter_that_changed_since_it_was_named_is_refused(opened, tmp_path, make_adapter):
    folder = shutil.copytree(make_adapter("one"), tmp_path / "one")
    model = opened(folder)
    shutil.copyfile(make_adapter("two") / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    with pytest.raises(Refused, match="found that it changed meanwhile"):
        list(model.complete([HELLO]))


def test_a_rank_that_it_cannot_serve_is_refused_before_it_starts(opened, tmp_path, make_adapter):
    folder = shutil.copytree(make_adapter("one"), tmp_path / "one")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 1024}))
    with pytest.raises(Refused, match=r"r: expected a rank up to 512, which vLLM serves, found \[1024\]"):
        list(opened(folder).complete([HELLO]))
    assert not logs(tmp_path)


def test_dora_which_it_does_not_serve_is_refused_before_it_starts(opened, tmp_path, make_adapter):
    folder = shutil.copytree(make_adapter("one"), tmp_path / "one")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(Refused, match="use_dora: expected a LoRA, which vLLM serves beside its base, found DoRA"):
        list(opened(folder).complete([HELLO]))
    assert not logs(tmp_path)


# --- whatever ends the run


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_run_however_that_ends(tmp_path, tiny_model, how):
    run = start(f"MODEL = {str(tiny_model)!r}\n{STARTS}", tmp_path, os.environ)
    assert next(run.stdout) == "['answer 0']\n"
    run.send_signal(how)
    run.communicate()
    assert is_gone(logs(tmp_path)[0])


def test_it_ends_with_its_supervisor(tmp_path, opened):
    list(opened().complete([HELLO]))
    [log] = logs(tmp_path)
    server = psutil.Process(int(re.search(r"^pid (\d+)", log, re.MULTILINE)[1]))
    server.parent().kill()
    assert is_gone(log)


def test_it_ends_where_an_answer_is_no_longer_wanted(tmp_path, opened):
    answers = opened().complete([HELLO])
    next(answers)
    answers.close()
    opened().base.stop()
    assert is_gone(logs(tmp_path)[0])


# --- whose it is


def test_without_an_installation_it_says_how_to_name_one(monkeypatch, tiny_model):
    monkeypatch.delenv(PYTHON)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    with pytest.raises(CouldNotRun, match=f"expected an installation of vLLM, found none; name .* export {PYTHON}=/"):
        Vllm(f"vllm:{tiny_model}", quiet())


@pytest.mark.parametrize("python", ["venv/bin/python", "./python", "python", "~nobody-of-that-name/python"])
def test_a_python_is_named_by_its_whole_path(monkeypatch, tmp_path, tiny_model, python):
    """Any other is looked for where the run happens to be, or where a child of it does."""
    install(tmp_path / "venv/bin")
    monkeypatch.setenv(PYTHON, python)
    with pytest.raises(Refused, match=f"{PYTHON}: expected an absolute path, found {python}; name the Python of"):
        Vllm(f"vllm:{tiny_model}", quiet())


def test_a_python_may_lie_in_the_home(monkeypatch, tmp_path, tiny_model):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(PYTHON, "~/venv/python")
    assert Vllm(f"vllm:{tiny_model}", quiet()).base.installation.python == tmp_path / "venv/python"


def test_a_python_without_it_is_no_installation(monkeypatch, tiny_model):
    monkeypatch.setenv(PYTHON, sys.executable)
    with pytest.raises(CouldNotRun, match="expected a Python that has vLLM, found one without it"):
        Vllm(f"vllm:{tiny_model}", quiet())


def test_the_users_own_configuration_may_name_it(tmp_path, monkeypatch, opened):
    python = os.environ[PYTHON]
    monkeypatch.delenv(PYTHON)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "tunegate").mkdir(parents=True)
    (tmp_path / "config" / "tunegate" / "config.toml").write_text(f'vllm-python = "{python}"\n')
    assert str(opened().base.installation.python) == python


def test_no_key_reaches_it(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEGATE_API_KEY", "a-secret-of-mine")
    monkeypatch.setenv("TUNEGATE_API_HOST", "api.example.com")
    list(opened().complete([HELLO]))
    pid = int(re.search(r"^pid (\d+)", logs(tmp_path)[0], re.MULTILINE)[1])
    assert b"a-secret-of-mine" not in Path(f"/proc/{pid}/environ").read_bytes()


# --- runs


def test_adapters_share_a_server_and_have_records_of_their_own(local, tmp_path, make_adapter, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    served = replace(
        local, model=f"vllm:{local.model}", adapters=(make_adapter("one"), make_adapter("two")), against="baseline"
    )
    session = judged(served)
    [log] = logs(tmp_path)
    assert is_gone(log), "it ended with the run"
    records = session.records
    assert [each.cases["desk/triage/case00"].output for each in records] == ["answer 1", "answer 2"]
    assert len({each.fingerprint["subject"]["adapter"] for each in records}) == 2
    assert [list(each.engines) for each in records] == [["baseline"]] * 2, "recorded by transformers"
    judged(served)
    assert len(logs(tmp_path)) == 1, "all answers are known: nothing starts"


def test_options_that_a_local_model_has_are_refused(options):  # noqa: F811
    with pytest.raises(
        Refused, match="--tg-device with --tg-model vllm:MODEL: vLLM runs on the device it was built for"
    ):
        judged(replace(options, model="vllm:smollm2", opened=ModelOptions(device="cpu")))
    with pytest.raises(Refused, match="--tg-max-model-len with --tg-model smollm2: it is the length of vllm:MODEL"):
        judged(replace(options, model="smollm2", opened=ModelOptions(max_model_len=512)))
    with pytest.raises(Refused, match="expected a folder, a Hub id or smollm2, found nothing"):
        judged(replace(options, model="vllm:"))


def test_calls_are_read_here_from_the_tokens_of_the_output(tiny_model, opened, monkeypatch):
    tokenizer = load_tokenizer(tiny_model, tool_format="qwen2_5")
    text = '<tool_call>\n{"name": "cancel_order", "arguments": {"order": 7}}\n</tool_call><|end|>'
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    monkeypatch.setenv("FAKE_VLLM_TOKENS", " ".join(map(str, tokens)))
    asked = replace(HELLO, tools=tool_set().tools)

    [plain, served] = [next(iter(opened(tool_format="qwen2_5").complete([each]))) for each in (HELLO, asked)]

    assert plain.output == "answer 0"
    assert (served.raw, served.output) == (
        text, '{"content": "", "tool_calls": [{"name": "cancel_order", "arguments": {"order": 7}}]}',
    )  # fmt: skip


def test_tools_that_the_tokenizer_does_not_show_are_refused_before_the_server_starts(opened, tmp_path):
    with pytest.raises(Refused, match="expected a chat template for tools"):
        list(opened().complete([replace(HELLO, tools=tool_set().tools)]))
    assert not logs(tmp_path)


def test_an_output_without_tokens_is_an_error_of_the_server(opened, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM_TOKENS", "")
    with pytest.raises(CouldNotRun, match="expected the tokens of an output"):
        list(opened(tool_format="qwen2_5").complete([replace(HELLO, tools=tool_set().tools)]))
