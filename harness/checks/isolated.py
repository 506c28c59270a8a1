"""Run external kinds of check in sandboxed processes of their own, so that they cannot change the gate's process.

A file in a repository is Python that a colleague may have changed. In the gate's process it could decide for every
unit; in its own process it affects only the units that it checks, and the gate reports its digest. Requests are
pickles, which come from this process; responses are JSON lines, which are only parsed. The declaration was read from
the source before (`declared`); a kind that differs from it at run time is refused.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from importlib.metadata import EntryPoint
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tunegate.harness.checks import box
from tunegate.harness.checks.base import Check, CheckKind, FieldCount, Finding, Outcome
from tunegate.harness.checks.declared import FUNCTIONS, declared_kinds
from tunegate.harness.checks.installed import declared_entry, load_entry
from tunegate.harness.checks.own import load_own, loading_source
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.child import Child, responses_only
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, show_path

START = "from tunegate.harness.checks.isolated import serve; serve()"
SECONDS = 60.0  # per response


class IsolatedChecks(ExitStack):
    """The processes of the loaded checks; they end with this context.

    `copies` maps a project's folder to the copy that checks see: its files as they were when they were read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[Path, Path] = {}
        self._loaded: dict[tuple[Path, Path | str], Mapping[str, CheckKind]] = {}
        self._gaps: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """What this system does not deny to checks, in a sentence."""
        ways = " and ".join(self._gaps)
        return [f"checks of your own could {ways} here: this system has no sandbox for them"] if ways else []

    def own(self, path: Path, root: Path) -> Mapping[str, CheckKind]:
        """The kinds of check in a file of the project at `root`, by name, like `own.load_own`.

        Raises:
            AuthoringError: no such file, loading fails, or the kinds differ from their declaration.
            CouldNotRun: the process ended.
        """
        return self._kinds(path, root, declared_kinds)

    def installed(self, entry: EntryPoint, root: Path) -> CheckKind:
        """The kind of check of an entry point, for the project at `root`.

        Raises:
            Refused, CouldNotRun: see `own`.
        """
        return self._kinds(entry, root, lambda _: {entry.name: declared_entry(entry)})[entry.name]

    def _kinds(
        self, source: Any, root: Path, declared: Callable[[Any], Mapping[str, CheckKind]]
    ) -> Mapping[str, CheckKind]:
        key = root, source if isinstance(source, Path) else source.name
        if key not in self._loaded:
            kinds = declared(source)
            process = self.enter_context(_Process(source, root, self.copies.get(root, root)))
            self._gaps |= dict.fromkeys(process.ask("gaps"))
            said = process.ask("kinds")
            for name in kinds.keys() | said.keys():
                process.check_declared(name, kinds.get(name), said.get(name))
            self._loaded[key] = {name: process.bound(name, kind) for name, kind in kinds.items()}
        return self._loaded[key]


def _as_data(kind: CheckKind) -> dict[str, Any]:
    """A kind's data as it looks after JSON, and whether it has `texts`."""
    parts = {each.name: getattr(kind, each.name) for each in fields(CheckKind) if each.name not in FUNCTIONS}
    return cast("dict[str, Any]", json.loads(json.dumps(parts | {"texts": kind.texts is not None})))


class _Process(ExitStack):
    """The process of one file or entry point."""

    def __init__(self, source: Path | EntryPoint, root: Path, copy: Path) -> None:
        super().__init__()
        self._name = show_path(source) if isinstance(source, Path) else f"entry point {source.name} = {source.value}"
        self._file = source if isinstance(source, Path) else root
        self._root, self._copy = root.resolve(), copy.resolve()
        self._sent: dict[int, Document] = {}  # kept alive, so that their ids stay unique
        self._scratch = TemporaryDirectory(prefix="tunegate-check-")
        what = [str(self._inside(source))] if isinstance(source, Path) else [source.name, source.value, source.group]
        self.callback(self._clean)
        environment = box.scrubbed(os.environ, Path(self._scratch.name))
        self._child = self.enter_context(Child(self._name, START, [self._scratch.name, *what], self._copy, environment))

    def _clean(self) -> None:
        with suppress(OSError, RecursionError):  # endlessly nested folders
            self._scratch.cleanup()

    def ask(self, what: str, *given: Any) -> Any:
        """Send a request to the process and wait for its response."""
        try:
            response = self._child.ask(base64.b64encode(pickle.dumps((what, given))), SECONDS)
            kind, result = json.loads(response)
        except (TimeoutError, EOFError, ValueError, RecursionError) as error:
            raise CouldNotRun(
                f"{self._name}: expected a response from the project's own checks within {SECONDS:.0f} "
                "seconds, found that their process ended, did not respond, or wrote no JSON"
            ) from error
        if kind == "problems":
            raise AuthoringError(self._problems(result))
        if kind == "refused":
            raise Refused(str(result))
        if kind == "failed":
            raise CouldNotRun(f"{self._name}: a check failed: {result}")
        return result

    def check_declared(self, name: str, declared: CheckKind | None, said: Mapping[str, Any] | None) -> None:
        """Refuse a kind that differs at run time from its declaration.

        Raises:
            AuthoringError: names the parts that differ.
        """
        declares, runs = _as_data(declared) if declared else {}, said or {}
        every = declares.keys() | runs.keys()
        if differ := sorted(part for part in every if declares.get(part) != runs.get(part)):
            found = f"another {', '.join(differ)} when it runs" if declared and said else "only one of the two"
            expected = "a kind of check that matches its declaration"
            raise AuthoringError([Problem(self._file, 1, name, expected, found, "write its parts as literals")])

    def bound(self, name: str, kind: CheckKind) -> CheckKind:
        """A declared kind whose functions call this process."""
        return replace(kind, load=partial(self.load, name), texts=partial(self.texts, name) if kind.texts else None)

    def load(self, name: str, options: Mapping[str, Any], document: Document, where: Where) -> Check:
        number, references, prepares = self.ask("load", name, dict(options), self._document(document), where)
        return (PreparedCheck if prepares else IsolatedCheck)(self, number, str(references))

    def texts(self, name: str, text: str, expect: Any) -> tuple[str, ...]:
        return tuple(map(str, self.ask("texts", name, text, expect)))

    def expect_problems(self, number: int, expect: Any, document: Document, where: Where) -> list[Problem]:
        return self._problems(self.ask("expect_problems", number, expect, self._document(document), where))

    def _problems(self, said: Any) -> list[Problem]:
        return [Problem(self._outside(Path(file)), *rest) for file, *rest in said]

    def _document(self, document: Document) -> tuple[int, Document | None]:
        """A document's number, and on its first use the document itself."""
        if id(document) in self._sent:
            return id(document), None
        self._sent[id(document)] = document
        return id(document), replace(document, path=self._inside(document.path))

    def _inside(self, path: Path) -> Path:
        """The path of a project file in the check's copy."""
        there = path.resolve()
        return self._copy / there.relative_to(self._root) if there.is_relative_to(self._root) else there

    def _outside(self, path: Path) -> Path:
        """The path in the project of a file that the check names."""
        return self._root / path.relative_to(self._copy) if path.is_relative_to(self._copy) else path


