"""A real llama.cpp server on the embedded model's own file: scored, recorded and gated, in token ids and messages."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Project
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.conversion import EMBEDDED
from tunegate.harness.models.served.llama_cpp import serving_gguf

SERVE = """
import signal, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {"smollm2"}
params.n_parallel, params.n_ctx, params.cpuparams.n_threads, params.port = 4, 4096, 1, 0
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
"""
IDS = [f"case{number}" for number in range(8)]
CAPITAL = {
    "prompt": {"system": "Answer in one word.", "template": "What is the capital of France? ({input})"},
    "generate": {"max_new_tokens": 12},
}
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None and not os.environ.get("CI"), reason="xllamacpp is not installed"
)


@pytest.fixture(scope="module")
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own process, and its address."""
    packaged = EMBEDDED["smollm2"]
    spec = importlib.util.find_spec(packaged.package)
    gguf = Path(spec.origin).parent / packaged.file
    command = [sys.executable, "-c", SERVE, gguf]
    server = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield server, server.stdout.readline().strip()
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def desk(project: Project, process) -> Project:
    """Eight cases, and the server as the project's model."""
    project.unit(IDS, **CAPITAL)
    project.policy(triage={"role": "guard", "margin": 0.5})
    settings = f'[tool.tunegate]\nmodel = "openai:{process[1]}/v1#smollm2"\ndeadline = 60\n'
    (project.path / "pyproject.toml").write_text((project.path / "pyproject.toml").read_text() + settings)
    return project


def test_a_module_of_the_working_directory_is_not_what_serves_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("xllamacpp", "tempfile"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    (tmp_path / "model.gguf").write_bytes(b"no model")
    with pytest.raises(CouldNotRun, match=r"expected a model that llama\.cpp can load"):  # noqa: SIM117
        with serving_gguf(tmp_path / "model.gguf", 64, quiet()):
            pass

    assert not (tmp_path / "ran").exists()


IN_IDS = "--tg-tokenizer=smollm2"


def results(project: Project, *options: str) -> dict:
    project.run(*options, "--tg-fresh", "--tg-out=record.json")
    return project.record()["cases"]


@pytest.mark.parametrize("options", [[], [IN_IDS]], ids=["messages", "ids"])
def test_it_is_recorded_and_gated(desk, options):
    assert desk.run("--tg-record", *options).ret == 0
    assert desk.run("--tg-against=baseline", *options, "--tg-out=record.json").ret == 0

    [baseline] = desk.path.glob("baselines/smollm2-*/desk/triage.json")
    engine = json.loads(baseline.read_text())["engine"]
    assert engine == {
        "backend": "openai", "prompt": "token ids" if options else "chat messages", "sampling": "every field"
    }  # fmt: skip


@pytest.mark.parametrize("options", [[], [IN_IDS]], ids=["messages", "ids"])
def test_it_holds_answers_to_their_schema_however_it_is_asked(desk, options):
    desk.unit(IDS, **(CAPITAL | {"generate": {"max_new_tokens": 200}}))
    assert desk.run("--tg-record", "--tg-rung=constrained", *options, "--tg-out=record.json").ret == 0

    record = desk.record()
    assert record["fingerprint"]["engine"]["constraint"] == ("json_schema" if options else "response_format")
    assert record["units"]["desk/triage"]["rates"]["adherence"] == 1.0


def test_it_reads_the_tokens_that_a_local_run_reads(desk):
    served = results(desk, IN_IDS)
    local = results(desk, "--tg-model=smollm2")

    assert [case["tokens_in"] for case in served.values()] == [case["tokens_in"] for case in local.values()]
    assert all("Paris" in case["output"] for case in [*served.values(), *local.values()])


def test_its_own_template_writes_the_prompt_that_ours_does(desk):
    """So that the two ways of asking differ by what a server does, and not by what is measured here."""
    in_ids, in_messages = results(desk, IN_IDS), results(desk)

    assert {key: case["output"] for key, case in in_ids.items()} == {
        key: case["output"] for key, case in in_messages.items()
    }


def test_its_messages_api_gives_the_same_outputs(desk, process):
    """llama.cpp has Anthropic's API, too: the same prompts in another form."""
    other = results(desk, f"--tg-model=anthropic:{process[1]}/v1#smollm2")

    assert {key: case["output"] for key, case in other.items()} == {
        key: case["output"] for key, case in results(desk).items()
    }


def test_it_answers_to_its_own_name_alone(desk, process):
    other = desk.run(f"--tg-model=openai:{process[1]}/v1#smollm3")

    assert other.ret == 4
    assert "expected outputs of smollm3, found outputs of smollm2" in other.stderr.str()


def test_likelihoods_are_refused_with_the_reason(desk):
    file = desk.unit(["passage"], "passages")
    case = {"id": "one", "input": "Paris is the capital of France."}
    asked = {"suite": "retention", "unit": "passages", "check": {"measure": "passages"}, "cases": [case]}
    file.write_text(json.dumps({"version": 1} | asked))
    refused = desk.run(IN_IDS)

    assert refused.ret == 4, refused.stderr.str()
    assert "desk/passages/one: expected log-probabilities of a given text" in refused.stderr.str()


def test_a_server_that_is_killed_leaves_no_record(desk, process):
    assert desk.run("--tg-record").ret == 0
    recorded = len(desk.runs())
    process[0].kill()
    process[0].wait()
    gone = desk.run("--tg-against=baseline")

    assert (gone.ret, len(desk.runs())) == (3, recorded)
    assert "expected a response, found none in 6 tries: ConnectError" in gone.stdout.str()
