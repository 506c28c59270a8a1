"""A function of the user's as a model: `python:FILE.py:FUNCTION`, or `python:MODULE:FUNCTION` of an installed package.

It runs in a process of its own. Of the environment it sees what text and numbers need, and the variables that the
user's own configuration names: a repository cannot name a secret. It is called once per request, one after another.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tunegate.harness.cases.conversation import chat_message
from tunegate.harness.checks import box
from tunegate.harness.checks.base import Can
from tunegate.harness.checks.imports import imports_digest
from tunegate.harness.checks.outputs.message import CONTENT, read_message
from tunegate.harness.core.child import Child
from tunegate.harness.core.entry_points import module_file
from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.escaping import shown, whole
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.user_settings import user_setting, user_settings_file
from tunegate.harness.models.api import Completion, Fingerprint, Opened, Request, Unconstrainable, fingerprint_names
from tunegate.harness.models.backends import PYTHON, is_python_file
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.resolve import short_name

VARIABLES, SETTING = "TUNEGATE_PYTHON_ENV", "python-env"
START = "from tunegate.harness.models.python_calls import serve_function; serve_function()"
LEAST_OF_A_SECRET = 12  # characters: shorter values stand in texts by chance


@dataclass(frozen=True, slots=True)
class PythonCode:
    """The code of a model: its source as named, its function, and its file."""

    source: str
    function: str
    file: Path

    @property
    def digest(self) -> str:
        """SHA-256 (hex): of a file with all that it may import, of a module with the version of its package."""
        if is_python_file(self.source):
            return digest([PYTHON.prefix, self.function, imports_digest(self.file)])
        packages = packages_distributions().get(self.source.partition(".")[0], [])
        versions = {name: version(name) for name in sorted(set(packages))}
        return digest([PYTHON.prefix, self.source, self.function, file_digest(self.file), versions])


def find_code(model: str, copy: Path | None = None) -> PythonCode:
    """The code of a model; `copy` runs in place of its file. Nothing is imported.

    Raises Refused if the name has another form, CouldNotRun if there is no such file or module.
    """
    source, function = PYTHON.code(model)
    if is_python_file(source):
        file = copy or Path(source).expanduser()
        if not file.is_file():
            raise CouldNotRun(f"--tg-model {shown(model)}: expected a Python file at {show_path(file)}, found none")
        return PythonCode(source, function, file)
    found = module_file(EntryPoint(function, f"{source}:{function}", ""))
    if found is None:
        raise CouldNotRun(
            f"--tg-model {shown(model)}: expected an installed module in Python source, found none named {source}; "
            f"install its package, or name a file: {PYTHON.form}"
        )
    return PythonCode(source, function, found)


def passed_variables() -> tuple[str, ...]:
    """The environment variables that the user's own configuration passes to `python:` models."""
    listed = user_setting(SETTING) or []
    if not (isinstance(listed, list) and all(isinstance(each, str) for each in listed)):
        raise Refused(
            f"{show_path(user_settings_file())}: {SETTING}: expected a list of names of environment variables, found "
            f"{shown(repr(listed))}"
        )
    return tuple(dict.fromkeys([*os.environ.get(VARIABLES, "").replace(",", " ").split(), *listed]))


