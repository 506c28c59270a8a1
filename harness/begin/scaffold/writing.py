"""Write a new task into a repository: no file is overwritten, and all files are written or none."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from tunegate.harness.begin.scaffold.origin import PLACEHOLDER, requirement
from tunegate.harness.begin.scaffold.task import NewTask, render
from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.authoring.yaml_append import append_item
from tunegate.harness.core.authoring.yaml_reader import parse_yaml, read_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Refused, show_path
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.project import PROJECT
from tunegate.harness.core.reading import read_text
from tunegate.harness.models.backends import backend_of, split_server
from tunegate.harness.models.conversion import EMBEDDED
from tunegate.harness.models.options.settings import read_settings
from tunegate.harness.models.served.http_client import key_host

EXPECTED = Path("outputs/expected.jsonl")
MODEL = f"replay:expected={EXPECTED.as_posix()}"
WORKFLOWS = {
    Path(".github/workflows/tunegate.yml"): "workflow.yml.j2",
    Path(".github/workflows/tunegate-record.yml"): "record.yml.j2",
}
CHECKED = "# no model, but the expected outputs, with which `pytest` checks the fixtures; name your model here\n"
LOCKS = ".*.lock"  # of Tunegate; uv.lock is none


@dataclass
class Changes:
    """The files to write: new ones, text to append to others, edited ones, and notes on files that stay unchanged."""

    new: dict[Path, str] = field(default_factory=dict)
    added: dict[Path, str] = field(default_factory=dict)
    edited: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_task(task: NewTask, root: Path, cases: Path, model: str = "") -> Changes:
    """Write a task below `cases`, and the repository's own files below `root` if they are missing.

    With a `model`, the settings and the workflow use it. A task that exists gets one more unit, and keeps its guide.

    Raises:
        Refused: a file exists, pyproject.toml is invalid, or the model is; nothing was written.
        CouldNotRun: writing failed; files written before were removed.
    """
    _refuse_others_files(root, cases)
    changes = Changes({cases / task.name / name: text for name, text in task.files.items()})
    changes.new |= {root / name: text for name, text in task.training.items()}
    is_there = (cases / task.name / POLICY).is_file()
    if is_there:
        _add_unit(changes, task, cases)
    _settle_settings(changes, task, root, cases, model)
    _settle_workflows(changes, root, cases, model)
    if not (ignored := root / ".gitignore").exists():
        changes.new[ignored] = f"# runs and locks, recreated at any time\n.tunegate/\n{LOCKS}\n"
    elif LOCKS not in read_text(ignored).split():
        changes.notes.append(f"add {LOCKS} to .gitignore: locks do not belong in git")
    _refuse_standing(changes, None if is_there else cases / task.name)
    write_changes(changes)
    return changes


def _add_unit(changes: Changes, task: NewTask, cases: Path) -> None:
    """Add a unit to the policy of a task that exists."""
    path = cases / task.name / POLICY
    [there] = load_tasks(cases, task.name)
    before = read_yaml(path).data
    if task.unit in {*before["units"], *(unit.name for unit in there.units)}:
        hint = "name the new one: --unit NAME"
        raise Refused(f"{show_path(path)}: expected no unit {task.unit!r}, found one; nothing was written; {hint}")
    units = parse_yaml(path, changes.new.pop(path)).data["units"]
    changes.new.pop(cases / task.name / "README.md")
    text = path.read_bytes().decode()
    new = append_item(text, "units", write_yaml(units))
    wanted = {**before, "units": {**before["units"], **units}}
    if new is None or parse_yaml(path, new.replace("\r\n", "\n")).data != wanted:
        raise Refused(
            f"{show_path(path)}: expected `units:` with each unit on lines of its own, found another form; nothing was "
            "written; write it so, and run this again"
        )
    changes.edited[path] = new


def write_imported(folder: Path, files: Mapping[Path, str], root: Path, cases: Path, model: str) -> Changes:
    """Write an imported task to `folder` and its outputs, and name a `model` for `pytest` if no settings exist.

    Raises:
        Refused, CouldNotRun: see `write_task`.
    """
    _refuse_others_files(root, cases)
    changes = Changes(dict(files))
    if model and "tunegate" not in _tools(root / PROJECT):
        _add_settings(changes, root, cases, f"model = {_quoted(model)}\n")
    _refuse_standing(changes, folder)
    write_changes(changes)
    return changes


def _refuse_others_files(root: Path, cases: Path) -> None:
    """Refuse a folder with other files in a repository that does not use Tunegate yet."""
    if "tunegate" in _tools(root / PROJECT) or not cases.is_dir():
        return
    try:
        load_tasks(cases)
    except AuthoringError as error:
        raise Refused(
            f"{show_path(cases)}: expected a folder with fixtures only, found other files in it "
            f"({show_path(error.problems[0].file)}); nothing was written; name another one: --cases evals"
        ) from error
    except Refused:
        return  # there are no tasks yet


def _settle_settings(changes: Changes, task: NewTask, root: Path, cases: Path, model: str) -> None:
    """Add the fixtures and a model for `pytest` to pyproject.toml, unless it has a table for Tunegate."""
    settings, file, outputs = read_settings(root), root / PROJECT, root / EXPECTED
    lines = task.lines
    if settings.get("model") == MODEL and outputs.is_file():
        _refuse_leftovers(outputs, f"{task.name}/{task.unit}")
        changes.added[outputs] = _line_end(outputs.read_bytes()) + lines
        return
    if "tunegate" in _tools(file):
        other = f'; for this one: model = "{model}"' if model and settings.get("model") != model else ""
        changes.notes.append(
            f"{show_path(file)} has a table [tool.tunegate], which stays unchanged: `pytest` uses its model{other}"
        )
        return
    _add_settings(changes, root, cases, f"{'' if model else CHECKED}model = {_quoted(model or MODEL)}\n")
    if not model:
        changes.new[outputs] = lines


def _add_settings(changes: Changes, root: Path, cases: Path, model: str) -> None:
    """Add a table [tool.tunegate] with these lines, and with the folder of fixtures if it is not the usual one."""
    table, file = f"[tool.tunegate]\n{model}", root / PROJECT
    if (folder := relative(cases, root)) != "fixtures":
        table += f"cases = {json.dumps(folder)}\n"
    if file.is_file():
        changes.added[file] = _as_end(file, table)
    else:
        changes.new[file] = table


def _refuse_leftovers(outputs: Path, unit: str) -> None:
    """Refuse a unit whose name a deleted one had, as long as the outputs of that one stay: each case has one output."""
    held = re.compile(rf'"case":\s*"{re.escape(unit)}/')
    if lines := [number for number, line in enumerate(read_text(outputs).splitlines(), 1) if held.search(line)]:
        more = f" and {len(lines) - 1} more lines" if len(lines) > 1 else ""
        raise Refused(
            f"{show_path(outputs)}:{lines[0]}: expected no outputs of {unit}, found some on this line{more}; nothing "
            "was written; delete those lines, or choose another TASK"
        )


def _quoted(text: str) -> str:
    """A text in quotes, valid in TOML and YAML."""
    return json.dumps(text, ensure_ascii=False)


def _tools(file: Path) -> Mapping[str, object]:
    tools = tomllib.loads(file.read_text("utf-8")).get("tool", {}) if file.is_file() else {}
    return tools if isinstance(tools, dict) else {}


def _line_end(content: bytes) -> str:
    return "" if not content or content.endswith(b"\n") else "\n"


def _as_end(file: Path, table: str) -> str:
    """The text to append to a pyproject.toml so that it ends with the table."""
    content = file.read_bytes()
    added = _line_end(content) + ("\n" if content.strip() else "") + table
    if b"\r\n" in content:
        added = added.replace("\n", "\r\n")
    try:
        tomllib.loads((content.decode() + added).replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise Refused(
            f"{show_path(file)}: expected a file that can end with a table [tool.tunegate], found one that "
            f"cannot ({error}); nothing was written; add the table yourself: model = {json.dumps(MODEL)}"
        ) from error
    return added


def _settle_workflows(changes: Changes, root: Path, cases: Path, model: str) -> None:
    """Add the workflows at the top of the checkout, even if the project is a folder in it."""
    top = next((folder for folder in (root, *root.resolve().parents) if (folder / ".git").exists()), root)
    missing = [path for path in WORKFLOWS if not (top / path).exists()]
    changes.notes += [
        f"{show_path(top / path)} exists and stays unchanged" for path in WORKFLOWS if path not in missing
    ]
    if not missing:
        return
    folder, baselines = relative(root, top), root / str(read_settings(root).get("baselines", "baselines"))
    backend = backend_of(model)
    hosted = backend.is_hosted
    host = key_host(split_server(model)[0]) if hosted else ""
    installed = requirement(backend.extra if model else "")
    if not hosted and Path(model).is_dir() and model:
        names = " and ".join(show_path(top / path) for path in missing)
        changes.notes.append(f"{names}: the runner needs the folder {model}, or name a Hub id")
    if PLACEHOLDER in installed:
        ends = "fails until its TUNEGATE names a commit, or a wheel with its #sha256="
        changes.notes += [f"{show_path(top / path)} {ends}" for path in missing]
    for path in missing:
        changes.new[top / path] = render(
            WORKFLOWS[path], folder="" if folder == "." else folder, fixtures=relative(cases, root),
            requirement=installed, model=model and _quoted(model), hosted=hosted, host=_quoted(host),
            package=EMBEDDED[model].install if model in EMBEDDED else "", baselines=quote(relative(baselines, root)),
            paths=_quoted(f"{relative(cases, top)}/**"), included=quote(f"{relative(baselines, top)}/*"),
        )  # fmt: skip


def relative(path: Path, start: Path) -> str:
    """`path` as typed in the folder `start`."""
    return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()


def _refuse_standing(changes: Changes, folder: Path | None) -> None:
    """Refuse to overwrite a file, and to write into a `folder` that holds others."""
    standing = [show_path(path) for path in changes.new if os.path.lexists(path)]
    if folder and folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not standing:
        standing = [show_path(folder)]
    if standing:
        raise Refused(
            f"expected new files, found {', '.join(standing)}; nothing was written: choose another TASK, or move "
            "them; to add a unit to a task that has a task.yaml, name it: --unit NAME"
        )


def write_changes(changes: Changes) -> None:
    """Write all files or none: if one fails, remove those written before."""
    sizes = {path: path.stat().st_size for path in changes.added}
    before = {path: path.read_bytes().decode() for path in changes.edited}
    made: list[Path] = []
    try:
        for path, text in changes.new.items():
            made += _make_folders(path.parent)
            with path.open("x", encoding="utf-8", newline="\n") as stream:  # x: never overwrite a concurrent file
                made.append(path)
                stream.write(text)
        for path, text in changes.added.items():
            with path.open("a", encoding="utf-8", newline="") as stream:
                stream.write(text)
        for path, text in changes.edited.items():
            write_atomically(path, text, path.stat().st_mode & 0o777)
    except BaseException as error:
        for path, text in before.items():
            with suppress(OSError):
                write_atomically(path, text, path.stat().st_mode & 0o777)
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
    """Make a folder and its parents; returns those that were missing, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]
