from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import ROOT
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.files import file_digest
from tunegate.harness.models.resolve import EMBEDDED, ModelFiles, Packaged, identify, resolve


@pytest.fixture
def copy(tiny_model, tmp_path) -> Path:
    """A copy of the tiny model that a test may change."""
    return shutil.copytree(tiny_model, tmp_path / "copy")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# names


def test_a_folder_is_its_own_model(tiny_model):
    assert resolve(str(tiny_model)) == tiny_model


# identity


def saved_again(folder: Path, into: Path) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)
    return into


def test_the_same_model_saved_again_or_moved_is_the_same(copy, tiny_model, tmp_path):
    again = saved_again(copy, tmp_path / "again")

    assert identify("m", again) == identify("m", copy) == identify("m", tiny_model)


def test_what_wrote_a_model_is_no_part_of_it(copy, tiny_model):
    edit(copy / "config.json", transformers_version="4.0", _name_or_path="/elsewhere", torch_dtype="float32")
    (copy / "README.md").write_text("Changed.")

    assert identify("m", copy) == identify("m", tiny_model)


def changes(before: ModelFiles, after: ModelFiles) -> list[str]:
    return [part for part in ("base", "tokenizer", "template") if getattr(before, part) != getattr(after, part)]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda folder: flip_a_bit(folder / "model.safetensors"), "base"),
        (lambda folder: edit(folder / "config.json", rope_theta=5.0), "base"),
        (lambda folder: edit(folder / "generation_config.json", eos_token_id=7), "base"),
        (lambda folder: edit(folder / "tokenizer.json", truncation=None, added="x"), "tokenizer"),
        (lambda folder: edit(folder / "tokenizer_config.json", eos_token="<|start|>"), "tokenizer"),  # noqa: S106
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"), "template"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "template"),
    ],
    ids=["weight", "config", "end", "tokenizer", "token", "template", "no-template"],
)
def test_each_change_is_seen_where_it_belongs(copy, tiny_model, change, seen):
    before = identify("m", tiny_model)
    change(copy)

    after = identify("m", copy)

    assert changes(before, after) == [seen]
    assert after.slug != before.slug


