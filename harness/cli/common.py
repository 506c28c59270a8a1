"""What the commands share: where they print, how an error of ours ends them, and the options that most of them have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tunegate.harness.core.errors import TunegateError

FIXTURES, BASELINES, RUNS = Path("fixtures"), Path("baselines"), Path(".tunegate/runs")
Cases = Annotated[Path, typer.Option("--cases", help="The folder of fixtures.", metavar="DIR")]
Baselines = Annotated[Path, typer.Option("--baselines", help="The folder of recorded baselines.", metavar="DIR")]

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def told(command: Callable[..., None]) -> Callable[..., None]:
    """Let an error of ours end the process with its message and exit code; any other is a bug and shows its trace."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except TunegateError as error:
            errors.print(str(error), markup=False)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            errors.print("interrupted; run the same command again to go on")
            raise typer.Exit(2) from None

    return run
