"""Which files make a whole model, and what its digest covers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.files import stamped, write_json
from tunegate.harness.models.adapters import CONFIG, TRAINING, adapter_digest, check_base
from tunegate.harness.models.identity import ModelFiles
from tunegate.harness.models.whole_model import is_whole_model, whole_model_files

BASE = ModelFiles("base", "1" * 64, "2" * 64, "3" * 64)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model of two shards, with a tokenizer and files beside it."""
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    for name in (*shards.values(), "tokenizer.json", "README.md", "optimizer.pt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    return tmp_path


def test_only_weights_settings_and_tokenizer_make_it(folder):
    assert is_whole_model(folder)
    assert whole_model_files(folder) == [
        "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors", "config.json", "tokenizer.json",
    ]  # fmt: skip


def test_a_folder_with_an_adapter_is_an_adapter(folder):
    (folder / CONFIG).write_text("{}")
    assert not is_whole_model(folder)


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("model-2.safetensors", "x", True),
        ("config.json", '{"model_type": "llama", "rms_norm_eps": 1}', True),
        ("generation_config.json", '{"eos_token_id": 7}', True),
        ("generation_config.json", '{"repetition_penalty": 1.8}', True),
        ("generation_config.json", '{"transformers_version": "5.0", "pad_token_id": 2, "top_k": null}', False),
        ("tokenizer.json", "x", True),
        ("chat_template.jinja", "x", True),
        ("special_tokens_map.json", "{}", True),
        ("a_file_that_nobody_knows.json", "{}", True),
        ("README.md", "x", False),
        ("training.json", "{}", False),
    ],
)
def test_its_digest_covers_what_determines_outputs(folder, file, text, counts):
    before = adapter_digest(folder)
    (folder / file).write_text(text)
    assert (adapter_digest(folder) != before) == counts


def test_a_missing_shard_is_named(folder):
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(CouldNotRun, match=r"or model\.safetensors\.index\.json and its shards, found none"):
        adapter_digest(folder)


def test_its_base_is_known_by_its_record_only(folder):
    with pytest.raises(Refused, match=r"a whole model that was adopted for its base, found one without training\.json"):
        check_base(folder, BASE)
    diagnosis = {"digest": None, "remedies": {}, "against": [], "override": "x"}
    adoption = {"model": "base", "origin": "x", "named_base": None, "trainer": None, "claim": "unknown", "said": "x",
                "notes": [], "whole": True}  # fmt: skip
    digest = adapter_digest(folder)
    write_json(folder / TRAINING, stamped({
        "schema_version": 1, "task": "desk", "adapter": digest, "model": BASE.as_dict(), "rows": [],
        "diagnosis": diagnosis, "adoption": adoption,
    }))  # fmt: skip
    check_base(folder, BASE, digest)
    (folder / "model-1.safetensors").write_text("x")
    with pytest.raises(Refused, match=f"that its training.json describes \\({digest[:8]}\\), found .*: they changed"):
        check_base(folder, BASE, adapter_digest(folder))