def test_a_template_counts_the_same_in_either_place(copy, tiny_model):
    template = copy / "chat_template.jinja"
    edit(copy / "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()

    assert identify("m", copy) == identify("m", tiny_model)


def test_the_slug_is_the_name_and_eight_digits_of_the_digest(tiny_model):
    slug = identify("owner/Tiny", tiny_model).slug

    assert slug.startswith("Tiny-")
    assert len(slug) == len("Tiny-") + 8


def test_a_folder_without_safetensors_is_no_model(copy):
    (copy / "model.safetensors").unlink()

    with pytest.raises(
        CouldNotRun, match=r"expected model\.safetensors, or model\.safetensors\.index\.json and its shards"
    ):
        identify("m", copy)


def test_a_pickle_that_would_be_loaded_is_no_model(copy):
    (copy / "model.safetensors").rename(copy / "others.safetensors")
    (copy / "pytorch_model.bin").write_bytes(b"a pickle")

    with pytest.raises(CouldNotRun, match=r"found pytorch_model\.bin, which may run code when loaded"):
        identify("m", copy)


def test_weights_that_are_not_loaded_do_not_count(copy, tiny_model):
    (copy / "others.safetensors").write_bytes(b"others")
    (copy / "pytorch_model.bin").write_bytes(b"a pickle")

    assert identify("m", copy) == identify("m", tiny_model)


def shard(folder: Path, into: Path) -> Path:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(into, max_shard_size="20KB")
    for file in folder.iterdir():
        if not (into / file.name).exists() and file.suffix != ".safetensors":
            shutil.copy(file, into)
    return into


def test_shards_count_by_their_index(tiny_model, tmp_path):
    folder = shard(tiny_model, tmp_path / "shards")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    before = identify("m", folder)
    last = sorted(folder.glob("model-*.safetensors"))[-1]
    flip_a_bit(last)
    assert changes(before, identify("m", folder)) == ["base"]
    last.unlink()
    with pytest.raises(CouldNotRun, match="and its shards, found none"):
        identify("m", folder)


@pytest.mark.parametrize("named", ["../weights.safetensors", "weights.bin", "deep/weights.safetensors"])
def test_weights_that_a_configuration_finds_elsewhere_are_no_model(copy, named):
    edit(copy / "config.json", transformers_weights=named)
    (copy / "weights.bin").write_bytes(b"a pickle")
    with pytest.raises(CouldNotRun, match=r"expected .*weights"):
        identify("m", copy)


def test_an_adapter_in_the_folder_of_a_base_is_refused(copy):
    (copy / "adapter_config.json").write_text("{}")
    with pytest.raises(Refused, match="expected a base model, found an adapter in its folder"):
        identify("m", copy)


def test_a_class_of_a_models_own_reads_a_file_otherwise_than_the_file_says(copy, tiny_model):
    """Llama's splits at its own places, whatever tokenizer.json says of them."""
    digests = []
    for name in ("TokenizersBackend", "PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "T5Tokenizer"):
        edit(copy / "tokenizer_config.json", tokenizer_class=name)
        digests.append(identify("m", copy).tokenizer)
    plain, again, llama, fast, t5 = digests
    assert plain == again == identify("m", tiny_model).tokenizer
    assert llama == fast
    assert len({plain, llama, t5}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
        lambda folder: (folder / "vocab.txt").write_text("a"),
        lambda folder: edit(folder / "tokenizer_config.json", additional_special_tokens=["yes"]),
        lambda folder: edit(folder / "tokenizer_config.json", added_tokens_decoder={"1": {"content": "yes"}}),
        lambda folder: edit(folder / "tokenizer_config.json", clean_up_tokenization_spaces=True),
    ],
)
def test_whatever_shapes_tokens_or_text_is_seen(copy, tiny_model, change):
    change(copy)
    assert changes(identify("m", tiny_model), identify("m", copy)) == ["tokenizer"]


# the embedded model, converted once


@dataclass
class Steps:
    """A watch that remembers the steps it was shown."""

    seen: list[str] = field(default_factory=list)

    @contextmanager
    def __call__(self, step: str, total: int | None = None) -> Iterator[object]:
        self.seen.append(step.split()[0])
        yield lambda more, note="", work=None: None


def write_gguf(path: Path) -> None:
    """A one-layer Llama of 8 units with a 98-token vocabulary, as llama.cpp would ship it."""
    from gguf import GGUFWriter

    tokens = ["<|unk|>", "<|start|>", "<|end|>", *map(chr, range(33, 127)), "Ġ", "Ċ", "ab"]
    writer = GGUFWriter(path, "llama")
    for name, value in {
        "block_count": 1, "context_length": 64, "embedding_length": 8, "feed_forward_length": 16, "head_count": 2,
        "head_count_kv": 2, "layer_norm_rms_eps": 1e-5, "rope_dimension_count": 4, "vocab_size": len(tokens),
        "tokenizer_model": "gpt2", "tokenizer_pre": "default", "token_list": tokens, "token_merges": ["a b"],
        "token_types": [3] * 3 + [1] * (len(tokens) - 3), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        "chat_template": "{{ messages }}",
    }.items():  # fmt: skip
        getattr(writer, f"add_{name}")(value)
    shapes = {"token_embd": (len(tokens), 8), "output": (len(tokens), 8), "output_norm": (8,)}
    shapes |= {f"blk.0.attn_{name}": (8, 8) for name in ("q", "k", "v", "output")} | {"blk.0.attn_norm": (8,)}
    shapes |= {"blk.0.ffn_gate": (16, 8), "blk.0.ffn_up": (16, 8), "blk.0.ffn_down": (8, 16), "blk.0.ffn_norm": (8,)}
    draw = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", draw.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A Python package with a tiny GGUF file in it, as a folder for `sys.path`."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "tiny_gguf").mkdir()
    (folder / "tiny_gguf/__init__.py").write_text("")
    write_gguf(folder / "tiny_gguf/tiny.gguf")
    return folder


