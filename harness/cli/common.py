"""Shared by the commands: printing, and exit codes of errors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer

from tunegate.harness.cli.help import SectionedCommand
from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.errors import CouldNotRun, UsageError, show_path
from tunegate.harness.core.files import same_file
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.project import find_root
from tunegate.harness.models.options.settings import standing

PYTESTS = re.compile(r"pytest:? [^;\n]*|--tg-(?P<name>[\w-]+)")  # a pytest command, or one of its options
RUNS = Path(".tunegate/runs")


console = Printer(soft_wrap=True)
errors = Printer(stderr=True, soft_wrap=True)


def chatter(quiet: bool, as_json: bool = False) -> Printer:
    """Return the printer of progress and notes: silent with --quiet, standard error with --json."""
    return Printer(stderr=as_json, quiet=quiet, soft_wrap=True)


def project() -> Path:
    """Return the project's folder, found from the current directory."""
    here = Path.cwd()
    root = find_root(here)
    return Path() if root == here else root


def check_apart(writes: Iterable[tuple[str, Path | None]], taken: Iterable[tuple[str, Path]]) -> None:
    """Refuse to write over another file of the same command; both are options with their files.

    Raises:
        UsageError: names both options.
    """
    taken = list(taken)
    for option, path in writes:
        if path and (name := same_file(path, taken)):
            raise UsageError(
                f"{option}: expected a file of its own, found that {name} uses {show_path(path)}; name another"
            )
        taken += [(option, path)] if path else []


def check_reason(option: str, reason: str | None) -> None:
    """Refuse a reason that is given and empty.

    Raises:
        UsageError: names the option.
    """
    if reason is not None and not reason.strip():
        raise UsageError(f"{option}: expected a reason, found none; add {option} REASON")


def open_page(address: str) -> bool:
    """Open a page in a browser, but not from a log; return whether one was started."""
    import webbrowser

    return sys.stdout.isatty() and webbrowser.open(address)


def is_given(ctx: typer.Context, name: str) -> bool:
    """Return whether the command line sets an option, regardless of other sources."""
    source = ctx.get_parameter_source(name)
    return bool(source and source.name == "COMMANDLINE")


def first_given(ctx: typer.Context, names: Collection[str]) -> str:
    """Return the first of the named parameters that the command line sets, as an option; empty if there is none."""
    given = (each for each in ctx.command.params if each.name in names and is_given(ctx, each.name))
    return next((each.opts[0] for each in given), "")


class Command(SectionedCommand):
    """A command with defaults from `[tool.tunegate]`, whose errors end with an exit code.

    It reads the declarations of a project's own checks, and runs none of their code.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _ending({option for each in self.params for option in each.opts}), self.checks():
            stands = {name.replace("-", "_"): value for name, value in standing(project()).items()}
            for name, value in stands.items():
                source = ctx.get_parameter_source(name)
                # the command line wins: the settings apply only to options at their default
                if source and source.name == "DEFAULT":
                    ctx.params[name] = value
            return super().invoke(ctx)

    def checks(self) -> AbstractContextManager[None]:
        """Return the context in which a project's own checks are loaded."""
        from tunegate.harness.checks.registry import declared_checks

        return declared_checks()


class ScoringCommand(Command):
    """A command that scores outputs and therefore runs a project's own checks."""

    def checks(self) -> AbstractContextManager[None]:
        """Load the checks in this process."""
        return nullcontext()


def own_options(message: str, options: Collection[str]) -> str:
    """Replace pytest's option names in a message with the command's own; pytest commands stay."""
    return PYTESTS.sub(lambda each: own if (own := f"--{each['name']}") in options else each[0], message)


@contextmanager
def _ending(options: Collection[str]) -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except (KeyboardInterrupt, typer.Abort):  # Abort: interrupted at a prompt
        errors.print("interrupted; run the same command again to continue")
        # 2, as an interrupted pytest run
        raise typer.Exit(2) from None
    except BrokenPipeError:  # the reader of the output is gone; keep the interpreter silent about it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(CouldNotRun.exit_code) from None
    except Exception as error:
        ours = as_tunegate_error(error, project())
        errors.print(own_options(str(ours), options))
        raise typer.Exit(ours.exit_code) from error
