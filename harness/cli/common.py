"""What the commands share: where they print, and how an error ends them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer

from tunegate.harness.cli.help import SectionedCommand
from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.project import find_root
from tunegate.harness.options.settings import standing

PYTESTS = re.compile(r"pytest:? [^;\n]*|--tg-(?P<name>[\w-]+)")  # a command of pytest, or an option of it
RUNS = Path(".tunegate/runs")


console = Printer(soft_wrap=True)
errors = Printer(stderr=True, soft_wrap=True)


def chatter(quiet: bool, as_json: bool = False) -> Printer:
    """Where progress and asides go: nowhere under --quiet, beside the results under --json."""
    return Printer(stderr=as_json, quiet=quiet, soft_wrap=True)


def project() -> Path:
    """The project's folder, from the one that one stands in."""
    here = Path.cwd()
    root = find_root(here)
    return Path() if root == here else root


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether the command line names an option, whatever stands for it elsewhere."""
    source = ctx.get_parameter_source(name)
    return bool(source and source.name == "COMMANDLINE")


class Command(SectionedCommand):
    """A command: what its line leaves open stands in `[tool.tunegate]`, and an error ends it with an exit code.

    It reads what a project's own checks declare, and runs nothing of them.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        with _ending({option for each in self.params for option in each.opts}), self.checks():
            stands = {name.replace("-", "_"): value for name, value in standing(project()).items()}
            for name, value in stands.items():
                source = ctx.get_parameter_source(name)
                # the command line wins: only what it leaves at its default is looked up
                if source and source.name == "DEFAULT":
                    ctx.params[name] = value
            return super().invoke(ctx)

    def checks(self) -> AbstractContextManager[None]:
        """How a project's own checks are loaded meanwhile."""
        from tunegate.harness.checks.registry import declared_checks

        return declared_checks()


class ScoringCommand(Command):
    """A command that scores outputs: a project's own checks run."""

    def checks(self) -> AbstractContextManager[None]:
        """As they are elsewhere: in this process."""
        return nullcontext()


def own_options(message: str, options: Collection[str]) -> str:
    """A message that names pytest's options, with a command's own where it has them; commands of pytest stay."""
    return PYTESTS.sub(lambda each: own if (own := f"--{each['name']}") in options else each[0], message)


@contextmanager
def _ending(options: Collection[str]) -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except (KeyboardInterrupt, typer.Abort):  # an abort is that at a question
        errors.print("interrupted; run the same command again to go on")
        # 2 as under pytest, for whoever interrupts a run
        raise typer.Exit(2) from None
    except BrokenPipeError:  # whoever read the output has left: the interpreter must not complain about it, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(CouldNotRun.exit_code) from None
    except Exception as error:
        ours = as_tunegate_error(error, project())
        errors.print(own_options(str(ours), options), markup=False)
        raise typer.Exit(ours.exit_code) from error
