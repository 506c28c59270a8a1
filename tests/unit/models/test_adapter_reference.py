"""`NAME.ref`: an adapter by where it lies and which one it is."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapter_reference import adapter_folder, find_adapter
from tunegate.harness.models.adapters import CONFIG, TRAINING, WEIGHTS, adapter_digest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def adapter(tmp_path) -> Path:
    folder = tmp_path / "made" / "support"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / CONFIG).write_text('{"r": 16}')
    (folder / TRAINING).write_text("{}")
    (folder / "evil.py").write_text("raise SystemExit(0)")
    return folder


def refer(source: str, sha: str) -> Path:
    path = Path("support.ref")
    path.write_text(json.dumps({"version": 1, "adapter": sha, "from": source}))
    return path


def zipped(folder: Path, *more: tuple[str, bytes]) -> str:
    path = folder.parent / "support.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"deep/{file.name}")
        for name, content in more:
            archive.writestr(name, content)
    return path.as_uri()


def tarred(folder: Path) -> str:
    path = folder.parent / "support.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "support")
    return path.as_uri()


def test_a_folder_is_itself(adapter):
    assert adapter_folder(adapter, quiet()) == adapter


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_is_fetched_once_and_holds_the_adapter_alone(adapter, pack):
    given = refer(pack(adapter), adapter_digest(adapter))
    found = adapter_folder(given, quiet())
    assert found.name == "support"
    assert sorted(path.name for path in found.iterdir()) == sorted([WEIGHTS, CONFIG, TRAINING])
    for packed in adapter.parent.glob("support.*"):
        packed.unlink()
    assert adapter_folder(given, quiet()) == found


def test_a_folder_beside_the_file(adapter):
    assert adapter_folder(refer("made/support", adapter_digest(adapter)), quiet()) == Path("made/support")


@pytest.mark.parametrize("where", ["made/support", "archive"])
def test_another_adapter_is_refused_and_nothing_is_kept(adapter, where, tmp_path):
    source = zipped(adapter) if where == "archive" else where
    with pytest.raises(AuthoringError, match=r"support\.ref:1: adapter: expected the adapter aaaaaaaa at .*, found"):
        adapter_folder(refer(source, "a" * 64), quiet())
    assert not list((tmp_path / "cache").rglob(WEIGHTS))


def test_two_of_one_name_are_refused(adapter):
    with pytest.raises(Refused, match=r"expected one adapter_model\.safetensors, found several"):
        adapter_folder(refer(zipped(adapter, (WEIGHTS, b"others")), adapter_digest(adapter)), quiet())


def test_a_path_out_of_the_archive_lands_inside(adapter, tmp_path):
    sha = adapter_digest(adapter)
    (adapter / TRAINING).unlink()
    found = adapter_folder(refer(zipped(adapter, (f"../../{TRAINING}", b"{}")), sha), quiet())
    assert (found / TRAINING).read_bytes() == b"{}"
    assert len(list(tmp_path.rglob(TRAINING))) == 1


def test_what_cannot_be_fetched(adapter, tmp_path):
    with pytest.raises(CouldNotRun, match="did not deliver an adapter"):
        adapter_folder(refer((tmp_path / "gone.zip").as_uri(), "a" * 64), quiet())
    (tmp_path / "odd.zip").write_bytes(b"odd")
    with pytest.raises(CouldNotRun, match="did not deliver an adapter"):
        adapter_folder(refer((tmp_path / "odd.zip").as_uri(), "a" * 64), quiet())


NO_PLACES = ("ftp://example.org/a.zip", "http://example.org/a.zip", "http://localhost.example.org/a.zip", "nowhere")


def test_other_places_are_refused():
    for source in NO_PLACES:
        with pytest.raises(AuthoringError, match=r"support\.ref:1: from: expected a folder beside"):
            adapter_folder(refer(source, "a" * 64), quiet())


def test_an_edited_cache_is_refused(adapter):
    given = refer(zipped(adapter), adapter_digest(adapter))
    (adapter_folder(given, quiet()) / WEIGHTS).write_bytes(b"others")
    with pytest.raises(AuthoringError, match="expected the adapter"):
        adapter_folder(given, quiet())


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_kept_one_that_cannot_be_read_is_kept_anew(adapter, name):
    sha = adapter_digest(adapter)
    kept = find_adapter(adapter, sha, quiet())
    assert kept != adapter
    (kept / name).write_bytes(b"")

    assert find_adapter(adapter, sha, quiet()) == kept
    assert adapter_digest(kept) == sha


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(AuthoringError, match=r"support\.ref:1: from: expected a folder beside") as error:
        adapter_folder(refer("https://me:secret@example.org/a.zip", "a" * 64), quiet())
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("bound", ["MOST", "LONGEST"])
def test_an_archive_without_end_is_left(adapter, tmp_path, monkeypatch, pack, bound):
    given = refer(pack(adapter), adapter_digest(adapter))
    monkeypatch.setattr(f"tunegate.harness.models.adapter_reference.{bound}", 0)
    with pytest.raises(CouldNotRun, match=r"did not deliver an adapter: expected at most [\d,]+ MB in \d+ minutes"):
        adapter_folder(given, quiet())
    assert not list(tmp_path.glob("cache/adapters/*/support"))


def test_what_unpacks_without_end_is_left(adapter, monkeypatch):
    (adapter / WEIGHTS).write_bytes(bytes(1 << 24))
    path = adapter.parent / "small.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(adapter / WEIGHTS, WEIGHTS)
    assert path.stat().st_size < 1 << 20
    monkeypatch.setattr("tunegate.harness.models.adapter_reference.MOST", 1 << 20)
    with pytest.raises(CouldNotRun, match="expected at most 1 MB"):
        adapter_folder(refer(path.as_uri(), "a" * 64), quiet())