class PythonModel(Opened):
    """A function that is called with messages and decoding options, and returns the output.

    Where tools are offered it is called with these, too, and may return a message with `tool_calls`.
    """

    can: frozenset[Can] = frozenset({"generate", "tools"})

    def __init__(self, name: str, _: Watch, options: ModelOptions | None = None, rung: str = "as-is") -> None:
        self._name, self._rung = name, rung
        self._options = options or ModelOptions()
        self._code = find_code(name, self._options.code)
        self._place = shown(self._code.source) if self._options.code else show_path(self._code.file)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The digest of the code, and the form of requests; raises Unconstrainable if outputs are to follow schemas."""
        if self._rung in CONSTRAINED:
            why = f"{shown(self._name)} is a function, whose outputs nothing here constrains"
            raise Unconstrainable(f"constrained decoding: {why}; use another prompting strategy", everywhere=why)
        sha, function = self._code.digest, self._code.function
        subject = {
            "model": f"{short_name(function)}-{sha[:8]}", "base": sha, "tokenizer": None, "template": None,
            "adapter": None, "rung": self._rung,
        }  # fmt: skip
        engine = {"backend": PYTHON.engine, "prompt": "chat messages"}
        return Fingerprint(subject, engine, fingerprint_names(self._name, None, ()))

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions, in the order of the requests.

        Raises CouldNotRun if the function fails, returns no text or takes longer than the deadline,
        Refused if its code changed.
        """
        then = self.fingerprint.subject["base"]
        if not requests:
            return
        with TemporaryDirectory(prefix="tunegate-python-") as scratch, self._child(Path(scratch)) as child:
            self._load(child)
            for request in requests:
                yield Completion(request.key, self._output(child, request), repeat=request.repeat)
        if self._code.digest != then:
            raise Refused(f"{self._place}: changed while it ran; run it again")

    def _child(self, scratch: Path) -> Child:
        named = {name: os.environ[name] for name in passed_variables() if name in os.environ}
        is_file = is_python_file(self._code.source)
        what = str(self._code.file.resolve()) if is_file else self._code.source
        folder = self._code.file.resolve().parent if is_file else Path.cwd()
        environment = box.scrubbed(os.environ, scratch) | named
        return Child(self._place, START, [what, self._code.function], folder, environment, _harmless)

    def _load(self, child: Child) -> None:
        found = self._response(child, {}, "")
        if found != str(self._code.file.resolve()):
            raise Refused(f"{self._place}: expected that file to be imported, found {shown(str(found))}")

    def _output(self, child: Child, request: Request) -> str:
        decoding = request.decoding
        asked = {
            "messages": [chat_message(*turn) for turn in request.messages],
            "decoding": {
                "max_new_tokens": decoding.max_new_tokens, "temperature": decoding.temperature,
                "top_p": decoding.top_p, "seed": request.seed,
            },
            **({"tools": [tool.as_dict() for tool in request.tools]} if request.tools else {}),
        }  # fmt: skip
        output = self._response(child, asked, f"{shown(request.key)}: ")
        if request.tools:
            output = read_message(output if isinstance(output, dict) else {CONTENT: output}).write()
        return whole(_harmless(str(output)))

    def _response(self, child: Child, asked: Any, case: str) -> Any:
        """A response of the process; `case` begins the message where there is none."""
        here, wanted = f"{self._place}: {case}", f"expected an output of {self._code.function}"
        if not asked:
            wanted = f"expected a function {self._code.function} that can be loaded"
        seconds, begun = self._options.deadline, time.monotonic()
        try:
            kind, line, found = json.loads(child.ask(json.dumps(asked).encode(), seconds))
        except TimeoutError as error:
            raise CouldNotRun(
                f"{here}{wanted} within {seconds} seconds, found none; a longer time: --tg-deadline SECONDS"
            ) from error
        except (EOFError, ValueError) as error:
            after = f"{time.monotonic() - begun:.1f} s"
            raise CouldNotRun(f"{here}{wanted}, found that its process ended after {after}") from error
        if kind == "failed":
            place = f"{self._place}:{line}: {case}" if line else here
            raise CouldNotRun(f"{place}{wanted}, found {shown(_harmless(str(found)))}")
        return found


def _harmless(text: str) -> str:
    """A text of the function's, without the secrets among the variables that were passed to it."""
    for name in passed_variables():
        secret = os.environ.get(name, "")
        if len(secret) >= LEAST_OF_A_SECRET and any(word in name.upper() for word in box.SECRETS):
            text = text.replace(secret, "[key]")
    return text