@dataclass(frozen=True)
class IsolatedCheck:
    """A check that runs in the process of its file."""

    process: _Process
    number: int
    references: str

    def __call__(self, output: Any, expect: Any, prompt: str) -> Outcome:
        """Score one output in that process."""
        said = self.process.ask("score", self.number, output, expect, prompt)
        parts = ("rule", "message", "path", "source")
        findings = tuple(Finding(*(str(each[part]) for part in parts)) for each in said["findings"])
        rates = {str(name): bool(each) for name, each in said["rates"].items()}
        passed = None if said["passed"] is None else bool(said["passed"])
        return Outcome(float(said["score"]), findings, rates, _fields(said["fields"]), passed)

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """The problems that the check finds in a case's `expect`."""
        return self.process.expect_problems(self.number, expect, document, where)


def _fields(said: Mapping[str, Any]) -> dict[str, FieldCount]:
    return {
        str(name): FieldCount(
            int(right), int(expected), int(answered), tuple((str(wanted), str(found)) for wanted, found in taken)
        )
        for name, (right, expected, answered, taken) in said.items()
    }


class PreparedCheck(IsolatedCheck):
    """A check that must be validated before any model loads."""

    def prepare(self) -> None:
        """Validate the check."""
        self.process.ask("prepare", self.number)


def serve() -> None:
    """Enter the sandbox, load what the command line names, and process requests until the input ends."""
    # keep the check's own prints out of the responses
    outputs = responses_only()
    scratch, *what = sys.argv[1:]
    served = _Served(what, box.enter(Path(scratch)))
    for line in sys.stdin.buffer:
        asked, given = pickle.loads(base64.b64decode(line))  # noqa: S301  (from the parent process)
        json.dump(served.respond(asked, given), outputs)
        outputs.write("\n")
        outputs.flush()


class _Served:
    def __init__(self, what: list[str], inside: box.Box) -> None:
        self._what, self._inside = what, inside
        self._checks: list[Check] = []
        self._documents: dict[int, Document] = {}

    def respond(self, what: str, given: tuple[Any, ...]) -> tuple[str, Any]:
        """The kind of response and its data."""
        try:
            return "result", getattr(self, what)(*given)
        except AuthoringError as error:
            return "problems", [_plain(problem) for problem in error.problems]
        except Refused as error:
            return "refused", str(error)
        except Exception as error:  # a third-party check can raise anything
            return "failed", f"{type(error).__name__}: {error}"

    def gaps(self) -> list[str]:
        return list(self._inside.gaps)

    @cache  # noqa: B019  (the instance lives as long as its process)
    def _kinds(self) -> Mapping[str, CheckKind]:
        if len(self._what) == 1:
            loading_source(Path(self._what[0]).parent)
            return load_own(Path(self._what[0]))
        return {self._what[0]: load_entry(EntryPoint(*self._what))}

    def kinds(self) -> dict[str, dict[str, Any]]:
        return {name: _as_data(kind) for name, kind in self._kinds().items()}

    def load(
        self, name: str, options: Mapping[str, Any], document: tuple[int, Document | None], where: Where
    ) -> tuple[int, str, bool]:
        check = self._kinds()[name].load(options, self._known(document), where)
        self._checks.append(check)
        return len(self._checks) - 1, check.references, hasattr(check, "prepare")

    def prepare(self, number: int) -> None:
        check: Any = self._checks[number]
        check.prepare()

    def texts(self, name: str, text: str, expect: Any) -> tuple[str, ...]:
        made = self._kinds()[name].texts
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
