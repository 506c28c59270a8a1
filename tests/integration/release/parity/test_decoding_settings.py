"""What a model folder says of decoding: what changes or cuts outputs is named, and a healthy folder passes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoConfig

from tests.support.served import compared, make_place, merged_folder, scored
from tunegate.harness.release.parity.configs import config_findings
from tunegate.harness.release.parity.parity import compare_files


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_adapter):
    return make_place(tmp_path_factory.mktemp("decoding"), tiny_model, tiny_adapter)


@pytest.fixture
def merged(place, tmp_path):
    return merged_folder(place, tmp_path / "merged")


def change(folder: Path, file: str, **settings: object) -> Path:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def change_config(folder: Path, **settings: object) -> Path:
    return change(folder, "config.json", **settings)


def change_generation(folder: Path, **settings: object) -> Path:
    return change(folder, "generation_config.json", **settings)


def settings_of(judged, artefact: Path) -> list[str]:
    return [str(each) for each in compare_files(judged, artefact)[0]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder_repetition_penalty", 1.3), ("encoder_no_repeat_ngram_size", 2), ("forced_bos_token_id", 9),
        ("sequence_bias", [[[5], -10.0]]), ("stop_strings", ["e"]), ("exponential_decay_length_penalty", [1, 2.0]),
        ("guidance_scale", 2.0), ("watermarking_config", {"greenlist_ratio": 0.25}),
    ],
)  # fmt: skip
def test_what_else_a_server_may_do_to_greedy_outputs_is_named(tiny_model, merged, name, value):
    change_generation(merged, **{name: value})
    [finding] = config_findings(AutoConfig.from_pretrained(tiny_model), tiny_model, merged)
    assert finding.message == f"{name} is {value} where None was evaluated"


def test_an_end_of_outputs_that_a_folder_lacks_is_named(place, merged):
    judged = scored(place)
    assert settings_of(judged, change_generation(merged, eos_token_id=[0, 2])) == []  # one more
    change_generation(merged, eos_token_id=0)
    assert settings_of(judged, merged) == ["end-of-turn: eos_token_id is [0] where [2] was evaluated"]
    change_config(merged, eos_token_id=0)
    assert settings_of(judged, merged) == ["end-of-turn: eos_token_id is [0] where [2] was evaluated"]
    assert not compared(place, merged).is_shown
    (merged / "generation_config.json").unlink()
    assert settings_of(judged, merged) == ["end-of-turn: eos_token_id is [0] where [2] was evaluated"]


def test_a_folder_that_leaves_the_end_to_another_of_its_files_has_it(place, merged):
    judged = scored(place)
    assert settings_of(judged, change_config(merged, eos_token_id=0)) == []  # the other file goes first
    change_config(change_generation(merged, eos_token_id=None), eos_token_id=2)
    assert settings_of(judged, merged) == []
    (merged / "generation_config.json").unlink()
    assert settings_of(judged, merged) == []
    assert settings_of(judged, change_config(merged, eos_token_id=None)) == []  # the tokenizer's


def test_an_end_that_only_the_tokenizer_of_the_base_has_may_be_its_alone(tmp_path, tiny_model, tiny_adapter):
    base = shutil.copytree(tiny_model, tmp_path / "base")
    change_config(change_generation(base, eos_token_id=0), eos_token_id=0)
    home = make_place(tmp_path / "place", base, tiny_adapter, cases=2)
    judged, merged = scored(home), merged_folder(home, tmp_path / "merged")

    assert settings_of(judged, merged) == []
    assert settings_of(judged, change_generation(merged, eos_token_id=[0, 2])) == []
    change_generation(merged, eos_token_id=2)
    assert settings_of(judged, merged) == ["end-of-turn: eos_token_id is [2] where [0, 2] was evaluated"]


def test_a_limit_that_cuts_evaluated_outputs_is_named(place, merged):
    judged = scored(place)
    assert settings_of(judged, change_generation(merged, max_new_tokens=6)) == []
    change_generation(merged, max_new_tokens=5)
    assert settings_of(judged, merged) == ["config: max_new_tokens is 5 where 6 was evaluated"]
