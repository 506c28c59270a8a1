"""Writing what `init` made into a repository: nothing is overwritten, and all of it is written or none."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Refused, show_path
from tunegate.harness.core.project import PROJECT
from tunegate.harness.core.reading import read_text
from tunegate.harness.models.model_options import split_server
from tunegate.harness.models.served.http_client import key_host
from tunegate.harness.options.settings import read_settings
from tunegate.harness.scaffold.origin import PLACEHOLDER, requirement
from tunegate.harness.scaffold.task import NewTask, render

ANSWERS = Path("outputs/expected.jsonl")
MODEL = f"replay:expected={ANSWERS.as_posix()}"
WORKFLOW = Path(".github/workflows/tunegate.yml")
CHECKED = (
    "# the expected answers themselves, and no model: with them `pytest` checks the fixtures; name your model here\n"
)
SERVER_EXTRA = "server"


@dataclass
class Changes:
    """What is written: new files, what is added to the end of others, and notes on what stays as it is."""

    new: dict[Path, str] = field(default_factory=dict)
    added: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_task(task: NewTask, root: Path, cases: Path, model: str = "") -> Changes:
    """Write a task below `cases`, and what its repository needs once, below `root`.

    With a `model` that a server answers for, the settings and the workflow ask that one.

    Raises:
        Refused: a file is there already, or pyproject.toml cannot be read, or it is no such model; nothing was written.
        CouldNotRun: the disk did not take it; what was written is gone again.
    """
    _refuse_others_files(root, cases)
    changes = Changes({cases / task.name / name: text for name, text in task.files.items()})
    _settle_settings(changes, task, root, cases, model)
    _settle_workflow(changes, root, cases, model)
    if not (ignored := root / ".gitignore").exists():
        changes.new[ignored] = "# runs and locks, made anew at any time\n.tunegate/\n*.lock\n"
    elif ".tunegate/" not in read_text(ignored).split():
        changes.notes.append("add .tunegate/ and *.lock to .gitignore: runs and locks are not for git")
    _refuse_standing(changes, cases / task.name)
    _write(changes)
    return changes


def _refuse_others_files(root: Path, cases: Path) -> None:
    """Where nobody has used Tunegate yet, a folder of the same name may hold something else."""
    if "tunegate" in _tools(root / PROJECT) or not cases.is_dir():
        return
    try:
        load_tasks(cases)
    except AuthoringError as error:
        raise Refused(
            f"{show_path(cases)}: expected a folder for fixtures alone, found other files in it "
            f"({show_path(error.problems[0].file)}); nothing was written; name another one: --cases evals"
        ) from error
    except Refused:
        return  # there are no tasks yet


def _settle_settings(changes: Changes, task: NewTask, root: Path, cases: Path, model: str) -> None:
    """Let `pytest` find the fixtures and a model: in a table of its own, unless there is one."""
    settings, file, outputs = read_settings(root), root / PROJECT, root / ANSWERS
    lines = "".join(json.dumps({"case": key, "output": output}) + "\n" for key, output in task.outputs.items())
    if settings.get("model") == MODEL and outputs.is_file():
        changes.added[outputs] = _line_end(outputs.read_bytes()) + lines
        return
    if "tunegate" in _tools(file):
        other = f'; for this one: model = "{model}"' if model and settings.get("model") != model else ""
        changes.notes.append(
            f"{show_path(file)} has a table [tool.tunegate], which stays as it is: `pytest` asks its model{other}"
        )
        return
    table = f"[tool.tunegate]\n{'' if model else CHECKED}model = {_quoted(model or MODEL)}\n"
    if (folder := relative(cases, root)) != "fixtures":
        table += f"cases = {json.dumps(folder)}\n"
    if file.is_file():
        changes.added[file] = _as_end(file, table)
    else:
        changes.new[file] = table
    if not model:
        changes.new[outputs] = lines


def _quoted(text: str) -> str:
    """A text in quotes, as TOML and YAML take it."""
    return json.dumps(text, ensure_ascii=False)


def _tools(file: Path) -> Mapping[str, object]:
    tools = tomllib.loads(file.read_text("utf-8")).get("tool", {}) if file.is_file() else {}
    return tools if isinstance(tools, dict) else {}


def _line_end(content: bytes) -> str:
    return "" if not content or content.endswith(b"\n") else "\n"


def _as_end(file: Path, table: str) -> str:
    """What is to be added to a pyproject.toml so that it ends with the table."""
    content = file.read_bytes()
    added = _line_end(content) + ("\n" if content.strip() else "") + table
    if b"\r\n" in content:
        added = added.replace("\n", "\r\n")
    try:
        tomllib.loads((content.decode() + added).replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise Refused(
            f"{show_path(file)}: expected a file that takes a table [tool.tunegate] at its end, found one that "
            f"does not ({error}); nothing was written; add the table yourself: model = {json.dumps(MODEL)}"
        ) from error
    return added


def _settle_workflow(changes: Changes, root: Path, cases: Path, model: str) -> None:
    """A workflow lives at the top of the checkout, also where the project is a folder in it."""
    top = next((folder for folder in (root, *root.resolve().parents) if (folder / ".git").exists()), root)
    file = top / WORKFLOW
    if file.exists():
        changes.notes.append(f"{show_path(file)} is there and stays as it is")
        return
    folder = relative(root, top)
    host = key_host(split_server(model)[0]) if model else ""
    installed = requirement(SERVER_EXTRA) if model else requirement()
    if PLACEHOLDER in installed:
        changes.notes.append(f"{show_path(file)} stops until its TUNEGATE names a commit, or a wheel with its #sha256=")
    changes.new[file] = render(
        "workflow.yml.j2", folder="" if folder == "." else folder, fixtures=relative(cases, root),
        outputs=relative(root / ANSWERS.parent, top), requirement=installed,
        model=model and _quoted(model), host=_quoted(host),
    )  # fmt: skip


def relative(path: Path, start: Path) -> str:
    """`path` as it is typed in the folder `start`."""
    return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()


def _refuse_standing(changes: Changes, folder: Path) -> None:
    standing = [show_path(path) for path in changes.new if os.path.lexists(path)]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not standing:
        standing = [show_path(folder)]
    if standing:
        raise Refused(
            f"expected nothing in the way, found {', '.join(standing)}; nothing was written: choose another TASK, or "
            "move them; to add cases to a task, add a file beside its others"
        )


def _write(changes: Changes) -> None:
    """Write every file or none: where one cannot be written, those that were are taken back."""
    sizes = {path: path.stat().st_size for path in changes.added}
    made: list[Path] = []
    try:
        for path, text in changes.new.items():
            made += _make_folders(path.parent)
            with path.open("x", encoding="utf-8", newline="\n") as stream:  # x: whoever was faster is not overwritten
                made.append(path)
                stream.write(text)
        for path, text in changes.added.items():
            with path.open("a", encoding="utf-8", newline="") as stream:
                stream.write(text)
    except BaseException as error:
        for path, size in sizes.items():
            with suppress(OSError):
                os.truncate(path, size)
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            said = f"expected a place to write, found: {error.strerror}; nothing was written"
            raise CouldNotRun(f"{show_path(Path(error.filename or '.'))}: {said}") from error
        raise


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; the ones that were not there, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]
