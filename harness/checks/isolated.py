"""A project's own kinds of check in a process of their own: what they do there changes nothing here.

A file of a repository is Python that a colleague may have changed. In the gate's own process it could answer for every
unit; in its own it can answer for the units that it checks, and the gate names it with its digest. It is asked in
pickles, which come from here, and answers in lines of JSON, which are only read.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO, Any, Self, cast

from tunegate.harness.authoring.document import Document, Where
from tunegate.harness.checks.base import Check, CheckKind, FieldCount, Finding, Outcome
from tunegate.harness.checks.own import load_own
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, show_path

START = "from tunegate.harness.checks.isolated import serve; serve()"
CALLS = ("load", "texts")  # parts of a kind that are functions, and stay in the process
LISTS = ("ignores", "libraries")
SECONDS = 60.0  # for one answer
MOST_OF_AN_ANSWER = 1 << 26  # bytes


class IsolatedChecks:
    """The processes of the files that were loaded; they end with it."""

    def __init__(self) -> None:
        self._loaded: dict[Path, Mapping[str, CheckKind]] = {}
        self._processes = ExitStack()

    def load(self, path: Path) -> Mapping[str, CheckKind]:
        """The kinds of check in a file of the project, by name, as `own.load_own` gives them.

        Raises:
            AuthoringError: no such file, it fails when it is loaded, or it holds no `CHECKS` of that shape.
            CouldNotRun: the process ended.
        """
        if path not in self._loaded:
            process = self._processes.enter_context(_Process(path))
            self._loaded[path] = {name: _kind(process, name, *said) for name, said in process.ask("kinds").items()}
        return self._loaded[path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()


def _kind(process: _Process, name: str, given: Mapping[str, Any], has_texts: bool) -> CheckKind:
    parts: dict[str, Any] = {part: tuple(value) if part in LISTS else value for part, value in given.items()}
    texts = partial(process.texts, name) if has_texts else None
    return CheckKind(**parts, load=partial(process.load, name), texts=texts)


class _Process:
    """The process of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent: dict[int, Document] = {}  # kept, so that no other one gets the same id
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-c", START, str(path.resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._questions = cast("IO[bytes]", self._child.stdin)
        self._answers = cast("IO[bytes]", self._child.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._questions, self._answers):
            with suppress(OSError):  # it has ended: what was not read is lost with it
                pipe.close()
        self._child.kill()
        self._child.wait()

    def ask(self, what: str, *given: Any) -> Any:
        """Ask the process to do something, and wait for what comes of it."""
        # whatever it does meanwhile: killed, it answers with the end of its output
        watchdog = threading.Timer(SECONDS, self._child.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._questions.write(base64.b64encode(pickle.dumps((what, given))) + b"\n")
            self._questions.flush()
            kind, result = json.loads(self._answers.readline(MOST_OF_AN_ANSWER))
        except (OSError, ValueError, RecursionError) as error:
            raise CouldNotRun(
                f"{show_path(self._path)}: expected an answer from the project's own checks within {SECONDS:.0f} "
                "seconds, found that their process ended, wrote something else, or did not answer"
            ) from error
        finally:
            watchdog.cancel()
        if kind == "problems":
            raise AuthoringError([Problem(Path(file), *rest) for file, *rest in result])
        if kind == "refused":
            raise Refused(str(result))
        if kind == "failed":
            raise CouldNotRun(f"{show_path(self._path)}: a check failed: {result}")
        return result

    def load(self, name: str, options: Mapping[str, Any], document: Document, where: Where) -> Check:
        number, references, prepares = self.ask("load", name, dict(options), self._document(document), where)
        return (PreparedCheck if prepares else IsolatedCheck)(self, number, str(references))

    def texts(self, name: str, text: str, expect: Any) -> tuple[str, ...]:
        return tuple(map(str, self.ask("texts", name, text, expect)))

    def expect_problems(self, number: int, expect: Any, document: Document, where: Where) -> list[Problem]:
        found = self.ask("expect_problems", number, expect, self._document(document), where)
        return [Problem(Path(file), *rest) for file, *rest in found]

    def _document(self, document: Document) -> tuple[int, Document | None]:
        """A document by its number, and itself the first time."""
        if id(document) in self._sent:
            return id(document), None
        self._sent[id(document)] = document
        return id(document), document


@dataclass(frozen=True)
class IsolatedCheck:
    """A check that lives in the process of its file."""

    process: _Process
    number: int
    references: str

    def __call__(self, output: Any, expect: Any, prompt: str) -> Outcome:
        """Score one output there."""
        said = self.process.ask("score", self.number, output, expect, prompt)
        findings = tuple(
            Finding(str(each["rule"]), str(each["message"]), str(each["path"]), str(each["source"]))
            for each in said["findings"]
        )
        rates = {str(name): bool(each) for name, each in said["rates"].items()}
        passed = said["passed"]
        return Outcome(
            float(said["score"]), findings, rates, _fields(said["fields"]), None if passed is None else bool(passed)
        )

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """What it says there against a case's `expect`."""
        return self.process.expect_problems(self.number, expect, document, where)


def _fields(said: Mapping[str, Any]) -> dict[str, FieldCount]:
    return {
        str(name): FieldCount(
            int(each["right"]), int(each["expected"]), int(each["answered"]),
            tuple((str(wanted), str(found)) for wanted, found in each["taken"]),
        )
        for name, each in said.items()
    }  # fmt: skip


class PreparedCheck(IsolatedCheck):
    """One that must earn the right to judge, before any model loads."""

    def prepare(self) -> None:
        """Let it do so."""
        self.process.ask("prepare", self.number)


def serve() -> None:
    """Load the file that is named on the command line, and do what is asked until nothing is asked any more."""
    # what the file prints must not stand among the answers
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    served = _Served(Path(sys.argv[1]))
    for line in sys.stdin.buffer:
        what, given = pickle.loads(base64.b64decode(line))  # noqa: S301  (from the process that began this one)
        json.dump(served.answer(what, given), answers)
        answers.write("\n")
        answers.flush()


class _Served:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._checks: list[Check] = []
        self._documents: dict[int, Document] = {}

    def answer(self, what: str, given: tuple[Any, ...]) -> tuple[str, Any]:
        """What comes of a question, and of what kind it is."""
        try:
            return "result", getattr(self, what)(*given)
        except AuthoringError as error:
            return "problems", [_plain(problem) for problem in error.problems]
        except Refused as error:
            return "refused", str(error)
        except Exception as error:  # whatever a stranger's check does
            return "failed", f"{type(error).__name__}: {error}"

    def kinds(self) -> dict[str, tuple[dict[str, Any], bool]]:
        names = [each.name for each in fields(CheckKind) if each.name not in CALLS]
        return {
            name: ({part: getattr(kind, part) for part in names}, kind.texts is not None)
            for name, kind in load_own(self._path).items()
        }

    def load(
        self, name: str, options: Mapping[str, Any], document: tuple[int, Document | None], where: Where
    ) -> tuple[int, str, bool]:
        check = load_own(self._path)[name].load(options, self._known(document), where)
        self._checks.append(check)
        return len(self._checks) - 1, check.references, hasattr(check, "prepare")

    def prepare(self, number: int) -> None:
        check: Any = self._checks[number]
        check.prepare()

    def texts(self, name: str, text: str, expect: Any) -> tuple[str, ...]:
        made = load_own(self._path)[name].texts
        return made(text, expect) if made else ()

    def score(self, number: int, output: Any, expect: Any, prompt: str) -> dict[str, Any]:
        return asdict(self._checks[number](output, expect, prompt))

    def expect_problems(
        self, number: int, expect: Any, document: tuple[int, Document | None], where: Where
    ) -> list[tuple[Any, ...]]:
        found = self._checks[number].expect_problems(expect, self._known(document), where)
        return [_plain(problem) for problem in found]

    def _known(self, document: tuple[int, Document | None]) -> Document:
        number, given = document
        return self._documents.setdefault(number, given) if given else self._documents[number]


def _plain(problem: Problem) -> tuple[Any, ...]:
    return str(problem.file), problem.line, problem.where, problem.expected, problem.found, problem.hint
