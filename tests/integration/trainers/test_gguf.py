"""The whole loop on a GGUF file: recorded, diagnosed, trained on in bfloat16, with weights of tokens, and evaluated."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.support.tiny import write_gguf
from tests.support.training import Place, record_in
from tunegate.harness.cli.main import app
from tunegate.harness.core.files import file_digest
from tunegate.harness.models.evaluation.record import read_record


@pytest.fixture
def place(tmp_path, tiny_model, monkeypatch) -> Place:
    """A place with a quantized file, its baseline and its diagnosis, as working directory."""
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    write_gguf(tmp_path / "place/small.gguf", tiny_model, "Q8_0")
    found = Place(tmp_path / "place")
    record_in(found, "small.gguf")
    return found


def test_a_gguf_file_goes_through_the_whole_loop(place):
    sha256 = file_digest(place.path / "small.gguf")
    assert [path.name for path in (place.path / "baselines").iterdir() if path.name.startswith("small-")]

    place.recipe()
    done = place.train("--dtype=bfloat16")

    assert done.exit_code == 0, done.output
    record = json.loads(place.read("adapter/training.json"))
    assert record["model"]["base"] == sha256
    assert record["training"]["weights"] == "bfloat16"
    assert json.loads(place.read("adapter/adapter_config.json"))["base_model_name_or_path"] == "small.gguf"

    gate = ["gate", "--model=small.gguf", "--adapter=adapter", "--out=run.json"]
    found = CliRunner().invoke(app, gate)
    assert found.exit_code in (0, 1), found.output
    assert sha256 in json.dumps(read_record(place.path / "run.json").fingerprint)

    # the same name, another content: the adapter is not that file's
    data = bytearray((place.path / "small.gguf").read_bytes())
    data[-1] ^= 1
    (place.path / "small.gguf").write_bytes(data)
    refused = CliRunner().invoke(app, gate)
    assert refused.exit_code == 4
    assert f"expected the base it was trained on ({sha256[:8]})" in refused.output
