"""The command with which people label outputs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import console, open_page, project
from tunegate.harness.cli.options import FIXTURES, Cases, Run, opens_model, shared
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.escaping import HALF, shown
from tunegate.harness.models.model_options import ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.cases.model import LabelSource, Unit
    from tunegate.harness.labelling.labelling import Labelling
    from tunegate.harness.labelling.questions import Question
    from tunegate.harness.models.evaluation.record import Record

MOST_LETTERS = 100  # of a name, as in the schema of labels


@opens_model("local", "served", "hosted")
def label(
    questions: Annotated[
        Path,
        typer.Argument(
            help="Questions, one per line: an input, and one output or two; or a unit with labels.",
            metavar="QUESTIONS.jsonl|TASK/UNIT",
        ),
    ],
    labels: Annotated[Path | None, shared("labels")] = None,
    by: Annotated[str | None, shared("by")] = None,
    double: Annotated[int, shared("double")] = 0,
    adjudicate: Annotated[bool, shared("adjudicate")] = False,
    terminal: Annotated[bool, shared("terminal")] = False,
    judge: Annotated[str | None, shared("judge")] = None,
    cases: Cases = FIXTURES,
    run: Run = None,
    *,
    opened: ModelOptions,
) -> None:
    """Label outputs, blindly: two side by side in random order without names, or one beside its notes.

    A page opens on 127.0.0.1, or with --terminal the terminal asks. Every key is saved at once; run the command again
    to go on. Several people label into one file, one after another.
    """
    from tunegate.harness.labelling.labelling import Labelling
    from tunegate.harness.labelling.summary import summary_lines

    if judge:
        _judge(questions, judge, cases, run, opened)
        return
    asked, path = _questions(questions, labels, cases, run)
    _check_path(path)
    name = _name(by)
    work = Labelling(asked, path, name, double, adjudicate)
    for note in work.notes:
        console.print(f"note: {note}")
    _ask(work, name, terminal)
    console.lines(summary_lines(work.questions, work.labels))
    if path.exists():
        console.print(f"labels: {show_path(path)}, to be committed")


def _questions(given: Path, labels: Path | None, cases: Path, run: Path | None) -> tuple[list[Question], Path]:
    """Return the questions of a file, or those of a unit with labels, and the file of their labels."""
    from tunegate.harness.labelling.of_unit import unit_questions
    from tunegate.harness.labelling.questions import read_questions

    if given.suffix == ".jsonl" or given.is_file():
        return read_questions(given), labels or given.with_suffix(".labels.jsonl")
    unit, source, record = _labelled_unit(given, cases, run)
    return unit_questions(unit, record), labels or source.file


def _labelled_unit(given: Path, cases: Path, run: Path | None) -> tuple[Unit, LabelSource, Record]:
    """Return a unit with labels, these, and the run that they are about."""
    from tunegate.harness.cases.loader import find_unit, load_tasks
    from tunegate.harness.labelling.of_unit import newest_record
    from tunegate.harness.models.evaluation.record import read_record
    from tunegate.harness.models.evaluation.runs import RUNS

    unit = find_unit(load_tasks(cases), given.as_posix())
    if unit.labels is None:
        raise UsageError(f"label: expected a unit with labels, found {unit.key}, which has none")
    return unit, unit.labels, read_record(run) if run else newest_record(project() / RUNS, unit.key)


def _judge(given: Path, name: str, cases: Path, run: Path | None, opened: ModelOptions) -> None:
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.labelling.judge import judge_outputs
    from tunegate.harness.labelling.of_unit import differing_outputs

    unit, source, record = _labelled_unit(given, cases, run)
    _check_path(source.judge_file)
    asked = judge_outputs(source, differing_outputs(unit, record), name, watch_on(console), opened)
    console.print(
        f"the judge was asked about {asked} outputs that differ: {show_path(source.judge_file)}, to be committed"
    )
    console.print("run the gate again: it says whether its verdicts save labels, and what to label")


def _ask(work: Labelling, name: str, terminal: bool) -> None:
    """Ask what is left to label; if nothing is, the terminal still opens for a person with a label to undo."""
    is_left = bool(work.shown.outputs)
    if not is_left:
        hint = "; to undo a label, add --terminal" if work.can_undo and not terminal else ""
        console.print(f"nothing is left to label for {shown(name)}{hint}")
    if is_left or (work.can_undo and terminal):
        with suppress(KeyboardInterrupt):  # a usual way to stop: everything is saved
            _in_terminal(work) if terminal else _on_page(work)


def _in_terminal(work: Labelling) -> None:
    from tunegate.harness.labelling.terminal import label_in_terminal

    label_in_terminal(work, console, typer.getchar if sys.stdin.isatty() else _piped_key)


def _piped_key() -> str:
    """Return the next character of standard input that is no line break."""
    key = sys.stdin.read(1)
    if not key:
        raise EOFError
    return key if key.strip() else _piped_key()


def _on_page(work: Labelling) -> None:
    from tunegate.harness.labelling.server import LabelServer

    with LabelServer(work) as server:
        console.print(f"page: {server.address}")
        if not open_page(server.address):
            console.print("no browser was started: open the page's address; Ctrl+C stops")
        server.serve_forever()


def _check_path(path: Path) -> None:
    """Refuse a labels file that would be written elsewhere than it says, before labelling starts."""
    from tunegate.harness.core.files import check_writable

    if path.is_symlink():
        raise UsageError(f"--labels: expected a file, found a link at {show_path(path)}; name the file itself")
    if not path.parent.is_dir():
        raise UsageError(f"--labels: expected an existing folder, found none at {show_path(path.parent)}; create it")
    check_writable(path.parent)


def _name(by: str | None) -> str:
    """Return who labels; UsageError for a name that the file of labels cannot hold."""
    from tunegate.harness.core.git import run_git

    name = by if by is not None else run_git(Path(), "config", "user.name").stdout.decode("utf-8", "replace")
    if not name.strip() or len(name.strip()) > MOST_LETTERS:
        raise UsageError(f"--by: expected a name of 1 to {MOST_LETTERS} characters, found {shown(name)!r}")
    if HALF.search(name):
        raise UsageError(f"--by: expected a name in UTF-8, found half a character in {shown(name)}")
    return name.strip()
