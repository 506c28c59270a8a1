"""The command that imports tests of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tunegate.harness.cli.common import console, project
from tunegate.harness.cli.options import FIXTURES, Cases, Quiet, shared
from tunegate.harness.core.errors import show_path


def import_(
    source: Annotated[Path, typer.Argument(help="The file, or the folder that holds it.", metavar="FILE|FOLDER")],
    task: Annotated[
        str | None, typer.Argument(help="Name of the task and its folder; by default the file's.", metavar="TASK")
    ] = None,
    match: Annotated[Literal["exact", "starts", "includes"] | None, shared("match")] = None,
    column: Annotated[str | None, shared("input")] = None,
    root: Annotated[Path | None, shared("root")] = None,
    cases: Cases = FIXTURES,
    quiet: Quiet = False,
) -> None:
    """Import tests of promptfoo, OpenAI's evals, deepeval or inspect_ai as fixtures.

    Nothing in the files is executed, and nothing is overwritten. What has no home here is listed, with its number.
    """
    from tunegate.harness.imports.recognise import import_source
    from tunegate.harness.imports.write import write_import

    imported = import_source(source, match, column, root)
    written = write_import(imported, task, project(), cases)
    if quiet:
        return
    for path in written.paths:
        console.print(f"wrote {show_path(path)}")
    console.lines((*written.lines, *(f"note: {note}" for note in imported.notes)))
    model = written.models[0] if written.models else "MODEL"
    console.print(f"next: tunegate lint, then pytest {show_path(cases)}/ --tg-model={model}")
