"""Damaged folders of models and adapters: each damage is told as one, or does no harm."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.damages import GONE, VALUES, Damage, of_bytes, of_data
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local

MODEL = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja", "model.safetensors",
)  # fmt: skip
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
ASKED = (
    Request("desk/a/b", (("system", "Sort."), ("user", "Hm")), Decoding(max_new_tokens=3)),
    Request("desk/a/c", (("user", "Hm"),), Decoding(), texts=("a", "b")),
)


@pytest.fixture
def folders(tiny_model: Path, tiny_adapter: Path, tmp_path: Path) -> Path:
    """A model and an adapter on it, to be damaged."""
    shutil.copytree(tiny_model, tmp_path / "model")
    shutil.copytree(tiny_adapter, tmp_path / "adapter")
    (tmp_path / "model" / "special_tokens_map.json").write_text('{"eos_token": "<|end|>"}')
    return tmp_path


def ask(folders: Path, adapter: bool) -> None:
    model = Local(str(folders / "model"), quiet(), folders / "adapter" if adapter else None)
    assert model.fingerprint.subject["base"]
    assert len(list(model.complete(ASKED))) == len(ASKED)


def untold(folders: Path, file: str, damages: Iterator[tuple[str, Damage]]) -> list[str]:
    """The damages of a file that end in anything but outputs or a clear error."""
    path, wrong = folders / ("adapter" if file in ADAPTER else "model") / file, []
    whole = path.read_bytes()
    for name, damage in damages:
        damage(path)
        try:
            ask(folders, file in ADAPTER)
        except (CouldNotRun, Refused) as error:
            if not is_told(str(error), folders):
                wrong.append(f"{name}: {error}")
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(whole)
    ask(folders, file in ADAPTER)
    return wrong


def is_told(said: str, folders: Path) -> bool:
    """Whether an error names the folder, or where only the prompt shows it the model, and what was found."""
    named = str(folders) in said or "that model can see" in said
    return named and any(words in said for words in ("expected ", "failed on", "not acting"))


@pytest.mark.parametrize("file", [*MODEL, *ADAPTER])
def test_another_text_or_no_file_in_its_place_is_told(folders: Path, file: str) -> None:
    assert untold(folders, file, of_bytes()) == []


PLACES = [
    *(("config.json", below) for below in ((), ("rope_parameters",))),
    *(("tokenizer.json", below) for below in ((), ("model",), ("pre_tokenizer",), ("decoder",))),
    *((file, ()) for file in ("generation_config.json", "tokenizer_config.json", "adapter_config.json")),
]


@pytest.mark.parametrize(("file", "below"), PLACES)
def test_values_of_other_types_are_told(folders: Path, file: str, below: tuple[str, ...]) -> None:
    path = folders / ("adapter" if file in ADAPTER else "model") / file
    kinds = len([*VALUES, GONE])
    # of the thirteen values and no value each key gets two
    some = (each for n, each in enumerate(of_data(path, below)) if (n + n // kinds) % 7 == 0)
    assert untold(folders, file, some) == []


@pytest.mark.parametrize(("file", "name"), [
    ("config.json", "num_hidden_layers=1000000000000"), ("config.json", "num_hidden_layers=-1"),
    ("config.json", "model_type=GONE"), ("config.json", "vocab_size=1000000000000"),
    ("config.json", "hidden_size=1000000000000"), ("config.json", 'dtype="x"'),
    ("generation_config.json", "eos_token_id={}"), ("tokenizer_config.json", "model_max_length=[]"),
    ("tokenizer.json", "model=null"), ("adapter_config.json", "alora_invocation_tokens=-1"),
    ("adapter_config.json", "target_modules=true"), ("adapter_config.json", "r=0"),
])  # fmt: skip
def test_what_libraries_stumble_over_is_a_clear_error(folders: Path, file: str, name: str) -> None:
    path = folders / ("adapter" if file in ADAPTER else "model") / file
    [damage] = [damage for each, damage in of_data(path) if each == name]
    damage(path)
    with pytest.raises(TunegateError) as told:
        ask(folders, file in ADAPTER)
    assert told.value.exit_code in (3, 4)
    assert is_told(str(told.value), folders)


def test_shards_that_an_index_names_wrongly_are_told(folders: Path) -> None:
    model = folders / "model"
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    shard = '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    for text in (
        "null",
        "[]",
        '{"weight_map": []}',
        '{"weight_map": {"a": 1}}',
        shard.replace("00001", "3"),
        shard,
        "{",
    ):
        (model / "model.safetensors.index.json").write_text(text)
        with pytest.raises((CouldNotRun, Refused)) as told:
            ask(folders, adapter=False)
        assert str(model) in str(told.value), text


def test_weights_of_other_shapes_are_told(folders: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path, adapter in ((folders / "model/model.safetensors", False), (folders / "adapter" / ADAPTER[1], True)):
        whole = load_file(path)
        names = itertools.islice(whole, 4)
        for name in names:
            save_file({**whole, name: whole[name][..., :3].contiguous()}, path, {"format": "pt"})
            with pytest.raises((CouldNotRun, Refused)) as told:
                ask(folders, adapter)
            assert str(folders) in str(told.value)
        save_file(whole, path, {"format": "pt"})
