"""The trees of a change: the files of each side that own checks find around them, and no other Python."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from tunegate.harness.checks.imports import imported_files, is_importable
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.git import MOST_OF_A_FILE, git, read_blobs
from tunegate.harness.core.project import PROJECT

PER_TASK = re.compile(r"(?:(.*)/)?fixtures/[^/]+/task\.yaml")  # of a project without settings


def lay_work_tree(root: Path, into: Path, file: Path, but: Collection[Path]) -> None:
    """Copy the files of a work tree that git does not ignore, for the checks in one of them.

    Left out are links, what is larger than `MOST_OF_A_FILE`, Python that those checks cannot import, and all below
    `but`: outputs and adapters are what is evaluated, no rule.
    """
    code = imported_files(file)
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in sorted(set(listed.decode("utf-8", "surrogateescape").split("\0")) - {""}):
        path = root / name
        if _is_laid(path, code) and not any(path.is_relative_to(each) for each in but):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into / name)


def keep_importable(tree: Path, file: Path) -> None:
    """Delete the Python of a tree that the checks in one of its files cannot import."""
    code = imported_files(file)
    for path in [each for each in tree.rglob("*") if each.is_file()]:
        if not _is_laid(path, code):
            path.unlink()


def _is_laid(path: Path, code: Collection[Path]) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_OF_A_FILE:
        return False
    return path in code or not is_importable(path.name)


def tree_digest(tree: Path) -> str:
    """SHA-256 (hex) of all files of a tree, by their names."""
    files = (each for each in sorted(tree.rglob("*")) if each.is_file())
    return digest({each.relative_to(tree).as_posix(): file_digest(each) for each in files})


def check_inside(root: Path, **named: Path | None) -> None:
    """Refuse what a setting names outside of the project, and links in it that lead there."""
    home = Path(os.path.realpath(root))
    for name, path in named.items():
        inside = [path, *(each for each in path.rglob("*") if each.is_symlink())] if path else []
        for each in inside:
            if not (there := Path(os.path.realpath(each))).is_relative_to(home):
                raise Refused(
                    f"{name}: expected {show_path(each)} to lie in the project, {show_path(home)}, found that it leads "
                    f"to {there}; copy it into the project: under --policy-from nothing outside it decides"
                )


def projects_at(root: Path, commit: str) -> list[str]:
    """The folders of a commit's whole repository that hold a Tunegate project, from its top (which is `.`)."""
    listed = git(root, "ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape").split("\0")
    blobs = {path: about.split()[2] for about, _, path in (line.partition("\t") for line in listed) if path}
    found = {each[1] or "." for each in map(PER_TASK.fullmatch, blobs) if each}
    settings = [path for path in blobs if PurePosixPath(path).name == PROJECT]
    texts = read_blobs(root, [blobs[path] for path in settings])
    found |= {str(PurePosixPath(path).parent) for path, text in zip(settings, texts, strict=True) if _is_project(text)}
    return sorted(found)


def _is_project(text: bytes) -> bool:
    if b"tunegate" not in text:
        return False
    try:
        return "tunegate" in tomllib.loads(text.decode()).get("tool", {})
    except (ValueError, RecursionError):
        return True  # it cannot be read, and names it
