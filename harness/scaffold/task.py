"""Make the files of a new task, and check that they load and that the expected outputs pass their own checks."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunegate.harness.authoring.yaml_writer import write_yaml
from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.cases.policy import DEFAULT_MARGIN
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.replay import Replay
from tunegate.harness.scaffold.chat_rows import MESSAGES, shared_system
from tunegate.harness.scaffold.drafts import Columns, Draft, Drafts, draw, read_drafts
from tunegate.harness.scaffold.origin import requirement
from tunegate.harness.scaffold.outlook import FirstGuess, look_ahead
from tunegate.harness.scaffold.starters import STARTERS
from tunegate.harness.scaffold.suites import NOT_FROM_EXAMPLES, SUITES, SuiteDraft
from tunegate.harness.scaffold.table import Table

ONE_LINE = ("check", "expect", "generate")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class InitOptions:
    """The input of a new task. Without a `table` it is an example of its suite, to be replaced.

    `fixtures` is the folder of all tasks, as the guide shows it, and `model` a server's model.
    """

    task: str
    suite: str
    table: Table | None
    columns: Columns | None
    system: str | None
    goal: str | None
    limit: int
    fixtures: str = "fixtures"
    model: str = ""

    @property
    def about(self) -> str:
        """The task in one sentence."""
        if self.goal:
            return self.goal
        if self.table:
            return f"Made from {self.table.path.name}."  # without the path, which differs between machines
        return "An example, to be replaced by cases of your own."


@dataclass(frozen=True)
class NewTask:
    """A new task: its files by path, relative to its folder, and the expected outputs by case key.

    `holds` is a line on its number of cases and rows; `outlook` are lines on what they can hold and show.
    """

    name: str
    suite: str
    files: Mapping[str, str]
    outputs: Mapping[str, str]
    margin: float
    holds: str
    notes: tuple[str, ...]
    outlook: tuple[str, ...] = ()


def check_name(task: str) -> str:
    """Check that a name is valid as the folder of a task, and return it.

    Raises:
        UsageError: it is not; the message names the valid characters.
    """
    if not NAME.fullmatch(task):
        raise UsageError(f"TASK: expected a name of letters, digits and . _ + -, found {task!r}")
    return task


def check_suite(suite: str) -> None:
    """Refuse a suite that needs more than examples.

    Raises:
        UsageError: the message names what it needs.
    """
    if suite in NOT_FROM_EXAMPLES:
        raise UsageError(f"--suite {suite}: {NOT_FROM_EXAMPLES[suite]}; expected one of {', '.join(SUITES)}")


def new_task(asked: InitOptions) -> NewTask:
    """Make the files of a task, and check them.

    Raises:
        UsageError: a name, suite or column is invalid.
        Refused: rows that the suite cannot score or, an internal error, files that do not load or pass.
    """
    check_name(asked.task)
    check_suite(asked.suite)
    table, columns = (asked.table, asked.columns) if asked.table and asked.columns else STARTERS[asked.suite]
    drafts = read_drafts(table, columns)
    suite = SUITES[asked.suite](drafts)
    cases, shots = draw(drafts, asked.limit, suite.model_output)
    files = _files(asked, suite, cases, shots)
    unit = f"{asked.task}/{asked.suite}"
    outputs = {f"{unit}/{each.name}": suite.output(each) for each in cases}
    first = FirstGuess(DEFAULT_MARGIN, "so far", "")
    ahead = look_ahead(_proven(asked.task, files | {POLICY: _policy(asked, suite, first)}, outputs))
    policy = _policy(asked, suite, ahead)
    guide = render(
        "README.md.j2", asked=asked, suite=suite, cases=cases, shots=shots, unit=unit, models=requirement("models"),
        case_lines=write_yaml([_case(suite, cases[0])], ONE_LINE).splitlines(),
    )  # fmt: skip
    notes = [*drafts.notes, *_left(drafts, cases, shots)] if asked.table else []
    outlook = (ahead.says, *filter(None, [ahead.note])) if asked.table else ()
    files |= {POLICY: policy, "README.md": guide}
    holds = f"{unit}: {_holds(cases, shots)}" + (f", of {len(drafts.all):,} rows" if asked.table else "")
    return NewTask(asked.task, asked.suite, files, outputs, ahead.margin, holds, tuple(notes), outlook)


def _holds(cases: Sequence[Draft], shots: Sequence[Draft]) -> str:
    examples = f", {len(shots)} worked example{'s' if len(shots) != 1 else ''}" if shots else ""
    return f"{len(cases):,} case{'s' if len(cases) != 1 else ''}{examples}"


def _files(asked: InitOptions, suite: SuiteDraft, cases: Sequence[Draft], shots: Sequence[Draft]) -> dict[str, str]:
    said = f"{asked.goal} {suite.system}" if asked.goal else suite.system
    data: dict[str, Any] = {
        "version": 1,
        "suite": asked.suite,
        "prompt": {"system": asked.system or _their_own(asked) or said, "template": "{input}"},
        "check": dict(suite.check),
        "generate": {"max_new_tokens": suite.tokens([*cases, *shots])},
    }
    if shots:
        data["shots"] = [{"input": each.input, "output": suite.output(each)} for each in shots]
    data["cases"] = [_case(suite, each) for each in cases]
    references = {f"refs/{name}": text for name, text in suite.references.items()}
    return {f"{asked.suite}.yaml": write_yaml(data, ONE_LINE)} | references


def _their_own(asked: InitOptions) -> str | None:
    """The system message of rows of messages."""
    if asked.table is None or asked.columns is None or asked.columns.input != MESSAGES:
        return None
    return shared_system([row.cells for row in asked.table.rows], asked.table.name)


def _case(suite: SuiteDraft, example: Draft) -> dict[str, Any]:
    return {"id": example.name, "input": example.input, "expect": suite.expect(example)}


def _policy(asked: InitOptions, suite: SuiteDraft, ahead: FirstGuess) -> str:
    reason = (
        f"A first guess: {ahead.says}. Write here what a wrong output costs, and set the margin to the loss in points "
        "that you accept."
    )
    unit = {"role": suite.role, "margin": ahead.margin, "reason": reason}
    return write_yaml({"version": 1, "about": asked.about, "units": {asked.suite: unit}})


def _proven(task: str, files: Mapping[str, str], outputs: Mapping[str, str]) -> Task:
    """Load the task from its files, and check that every expected output passes its own check."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        try:
            [loaded] = load_tasks(Path(folder))
        except AuthoringError as error:
            said = str(error).replace(f"{folder}/", "")
            raise Refused(f"these rows do not make a valid fixture, nothing was written; {said}") from error
        completions = {(key, 0): Completion(key, output) for key, output in outputs.items()}
        fingerprint = Fingerprint({"model": "expected", "rung": "as-is"}, {"backend": "replay"}, {"model": "expected"})
        record = evaluate(loaded.units, Replay(completions, fingerprint), quiet())
    for key, result in record.cases.items():
        if not result.passed:
            found = "; ".join(map(str, result.findings))
            raise Refused(f"{key}: expected an output that passes its own check, found {outputs[key]!r} ({found})")
    return loaded


def _left(drafts: Drafts, cases: Sequence[Draft], shots: Sequence[Draft]) -> list[str]:
    left = len(drafts.all) - len(cases) - len(shots)
    if not left:
        return []
    return [
        f"{len(cases):,} of {len(drafts.all):,} rows are cases (--limit), {left:,} are unused: use those for training, "
        "but never cases or shots"
    ]


def render(name: str, **values: Any) -> str:
    """Render a file from its template."""
    environment = Environment(
        loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # noqa: S701  (Markdown and YAML, not HTML)
    )  # fmt: skip
    return environment.get_template(name).render(**values)