@pytest.fixture(scope="module")
def source(package) -> Packaged:
    return Packaged("tiny_gguf", "tiny.gguf", file_digest(package / "tiny_gguf/tiny.gguf"), "pip install tiny")


@pytest.fixture(scope="module")
def cached(package, source, tmp_path_factory) -> Path:
    """A cache in which the tiny package has been converted."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(package)
        patch.setenv("TUNEGATE_CACHE", str(cache))
        patch.setitem(EMBEDDED, "tiny", source)
        resolve("tiny")
    return cache


@pytest.fixture
def cache(cached, package, source, tmp_path, monkeypatch) -> Path:
    """The converted cache of the test's own, with the package beside it."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(EMBEDDED, "tiny", source)
    return shutil.copytree(cached, tmp_path / "cache")


def test_a_packaged_model_is_converted_and_loads(cache, package):
    from transformers import AutoModelForCausalLM

    folder = resolve("tiny")

    assert folder.parent == cache / "models"
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 8
    assert [path.name for path in folder.parent.iterdir() if path != folder] == [f"{folder.name}.lock"]
    assert not set(package.rglob("*")) - {package / "tiny_gguf", *(package / "tiny_gguf").iterdir()}


def test_what_is_converted_is_not_converted_again(cache):
    steps = Steps()

    resolve("tiny", steps)

    assert steps.seen == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b"short"),
        lambda folder: (folder / "converted.json").write_text('{"files"'),
        lambda folder: (folder / "converted.json").write_text("[]"),
        lambda folder: (folder / "converted.json").unlink(),
        shutil.rmtree,
    ],
    ids=["missing", "truncated", "marker-damaged", "marker-other", "marker-missing", "nothing"],
)
def test_a_damaged_folder_is_converted_again(cache, damage):
    folder = resolve("tiny")
    before = identify("tiny", folder)
    damage(folder)
    (folder.parent / f".{folder.name}.converting/left").mkdir(parents=True)  # by a killed run
    steps = Steps()

    assert identify("tiny", resolve("tiny", steps)) == before
    assert steps.seen == ["Checking", "Converting"]
    assert not (folder.parent / f".{folder.name}.converting").exists()


def test_another_file_than_the_known_one_is_refused(tmp_path, monkeypatch, package, source):
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path))
    monkeypatch.setitem(EMBEDDED, "tiny", Packaged(source.package, source.file, "0" * 64, source.install))

    with pytest.raises(Refused, match=rf"expected sha256 0+, found {source.sha256}; reinstall: pip install tiny"):
        resolve("tiny")
    assert not list(tmp_path.glob("models/*/"))


@pytest.mark.parametrize(("name", "file"), [("no_such_package", "tiny.gguf"), ("tiny_gguf", "none.gguf")])
def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch, package, name, file):
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path))
    monkeypatch.setitem(EMBEDDED, "tiny", Packaged(name, file, "0" * 64, "pip install tiny"))

    with pytest.raises(CouldNotRun, match=rf"embedded model in the package {name}, found none; pip install tiny"):
        resolve("tiny")


SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {package!r}]
from rich.console import Console
from tunegate.harness.models.resolve import EMBEDDED, Packaged, identify, resolve
from tunegate.harness.core.progress import watch_on
EMBEDDED["tiny"] = Packaged("tiny_gguf", "tiny.gguf", {sha!r}, "")
print(identify("tiny", resolve("tiny", watch_on(Console()))).slug)
"""


def test_two_processes_at_once_convert_once(tmp_path, monkeypatch, package, source):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path))
    script = SCRIPT.format(root=str(ROOT), package=str(package), sha=source.sha256)

    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert "".join(said).count("Converting tiny") == 1
    assert len({text.splitlines()[-1] for text in said}) == 1
