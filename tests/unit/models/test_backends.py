"""Models by the prefix of their name: built-in ones, and those that an installed package brings."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.packages import installed
from tests.support.paths import ROOT
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.backends import BUILT_IN, LOCAL, OPENAI, PYTHON, REPLAY, VLLM, backend_of
from tunegate.harness.models.model_options import ModelOptions, RayOptions
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.table import OPTIONS
from tunegate.harness.models.resolve import resolve
from tunegate.harness.review.change.candidate import is_of_same_kind
from tunegate.harness.review.change.code import code_of_model, runs_code

ECHO = """
from tunegate import Completion, Fingerprint, Opened


class Echo(Opened):
    can = frozenset({"generate"})

    def __init__(self, name, watch, options, rung):
        self.name, self.rung, self.options = name, rung, options

    @property
    def fingerprint(self):
        subject = {"model": "echo-1", "base": "b" * 64, "adapter": None, "rung": self.rung}
        return Fingerprint(subject, {"backend": "echo"}, {"model": self.name})

    def complete(self, requests):
        for request in requests:
            yield Completion(request.key, request.messages[-1][1], repeat=request.repeat)


class Nameless(Echo):
    @property
    def fingerprint(self):
        return Fingerprint({"model": "echo-1"}, {"backend": "echo"}, {})


class Another(Echo):
    @property
    def fingerprint(self):
        return Fingerprint({"model": "echo-1"}, {"backend": "openai"}, {"model": self.name})


class NotOpened:
    def __init__(self, *_):
        pass


