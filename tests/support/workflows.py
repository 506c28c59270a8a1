"""A stand-in of GitHub's runner: it does a job's steps in order, with the environment that each of them would have.

Of expressions it knows what the workflows here use. What an action does that is not in this repository is a function of
the test's own; a composite action here is done step by step.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|!|\(|\)|,|[\w.-]+)")
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
BIN = str(Path(sys.executable).parent)  # where pip puts what it installs
STATUS = ("always", "cancelled", "failure", "success")
Step = Mapping[str, Any]


def read(path: Path) -> dict[Any, Any]:
    """A workflow or an action; YAML reads the key `on` as `True`."""
    return dict(yaml.safe_load(path.read_text("utf-8")))


class Expression:
    """One expression, read by descent: `||`, then `&&`, then comparisons, then what stands alone."""

    def __init__(self, text: str, known: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._tokens = TOKEN.findall(text)
        assert re.fullmatch(f"(?:{TOKEN.pattern})*\\s*", text), f"cannot read {text!r}"
        self._known, self._functions = known, functions

    def value(self) -> Any:
        found = self._any()
        assert not self._tokens, self._tokens
        return found

    def _next(self, *expected: str) -> str:
        return self._tokens.pop(0) if self._tokens and self._tokens[0] in expected else ""

    def _any(self) -> Any:
        found = self._all()
        while self._next("||"):
            other = self._all()
            found = found or other
        return found

    def _all(self) -> Any:
        found = self._compared()
        while self._next("&&"):
            other = self._compared()
            found = found and other
        return found

    def _compared(self) -> Any:
        found = self._one()
        while how := self._next("==", "!="):
            same = _text(found) == _text(self._one())
            found = same if how == "==" else not same
        return found

    def _one(self) -> Any:
        if self._next("!"):
            return not self._one()
        if self._next("("):
            found = self._any()
            assert self._next(")")
            return found
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._next("("):
            arguments = []
            while not self._next(")"):
                arguments.append(self._any())
                self._next(",")
            return self._functions[token](*arguments)
        return _at(self._known, token.split("."))


def _at(known: Any, path: Sequence[str]) -> Any:
    for name in path:
        known = known.get(name, "") if isinstance(known, Mapping) else ""
    return known


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Ran:
    """A step with a script that ran: what it was given, how it ended, what it printed."""

    name: str
    env: Mapping[str, str]
    code: int
    said: str


@dataclass
class Runner:
    """A machine for one job: a workspace, a temporary folder and a home of its own.

    `actions` are those that do not lie here, by their name before the `@`, as functions of the runner and the inputs,
    or the path of a composite one; `programs` is a folder of stand-ins that come first on the PATH.
    """

    root: Path
    github: Mapping[str, Any]
    environment: Mapping[str, str]
    actions: Mapping[str, Callable[[Runner, Mapping[str, str]], None] | Path]
    programs: Path
    needs: Mapping[str, Any] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    ran: list[Ran] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("workspace", "temp", "home"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._exported: dict[str, str] = {}
        self._path: list[str] = []

    @property
    def workspace(self) -> Path:
        """What the job was given of the repository."""
        return self.root / "workspace"

    @property
    def temp(self) -> Path:
        """RUNNER_TEMP."""
        return self.root / "temp"

    @property
    def said(self) -> str:
        """What all steps printed."""
        return "".join(each.said for each in self.ran)

    def job(self, workflow: Mapping[Any, Any], name: str) -> str:
        """Do a job; returns its result, and leaves its outputs in `outputs`. Empty where its condition is not met."""
        job = workflow["jobs"][name]
        env = {**workflow.get("env", {}), **job.get("env", {})}
        results = [need["result"] for need in self.needs.values()]
        ok = all(result == "success" for result in results)
        if not self._is_met(job.get("if", ""), {"needs": self.needs}, ok):
            return ""
        folder = _at(job, ["defaults", "run", "working-directory"]) or "."
        ok, steps = self._steps(job["steps"], {"needs": self.needs}, env, self.workspace / folder)
        known = {"needs": self.needs, "steps": steps}
        self.outputs = {key: self._filled(str(value), known) for key, value in job.get("outputs", {}).items()}
        return "success" if ok else "failure"

    def action(self, path: Path, inputs: Mapping[str, str], folder: Path | None = None) -> bool:
        """Do a composite action with these inputs and the defaults of the others; whether it ended well."""
        action = read(path)
        known = {"needs": self.needs}
        given = {name: self._filled(str(each.get("default", "")), known) for name, each in action["inputs"].items()}
        assert set(inputs) <= set(given), set(inputs) - set(given)
        known |= {"inputs": given | dict(inputs)}
        env = {"GITHUB_ACTION_PATH": str(path.parent)}
        ok, steps = self._steps(action["runs"]["steps"], known, env, folder or self.workspace)
        outputs = {name: each["value"] for name, each in action.get("outputs", {}).items()}
        self.outputs = {name: self._filled(value, known | {"steps": steps}) for name, value in outputs.items()}
        return ok

    def _steps(
        self, steps: Sequence[Step], known: Mapping[str, Any], env: Mapping[str, str], folder: Path
    ) -> tuple[bool, Mapping[str, Any]]:
        ok, done = True, dict[str, Any]()
        for step in steps:
            here = {**known, "steps": done}
            outputs: dict[str, str] = {}
            if step.get("name") in self.skipped or not self._is_met(step.get("if", ""), here, ok):
                outcome = "skipped"
            else:
                outcome = "success" if self._step(step, here, env, folder, outputs) else "failure"
            if "id" in step:
                done[step["id"]] = {"outcome": outcome, "outputs": outputs}
            ok = ok and (outcome != "failure" or bool(step.get("continue-on-error")))
        return ok, done

    def _step(
        self, step: Step, known: Mapping[str, Any], env: Mapping[str, str], folder: Path, outputs: dict[str, str]
    ) -> bool:
        if "run" in step:
            more = {name: self._filled(str(value), known) for name, value in {**env, **step.get("env", {})}.items()}
            return self._script(step, more, folder, outputs)
        inputs = {name: self._filled(_text(value), known) for name, value in step.get("with", {}).items()}
        action = self.actions[step["uses"].partition("@")[0]]
        if isinstance(action, Path):
            return self.action(action, inputs)
        try:
            action(self, inputs)
        except (OSError, subprocess.CalledProcessError) as error:
            self.ran.append(Ran(step["uses"], {}, 1, f"{error}\n"))
            return False
        return True

    def _script(self, step: Step, more: Mapping[str, str], folder: Path, outputs: dict[str, str]) -> bool:
        files = {name: self.temp / "_runner_file_commands" / name for name in ("output", "env", "path", "summary")}
        for path in files.values():
            path.parent.mkdir(exist_ok=True)
            path.write_text("")
        own = {
            "PATH": os.pathsep.join([str(self.programs), *self._path, BIN, os.environ["PATH"]]),
            "HOME": str(self.root / "home"), "LANG": "C.UTF-8", "CI": "true", "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(self.temp), "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_STEP_SUMMARY": str(files["summary"]), "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_ENV": str(files["env"]), "GITHUB_PATH": str(files["path"]),
        }  # fmt: skip
        env = {**own, **self.environment, **self._exported, **more}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=folder, env=env,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        with (self.root / "summary").open("a", encoding="utf-8") as summary:
            summary.write(files["summary"].read_text("utf-8"))
        self.ran.append(Ran(step.get("name", step["run"]), env, done.returncode, done.stdout + done.stderr))
        outputs |= dict(_assignments(files["output"]))
        self._exported |= dict(_assignments(files["env"]))
        self._path = [*reversed(files["path"].read_text("utf-8").split()), *self._path]
        return done.returncode == 0

    def _is_met(self, condition: str, known: Mapping[str, Any], ok: bool) -> bool:
        text = EXPRESSION.sub(r"\1", str(condition)).strip()
        names_status = any(f"{name}(" in text for name in STATUS)
        if not names_status and not ok:
            return False
        return bool(self._value(text, known, ok)) if text else ok

    def _filled(self, text: str, known: Mapping[str, Any]) -> str:
        return EXPRESSION.sub(lambda found: _text(self._value(found[1], known, True)), text)

    def _value(self, text: str, known: Mapping[str, Any], ok: bool) -> Any:
        runner = {"temp": str(self.temp), "os": "Linux"}
        functions = {
            "always": lambda: True, "cancelled": lambda: False, "success": lambda: ok, "failure": lambda: not ok,
            "hashFiles": lambda pattern: "a digest" if any(self.workspace.glob(pattern)) else "",
            "format": lambda form, *values: str(form).format(*values),
        }  # fmt: skip
        return Expression(
            text, {"github": self.github, "runner": runner, "secrets": self.secrets, **known}, functions
        ).value()


def _assignments(path: Path) -> Iterator[tuple[str, str]]:
    lines = iter(path.read_text("utf-8").splitlines())
    for line in lines:
        name, is_long, end = line.partition("<<")
        if is_long and "=" not in name:
            yield name, "\n".join(iter(lambda stop=end: next(lines, stop), end))
        elif name:
            yield name.partition("=")[0], line.partition("=")[2]


def programs(folder: Path, python: str, **more: str) -> Path:
    """A folder with a Python that installs nothing, and `more` programs as shell scripts.

    `-m venv` makes a folder with that same Python, and `-m pip` writes its arguments beside it, into `installed`.
    """
    folder.mkdir(parents=True)
    script = f"""#!/bin/sh
case "$*" in
*"-m pip "*) echo "$@" >> "{folder}/installed"; exit 0 ;;
"-m venv "*) mkdir -p "$3/bin" && cp "{folder}/python" "$3/bin/python"; exit 0 ;;
esac
exec "{python}" "$@"
"""
    for name, text in {"python": script, "python3": script, **more}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def keeps(store: Path) -> Mapping[str, Callable[[Runner, Mapping[str, str]], None]]:
    """The actions that keep artefacts from job to job in a folder, and those that do nothing here."""

    def upload(_: Runner, inputs: Mapping[str, str]) -> None:
        if Path(inputs["path"]).is_dir():
            shutil.copytree(inputs["path"], store / inputs["name"])

    def download(_: Runner, inputs: Mapping[str, str]) -> None:
        shutil.copytree(store / inputs["name"], inputs["path"], dirs_exist_ok=True)

    def nothing(_: Runner, __: Mapping[str, str]) -> None:
        pass

    return {
        "actions/setup-python": nothing, "actions/cache/restore": nothing, "actions/cache/save": nothing,
        "actions/upload-artifact": upload, "actions/download-artifact": download,
    }  # fmt: skip
