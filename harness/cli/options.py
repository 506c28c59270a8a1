"""The options of the commands, built from the rows of one table."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tunegate.harness.models.model_options import ModelOptions, RungName
from tunegate.harness.models.options.table import OPTIONS, Option

FIXTURES, BASELINES = Path("fixtures"), Path("baselines")
MODEL_OPTIONS = {
    "local": ("device", "dtype", "attention", "quantization", "chat-template", "tool-format"),
    "served": ("tokenizer", "in-flight", "deadline", "stall", "max-model-len"),
    "hosted": ("reasoning-effort", "reasoning-tokens", "requests-per-minute", "tokens-per-minute"),
}


def shared(name: str, command: str = "") -> Any:
    """Return an option built from its row in the table, as `command` has it where that differs."""
    option = OPTIONS[name]
    return typer.Option(
        f"--{name}",
        help=option.by.get(command, option.help),
        metavar=option.takes_by.get(command, option.takes) or None,
        min=option.least,
        show_default=option.default is not None and not option.is_flag,
        rich_help_panel=None if command in option.takes_by else option.group or None,
    )


def opens_model(*places: Literal["local", "served", "hosted"]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of models at these places to a command, which receives them as its parameter `opened`."""
    options = {name.replace("-", "_"): OPTIONS[name] for place in places for name in MODEL_OPTIONS[place]}

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            opened = ModelOptions(**{name: given.pop(name) for name in options})
            command(**given, opened=opened)

        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.name != "opened"]
        return _with_parameters(run, signature, own, options)

    return add


def _with_parameters(
    run: Callable[..., None], signature: inspect.Signature, own: Iterable[inspect.Parameter],
    more: Mapping[str, Option],
) -> Callable[..., None]:  # fmt: skip
    """Give a command its own parameters and more options, in the two attributes that typer reads."""
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    parameters += [_parameter(name, option) for name, option in more.items()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def finds_traffic(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--traffic` to a command that reads fixtures, and use that folder for snapshots while it runs."""
    signature = inspect.signature(command, eval_str=True)
    if "cases" not in signature.parameters:
        return command

    @functools.wraps(command)
    def run(**given: Any) -> None:
        from tunegate.harness.cases.snapshot import traffic_in

        with traffic_in(given.pop("traffic")):
            command(**given)

    return _with_parameters(run, signature, signature.parameters.values(), {"traffic": OPTIONS["traffic"]})


def _parameter(name: str, option: Option) -> inspect.Parameter:
    kind: Any = Literal[option.choices] if option.choices else option.type
    if option.default is None:
        kind |= None
    annotation = Annotated[kind, shared(option.name)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation)


ChatTemplate = Annotated[Path | None, shared("chat-template")]
ToolFormatName = Annotated[str | None, shared("tool-format")]
Cases = Annotated[Path, shared("cases")]
Baselines = Annotated[Path, shared("baselines")]
Run = Annotated[Path | None, shared("run")]
Json = Annotated[bool, shared("json")]
Quiet = Annotated[bool, shared("quiet")]
Adapter = Annotated[Path, typer.Argument(help="The adapter's folder.", metavar="ADAPTER")]
OfRung = Annotated[RungName, shared("rung")]
Sealed = Annotated[bool, shared("sealed")]
Repeats = Annotated[int, shared("repeats")]
