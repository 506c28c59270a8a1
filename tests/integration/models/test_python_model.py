"""A function of the user's as a model: what it is called with, what it may see, and how its faults are told."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.gated import invoke, ok
from tests.support.project import Project
from tests.support.tools import ORDER, tool_set
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request, Unconstrainable
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.python_model import PythonModel, find_code

ECHO = "import json\ndef answer(messages, decoding):\n    return json.dumps([messages, decoding])\n"
TURNS = (("system", "Sort."), ("user", "one"), ("assistant", "two"), ("user", "three\u2028\U0001f600"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TUNEGATE_PYTHON_ENV", raising=False)


def bot(text: str, name: str = "bot.py") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def asked(*keys: str, repeat: int = 0, **decoding: object) -> list[Request]:
    return [Request(f"desk/triage/{key}", TURNS, Decoding(**decoding), repeat) for key in keys]


def complete(*requests: Request, model: str = "python:bot.py:answer", **options: object) -> list[Completion]:
    return list(PythonModel(model, quiet(), ModelOptions(**options)).complete(requests or asked("c1")))


def fails(text: str, kind: type[TunegateError] = CouldNotRun, **options: object) -> str:
    bot(text)
    with pytest.raises(kind) as failed:
        complete(**options)
    return str(failed.value)


def test_it_is_called_with_turns_and_decoding():
    bot(ECHO)
    [output] = complete(*asked("c1", max_new_tokens=7))
    turns, decoding = json.loads(output.output or "")
    assert [(turn["role"], turn["content"]) for turn in turns] == list(TURNS)
    assert decoding == {"max_new_tokens": 7, "temperature": 0.0, "top_p": 1.0, "seed": 0}
    assert (output.key, output.tokens_in, output.finish) == ("desk/triage/c1", None, None)


def test_half_a_character_is_replaced_as_no_file_can_hold_it():
    bot("def answer(messages, decoding):\n    return 'boil\\ud83d'\n")
    assert [each.output for each in complete()] == ["boil\ufffd"]


def test_a_sampled_output_has_a_seed_by_case_and_repeat():
    bot("def answer(messages, decoding):\n    return str(decoding['seed'])\n")
    hot = {"temperature": 1.0}
    seeds = [each.output for each in complete(*asked("c1", "c2", **hot), *asked("c1", repeat=1, **hot))]
    again = [each.output for each in complete(*asked("c2", "c1", **hot))]
    assert len(set(seeds)) == 3
    assert again == seeds[1::-1]


def test_what_it_prints_is_shown_and_is_no_output(capfd):
    bot("print('loading')\ndef answer(m, d):\n    print('[\"output\", 0, \"forged\"]')\n    return 'own'\n")
    assert [each.output for each in complete()] == ["own"]
    assert "bot.py: loading" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def answer(m, d):\n    raise ValueError('no\\nway')\n", "bot.py:2: desk/triage/c1: expected an output of "
         "answer, found ValueError: no way"),
        ("def answer(m, d):\n    return 1 / 0\n", "bot.py:2: desk/triage/c1: expected an output of answer, found "
         "ZeroDivisionError: division by zero"),
        ("import sys\ndef answer(m, d):\n    sys.exit('done')\n", "bot.py:3: desk/triage/c1: expected an output of "
         "answer, found SystemExit: done"),
        ("def answer(m, d):\n    return None\n", "bot.py: desk/triage/c1: expected an output of answer, found "
         "NoneType, which is no text"),
        ("def answer(m, d):\n    return {'output': 'x'}\n", "found dict, which is no text"),
        ("async def answer(m, d):\n    return 'x'\n", "found coroutine, which is no text"),
        ("def answer(m, d):\n    return b'x'\n", "found bytes, which is no text"),
        ("import os\ndef answer(m, d):\n    os._exit(0)\n", "bot.py: desk/triage/c1: expected an output of answer, "
         "found that its process ended after"),
        ("def answer(m, d):\n    raise OSError('\\x1b[31m::error::\\u202e')\n", r"OSError: \x1b[31m::error::\u202e"),
        ("def reply(m, d):\n    return ''\n", "bot.py: expected a function answer that can be loaded, found nothing of "
         "that name"),
        ("answer = 'x'\n", "found str"),
        ("import nothing_of_that_name\n", "bot.py:1: expected a function answer that can be loaded, found "
         "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def answer(:\n", "bot.py:1: expected a function answer that can be loaded, found SyntaxError"),
    ],
)  # fmt: skip
def test_its_faults_name_the_file_the_case_and_the_exception(text, said):
    assert said in fails(text)


@pytest.mark.parametrize("text", ["while True: pass\n", "def answer(m, d):\n    while True: pass\n"])
def test_a_hang_ends_at_the_deadline(text):
    said = fails(text, deadline=2)
    assert "within 2 seconds, found none; a longer time: --tg-deadline SECONDS" in said
    assert ("desk/triage/c1" in said) == ("def" in text)


def test_outputs_before_a_fault_are_kept():
    bot("calls = []\ndef answer(m, d):\n    calls.append(1)\n    return 'x' if len(calls) < 3 else 1\n")
    kept = []
    with pytest.raises(CouldNotRun, match="desk/triage/c3"):
        kept.extend(PythonModel("python:bot.py:answer", quiet()).complete(asked("c1", "c2", "c3")))
    assert [each.key for each in kept] == ["desk/triage/c1", "desk/triage/c2"]


SEES = "import json, os\ndef answer(m, d):\n    return json.dumps(dict(os.environ))\n"


def seen() -> dict[str, str]:
    bot(SEES)
    return json.loads(complete()[0].output or "")


def test_it_sees_no_variable_that_the_user_did_not_name(monkeypatch):
    secrets = ("TUNEGATE_API_KEY", "GITHUB_TOKEN", "ANTHROPIC_API_KEY", "AWS_PROFILE")
    for name in secrets:
        monkeypatch.setenv(name, "abcdefghijklmnop")
    Path("pyproject.toml").write_text('[tool.tunegate]\n# python-env = ["GITHUB_TOKEN"]\n')
    found = seen()
    assert not found.keys() & set(secrets)
    assert "PATH" in found

    monkeypatch.setenv("TUNEGATE_PYTHON_ENV", "AWS_PROFILE, NOT_SET")
    config = Path("config/tunegate/config.toml")
    config.parent.mkdir(parents=True)
    config.write_text('python-env = ["ANTHROPIC_API_KEY"]\n')
    assert seen().keys() & {*secrets, "NOT_SET"} == {"ANTHROPIC_API_KEY", "AWS_PROFILE"}


def test_a_secret_stands_in_no_output_and_no_message(monkeypatch, capfd):
    monkeypatch.setenv("MY_API_KEY", "sk-0123456789abcdef")
    monkeypatch.setenv("TUNEGATE_PYTHON_ENV", "MY_API_KEY")
    assert seen()["MY_API_KEY"] == "[key]"
    key = "os.environ['MY_API_KEY']"
    said = fails(f"import os\ndef answer(m, d):\n    print({key})\n    raise OSError({key})\n")
    assert "OSError: [key]" in said
    assert "sk-0123456789abcdef" not in capfd.readouterr().err


@pytest.mark.parametrize("text", ['python-env = "HOME"', "python-env = [1]"])
def test_a_setting_that_is_no_list_is_refused(text, tmp_path):
    bot(SEES)
    config = Path("config/tunegate/config.toml")
    config.parent.mkdir(parents=True)
    config.write_text(text)
    with pytest.raises(Refused, match="python-env: expected a list of names of environment variables, found"):
        complete()


def test_its_digest_is_that_of_its_code():
    bot("import helper\n" + ECHO)
    bot("TONE = 1\n", "helper.py")
    digests = [find_code("python:bot.py:answer").digest]
    bot("TONE = 2\n", "helper.py")
    digests.append(find_code("python:bot.py:answer").digest)
    bot("import helper\n" + ECHO + "\n")
    digests.append(find_code("python:bot.py:answer").digest)
    digests.append(find_code("python:bot.py:other").digest)
    assert len(set(digests)) == 4
    bot("import helper\n" + ECHO + "\n", "elsewhere/bot.py")
    bot("TONE = 2\n", "elsewhere/helper.py")
    assert find_code("python:elsewhere/bot.py:answer").digest == digests[2]


def test_a_module_of_an_installed_package_is_its_file_and_version(monkeypatch):
    plain = find_code("python:tunegate:Outcome").digest
    monkeypatch.setattr("tunegate.harness.models.python_model.version", lambda _: "2")
    assert find_code("python:tunegate:Outcome").digest != plain
    with pytest.raises(CouldNotRun, match="expected an output of dedent, found TypeError"):
        complete(model="python:textwrap:dedent")


def test_a_module_of_the_working_folder_is_not_the_installed_one(monkeypatch):
    """The process does not look here, and what would be digested is not what would run."""
    monkeypatch.syspath_prepend(".")
    bot("def dedent(m, d):\n    return 'mine'\n", "shadowing.py")
    with pytest.raises(CouldNotRun, match="No module named 'shadowing'"):
        complete(model="python:shadowing:dedent")


@pytest.mark.parametrize("model", ["python:", "python:bot.py", "python:bot.py:", "python:bot.py:a.b", "python:a-b:c"])
def test_another_form_is_refused(model):
    with pytest.raises(Refused, match=r"expected a file or an installed module, and a function in it"):
        PythonModel(model, quiet())


def test_a_missing_file_or_module_is_named():
    with pytest.raises(CouldNotRun, match=r"expected a Python file at gone\.py, found none"):
        PythonModel("python:gone.py:answer", quiet())
    for name in ("gone_module", "math", "sys"):
        with pytest.raises(
            CouldNotRun, match=f"expected an installed module in Python source, found none named {name}"
        ):
            PythonModel(f"python:{name}:answer", quiet())


def test_code_that_changes_while_it_runs_is_refused():
    bot("def answer(m, d):\n    open(__file__, 'a').write('\\n')\n    return 'x'\n")
    with pytest.raises(Refused, match=r"bot\.py: changed while it ran"):
        complete()


def test_bytecode_in_place_of_its_source_does_not_run(tmp_path):
    import py_compile

    bot("def answer(m, d):\n    return 'forged'\n")
    cached = f"__pycache__/bot.{sys.implementation.cache_tag}.pyc"
    py_compile.compile("bot.py", cached, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    bot("def answer(m, d):\n    return 'reviewed'\n")
    assert complete()[0].output == "reviewed"


def test_it_is_held_to_no_schema():
    bot(ECHO)
    with pytest.raises(Unconstrainable, match="use another prompting strategy") as refused:
        PythonModel("python:bot.py:answer", quiet(), rung="constrained").fingerprint  # noqa: B018
    assert "whose outputs nothing here constrains" in refused.value.why(Constraint("{}", "x.json"))


IDS = [f"c{number}" for number in range(6)]
SORTS = 'def answer(messages, decoding):\n    return \'{"product": "boiler"}\'\n'
MODEL = "--tg-model=python:bot.py:answer"


@pytest.fixture
def desk(project: Project, monkeypatch) -> Project:
    project.unit(IDS)
    project.policy(triage={"role": "guard", "margin": 0.5})
    monkeypatch.chdir(project.path)
    bot(SORTS)
    return project


def test_it_is_recorded_gated_and_diagnosed(desk):
    assert desk.run("--tg-record", MODEL).ret == 0
    assert desk.run("--tg-against=baseline", MODEL, "--tg-out=record.json").ret == 0
    [baseline] = desk.path.glob("baselines/answer-*/desk/triage.json")
    assert json.loads(baseline.read_text())["engine"] == {"backend": "python", "prompt": "chat messages"}
    assert desk.record()["units"]["desk/triage"]["mean"] == 1.0
    assert "triage" in ok("diagnose", "desk", "--model=python:bot.py:answer")


def test_outputs_are_reused_but_asked_anew_by_the_gate(desk):
    bot(SORTS.replace("return", "open('calls', 'a').write('x')\n    return"))
    calls = desk.path / "calls"
    assert desk.run("--tg-record", MODEL).ret == 0
    once = calls.stat().st_size
    again = desk.run(MODEL)
    assert calls.stat().st_size == once
    assert f"{once} outputs of python:bot.py:answer come from the cache" in again.stdout.str()
    assert desk.run("--tg-against=baseline", MODEL).ret == 0
    assert calls.stat().st_size == 2 * once


@pytest.mark.parametrize(
    "option",
    ["--tg-adapter=x", "--tg-timing", "--tg-device=cpu", "--tg-tokenizer=smollm2", "--tg-chat-template=none",
     "--tg-tokens-per-minute=5", "--tg-engine=ray"],
)  # fmt: skip
def test_options_that_it_would_not_hear_of_are_refused(desk, option):
    done = desk.run(MODEL, option)
    assert done.ret == 4
    assert "python:" in done.stderr.str()


def test_it_is_compared(desk):
    bot(SORTS.replace("boiler", "pump"), "new.py")
    said = ok("compare", "old=python:bot.py:answer", "new=python:new.py:answer", "--cases=fixtures")
    assert "100" in said


def test_it_is_never_trained_on_or_released(desk):
    recipe = {"version": 1, "task": "desk", "model": "python:bot.py:answer", "rows": ["rows.jsonl"], "output": "out"}
    Path("recipe.yaml").write_text(json.dumps(recipe))
    Path("rows.jsonl").write_text('{"input": "a", "output": "b"}\n')
    Path("adapter").mkdir()
    Path("adapter/adapter_config.json").write_text("{}")
    Path("adapter/adapter_model.safetensors").write_bytes(b"")
    for command in (["train", "recipe.yaml"], ["release", "adapter", "--model=python:bot.py:answer"]):
        done = invoke(*command)
        assert done.exit_code == 4, done.output
        assert "expected a model with weights, found a function" in done.output, done.output


TOOLS = tool_set([{"name": "cancel", "parameters": ORDER}]).tools


@pytest.mark.parametrize(
    ("said", "output"),
    [
        ("'Hello'", '{"content": "Hello", "tool_calls": []}'),
        ("{'content': None, 'tool_calls': [{'name': tools[0]['function']['name'], 'arguments': {'order': 7}}]}",
         '{"content": "", "tool_calls": [{"name": "cancel", "arguments": {"order": 7}}]}'),
        ("{'tool_calls': [{'function': {'name': 'cancel', 'arguments': {'order': float('nan')}}}]}",
         '{"content": "", "tool_calls": [{"name": "cancel", "arguments_text": "{\\"order\\": NaN}"}]}'),
    ],
)  # fmt: skip
def test_where_tools_are_offered_it_gets_them_and_may_give_a_message(said, output):
    bot(f"def answer(messages, decoding, tools):\n    return {said}\n")
    [request] = asked("c1")
    assert [each.output for each in complete(replace(request, tools=TOOLS))] == [output]


@pytest.mark.parametrize("said", ["{'content': 'x'}", "[1]", "{'tool_calls': [object()]}", "{1: {2}}", "None"])
def test_what_is_neither_a_text_nor_a_message_is_refused(said):
    bot(f"def answer(messages, decoding, tools):\n    return {said}\n")
    [request] = asked("c1")
    with pytest.raises(CouldNotRun, match=r"which is no text|which has no tool_calls|which is no JSON"):
        complete(replace(request, tools=TOOLS))


def test_a_message_where_no_tools_are_offered_is_refused():
    assert "dict, which is no text" in fails("def answer(messages, decoding):\n    return {'tool_calls': []}\n")
