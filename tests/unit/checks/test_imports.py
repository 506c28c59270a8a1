"""Which files a check may import: those count in its digest, and others are not there."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.imports import imported_files, imports_digest, is_importable


@pytest.fixture
def folder(tmp_path):
    """Writes files below a folder; returns the names of those that checks.py may import."""

    def write(**texts: str) -> list[str]:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [path.relative_to(tmp_path).as_posix() for path in imported_files(tmp_path / "checks.py")]

    return write


def test_whatever_may_lead_to_a_module_counts(folder):
    for text in [
        "import a", "import a.b", "from a import b", "from a.b import c", "from .a import b",
        "from . import a", "def f():\n    import a", "if x:\n    from a import *",
        "importlib.import_module('a')", "x = 'a.b'", "import a as z, json",
        "from a import (\n    b,\n)", "try:\n    import a\nexcept ImportError:\n    pass",
        "__import__('a')",
    ]:  # fmt: skip
        found = folder(checks=text, a__in____init__="", a__in__b="c = 1", other="")
        assert "a/__init__.py" in found
        assert "other.py" not in found


def test_imports_are_followed(folder):
    assert folder(checks="import a", a="import b", b="from c import d", c="", e="") == [
        "a.py",
        "b.py",
        "c.py",
        "checks.py",
    ]


def test_relative_imports_count_from_where_they_stand(folder):
    found = folder(
        checks="import p.q", p__in____init__="", p__in__q="from .. import top\nfrom . import r", p__in__r="", top=""
    )
    assert found == ["checks.py", "p/__init__.py", "p/q.py", "p/r.py", "top.py"]


def test_what_is_installed_or_no_python_does_not(folder):
    assert folder(checks="import json, torch, nowhere\nfrom ......... import far") == ["checks.py"]
    assert folder(checks="def f(:") == ["checks.py"]


def test_an_extension_counts_and_bytecode_cannot_be_read(folder, tmp_path):
    (tmp_path / "fast.so").write_bytes(b"\x7fELF")
    (tmp_path / "slow.pyc").write_bytes(b"")
    assert folder(checks="import fast, slow") == ["checks.py", "fast.so"]
    assert is_importable("slow.pyc")
    assert not is_importable("words.txt")


def test_the_digest_is_of_all_of_them(folder, tmp_path):
    folder(checks="import a", a="x = 1", other="")
    before = imports_digest(tmp_path / "checks.py")
    folder(other="edited")
    assert imports_digest(tmp_path / "checks.py") == before
    folder(a="x = 2")
    assert imports_digest(tmp_path / "checks.py") != before