A_VALUE = 5
"""


@pytest.fixture
def package(tmp_path_factory, monkeypatch):
    """Installs a package with models, outside of the project at hand."""
    with ExitStack() as stack:
        yield lambda code=ECHO, site=None, **entries: stack.enter_context(
            installed(site or tmp_path_factory.mktemp("site"), code, monkeypatch, models=entries)
        )


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("smollm2", LOCAL), ("owner/name", LOCAL), ("", LOCAL), ("openai", LOCAL), ("C:\\models\\tuned", LOCAL),
        ("nobody:x", LOCAL), ("OpenAI:http://h#m", LOCAL), (":x", LOCAL),
        ("openai:http://h/v1#m", OPENAI), ("vllm:smollm2", VLLM), ("python:bot.py:reply", PYTHON),
        ("replay:old=outputs.jsonl", REPLAY),
    ],
)  # fmt: skip
def test_the_prefix_of_a_name_says_what_it_is(name, backend):
    assert backend_of(name) is backend


def test_the_help_names_each_form():
    assert [each.form for each in BUILT_IN if each.form not in OPTIONS["model"].help] == []


def test_each_backend_is_of_one_kind():
    kinds = {each.engine: (each.has_weights, each.is_opaque, each.is_supplied) for each in BUILT_IN}

    assert all(sum(kind) == 1 for kind in kinds.values())
    assert [name for name, kind in kinds.items() if kind[0]] == ["transformers", "vllm"]


@pytest.mark.parametrize("name", ["openai:http://h#m", "vllm:m", "python:bot.py:f", "replay:f", "echo:m"])
def test_only_models_without_a_prefix_run_on_workers_or_with_options_of_another(package, name):
    package(echo="tone_code:Echo")
    ray, length = ModelOptions(ray=RayOptions()), ModelOptions(max_model_len=512)

    with pytest.raises(Refused, match=f"--tg-engine ray with --tg-model {name}"):
        Options(Path(), name, opened=ray).check()
    if name != "vllm:m":
        with pytest.raises(Refused, match=r"--tg-max-model-len with --tg-model .* the length of vllm:MODEL"):
            Options(Path(), name, opened=length).check()
    if name != "replay:f":
        with pytest.raises(Refused, match="--tg-requests: expected --tg-model replay:FILE"):
            Options(Path(), name, requests=Path("r.jsonl")).check()


@pytest.mark.parametrize(("name", "meant"), [
    ("opnai:http://localhost:8000/v1#m", "openai:http://localhost:8000/v1#m"),
    ("vlm:Qwen/Qwen3-0.6B", "vllm:Qwen/Qwen3-0.6B"),
    ("reply:a=outputs/a.jsonl", "replay:a=outputs/a.jsonl"), ("pyhton:bot.py:reply", "python:bot.py:reply"),
    ("ownr:x#y", "own:x#y"), ("OpenAI:http://h#m", "openai:http://h#m"),
])  # fmt: skip
def test_an_unknown_prefix_is_refused_with_all_forms_and_the_nearest(package, name, meant):
    package(own="brought:Echo")
    with pytest.raises(Refused) as caught:
        backend_of(name).check(name)

    forms = (
        "replay:[NAME=]FILE.jsonl, openai:URL#MODEL, anthropic:URL#MODEL, vllm:MODEL, python:FILE.py:FUNCTION, "
        "own:ADDRESS#MODEL"
    )
    said = str(caught.value)
    assert said.startswith(
        f"--tg-model {name}: expected one of smollm2, a folder with a config.json, a GGUF file, a Hub id"
    )
    assert forms in said
    assert said.endswith(f"found no such prefix; did you mean {meant!r}?")


def test_a_file_of_windows_or_with_a_colon_in_its_name_is_no_prefix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my:model").mkdir()

    for name in ("C:\\models\\m", "my:model"):
        backend_of(name).check(name)


@pytest.mark.parametrize("refuse", [REPLAY.check_weights, lambda name: REPLAY.open(name, quiet()), resolve])
def test_recorded_outputs_are_no_model_that_generates(refuse):
    with pytest.raises(Refused, match="--model replay:f: expected a model that generates, found recorded outputs"):
        refuse("replay:f")


def test_a_package_brings_a_prefix(package):
    package(echo="tone_code:Echo")
    assert backend_of("echo") is LOCAL  # a folder, or the name of an engine
    backend = backend_of("echo:h#m")

    assert (backend.is_opaque, backend.is_hosted, backend.has_weights) == (True, True, False)
    assert "tone_code" not in sys.modules  # nothing of it is needed to know that
    model = backend.open("echo:h#m", quiet(), ModelOptions(in_flight=3), "few-shot")
    assert (model.name, model.rung, model.options.in_flight) == ("echo:h#m", "few-shot", 3)
    assert (model.folder, model.notes, model.notes_at_end, model.stop()) == (None, (), (), None)


def test_the_options_that_do_not_go_with_a_server_do_not_with_a_package(package):
    package(echo="tone_code:Echo")

    with pytest.raises(Refused) as caught:
        Options(Path(), "echo:m", (Path("a"),), timing=True, opened=ModelOptions(device="cpu")).check()
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "--tg-model echo", "--tg-timing with --tg-model echo", "--tg-device with --tg-model echo"
    ]  # fmt: skip


def test_the_example_of_the_guide_is_one(package):
    text = (ROOT / "docs" / "new-suite.md").read_text("utf-8")
    [example] = re.findall(r"^`package/acme_models.py`\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    package(example, acme="tone_code:Acme")
    model = backend_of("acme:h#m").open("acme:h#m", quiet())

    [completion] = model.complete([Request("desk/triage/c1", (("user", "Hello."),), Decoding())])
    assert (completion.key, completion.output) == ("desk/triage/c1", "Hello.")


@pytest.mark.parametrize("name", ["echo:", "echo: ", "echo:a\x1b[2J"])
def test_a_name_that_names_nothing_or_cannot_be_shown_is_refused(package, name):
    package(echo="tone_code:Echo")

    with pytest.raises(Refused, match="--tg-model echo:ADDRESS#MODEL: expected a model's name"):
        Options(Path(), name).check()


def test_a_built_in_prefix_stays_what_it_is(package):
    package(openai="tone_code:Echo", transformers="tone_code:Echo", C="tone_code:Echo", replay="tone_code:Echo")

    assert [backend_of(name) for name in ("openai:http://h#m", "replay:f", "C:\\m")] == [OPENAI, REPLAY, LOCAL]


@pytest.mark.parametrize(
    ("value", "code", "told"),
    [
        ("tone_code:Gone", ECHO, "expected code that can be loaded, found AttributeError"),
        ("tone_gone:Echo", ECHO, "expected a Python module, found none; reinstall the package"),
        ("tone_code:Echo", "import sys; sys.exit(0)", "expected code that can be loaded, found SystemExit: 0"),
        ("tone_code:NotOpened", ECHO, "expected a class below tunegate.Opened, found <class 'tone_code.NotOpened'>"),
        ("tone_code:A_VALUE", ECHO, "expected a class below tunegate.Opened, found 5"),
        ("tone_code:Nameless", ECHO, "fingerprint: names.model: expected echo:m, found None"),
        ("tone_code:Another", ECHO, "fingerprint: engine.backend: expected echo, found 'openai'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_entry_point(package, value, code, told):
    package(code, echo=value)

    with pytest.raises(Refused) as caught:
        backend_of("echo:m").open("echo:m", quiet())
    assert str(caught.value) == f"entry point tunegate.models: echo = {value}: {told}" or told in str(caught.value)
    assert str(caught.value).startswith(f"entry point tunegate.models: echo = {value}: ")


@pytest.mark.parametrize("marker", ["pyproject.toml", ".git"])
def test_code_that_a_change_of_this_checkout_edits_is_not_imported(package, tmp_path, monkeypatch, marker):
    place = tmp_path / marker
    place.mkdir() if marker == ".git" else place.write_text("[tool.tunegate]\n")
    (tmp_path / "evals").mkdir()
    monkeypatch.chdir(tmp_path / "evals")
    package(echo="tone_code:Echo", site=tmp_path / "models")

    with pytest.raises(Refused, match=r"tone_code\.py, which a change of this checkout edits; install a wheel"):
        backend_of("echo:m").open("echo:m", quiet())
    assert "tone_code" not in sys.modules


def test_a_link_out_of_the_site_into_the_checkout_is_seen_through(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = package(echo="tone_code:Echo")
    file.rename(tmp_path / "tone_code.py")
    file.symlink_to(tmp_path / "tone_code.py")

    with pytest.raises(Refused, match="which a change of this checkout edits"):
        backend_of("echo:m").open("echo:m", quiet())


def test_an_environment_in_the_checkout_is_not_the_checkout(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site = tmp_path / ".venv" / "lib" / "site-packages"
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(site))
    package(echo="tone_code:Echo", site=site)

    assert backend_of("echo:m").open("echo:m", quiet()).fingerprint.engine == {"backend": "echo"}


def test_the_version_of_a_package_is_code_of_the_model_and_its_address_a_rule(package, tmp_path):
    package(echo="tone_code:Echo")

    assert list(code_of_model("echo:h#m", tmp_path, tmp_path)) == ["tone 1.0, echo = tone_code:Echo"]
    assert runs_code(Options(tmp_path, "echo:h#m"))
    assert is_of_same_kind("model", "echo:h#a", "echo:h#b")
    assert not is_of_same_kind("model", "echo:h#a", "echo:i#a")
    assert not is_of_same_kind("model", "echo:a", "echo:b")  # without an address, it may be anywhere
    assert not is_of_same_kind("model", "openai:http://h/v1#a", "echo:http://h/v1#a")
    assert "tone_code" not in sys.modules
