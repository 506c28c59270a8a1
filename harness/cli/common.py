"""What the commands share: their options, where they print, and how an error ends them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.project import find_root
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.options.settings import standing
from tunegate.harness.options.table import OPTIONS

PYTESTS = re.compile(r"pytest:? [^;\n]*|--tg-(?P<name>[\w-]+)")  # a command of pytest, or an option of it
FIXTURES, BASELINES, RUNS = Path("fixtures"), Path("baselines"), Path(".tunegate/runs")


def shared(name: str) -> Any:
    """An option of a command, made from its row in the table, as pytest's is."""
    option = OPTIONS[name]
    has_default = option.default is not None and not option.is_flag
    return typer.Option(
        f"--{name}", help=option.help, metavar=option.takes or None, min=option.least, show_default=has_default
    )


class Device(StrEnum):
    """Where a local model is computed."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Dtype(StrEnum):
    """The precision that a local model is computed in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Attention(StrEnum):
    """Which implementation computes a local model's attention."""

    auto = "auto"
    eager = "eager"
    sdpa = "sdpa"
    flash_attention_2 = "flash_attention_2"


class Quantization(StrEnum):
    """To how many bits a local model's weights are rounded."""

    none = "none"
    eight = "8bit"
    four = "4bit"


OnDevice = Annotated[Device, shared("device")]
InDtype = Annotated[Dtype, shared("dtype")]
ByAttention = Annotated[Attention, shared("attention")]
Quantized = Annotated[Quantization, shared("quantization")]
Tokenizer = Annotated[str | None, shared("tokenizer")]
InFlight = Annotated[int, shared("in-flight")]
Deadline = Annotated[int, shared("deadline")]
ReasoningEffort = Annotated[str | None, shared("reasoning-effort")]
ReasoningTokens = Annotated[int, shared("reasoning-tokens")]
RequestsPerMinute = Annotated[int | None, shared("requests-per-minute")]
TokensPerMinute = Annotated[int | None, shared("tokens-per-minute")]
ChatTemplate = Annotated[Path | None, shared("chat-template")]
Cases = Annotated[Path, shared("cases")]
Baselines = Annotated[Path, shared("baselines")]
Run = Annotated[Path | None, shared("run")]
Json = Annotated[bool, shared("json")]
Quiet = Annotated[bool, shared("quiet")]
Adapter = Annotated[Path, typer.Argument(help="The adapter's folder.", metavar="ADAPTER")]


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


def model_options(given: Mapping[str, Any]) -> ModelOptions:
    """How a command opens its models, from its parameters by name; what it does not take is as it is by itself."""
    values: dict[str, Any] = {each.name: given[each.name] for each in fields(ModelOptions) if each.name in given}
    chosen = {name: str(value) for name, value in values.items() if isinstance(value, StrEnum)}
    return ModelOptions(**values | chosen)


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether the command line names an option, whatever stands for it elsewhere."""
    source = ctx.get_parameter_source(name)
    return bool(source and source.name == "COMMANDLINE")


class Command(TyperCommand):
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
