"""The form in which a model is shown tools and writes calls: a chat template, and the parser of what it makes.

None is written here. A tokenizer's own template counts if it shows tools, and if the tokenizer brings a parser
(transformers' `response_template`) or TRL has one for exactly this template. Otherwise a name takes one of TRL's
templates with its parser, in place of the tokenizer's own. TRL is imported when a format is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest

OPTION = "--tg-tool-format"
CALLS = "tool_calls"  # the field of a parser
_OF_TRL, _FOR_TRAINING = "_chat_template", "_training_chat_template"  # how TRL names its templates
_ANY_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@dataclass(frozen=True)
class ToolFormat:
    """A chat template that shows tools, and the parser (a `response_template`) of the calls that it teaches.

    `name` is TRL's; it is empty for a template that TRL does not know, whose tokenizer brings the parser.
    """

    name: str
    template: str
    parser: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of template and parser."""
        return digest([self.template, dict(self.parser)])


@dataclass(frozen=True)
class TrainingFormat:
    """The template with which a format is trained: its own, or TRL's for training, which renders the same turns.

    `marks_outputs`: it marks the assistant's tokens, and among them the one that ends a turn (`trains_stop`).
    `is_prefix_preserving`: turns are rendered alike whatever follows them.
    """

    template: str
    is_patched: bool
    is_prefix_preserving: bool
    marks_outputs: bool
    trains_stop: bool


@cache
def known_formats() -> Mapping[str, ToolFormat]:
    """TRL's templates that have a parser of calls, by name; CouldNotRun without TRL."""
    trl = need("trl.chat_template_utils")
    names = (name for name in vars(trl) if name.endswith(_OF_TRL) and not name.endswith(_FOR_TRAINING))
    found = ((name.removesuffix(_OF_TRL), getattr(trl, name)) for name in names)
    formats = (_of_trl(name, template) for name, template in found if isinstance(template, str))
    return {each.name: each for each in formats if each}


def _of_trl(name: str, template: str) -> ToolFormat | None:
    """The format of one of TRL's templates; None if TRL has no parser of its calls."""
    holder = SimpleNamespace(chat_template=template, response_template=None)
    try:
        need("trl.chat_template_utils").add_response_schema(holder)
    except ValueError:
        return None
    parser = holder.response_template
    return ToolFormat(name, template, parser) if parser and CALLS in parser["fields"] else None


def named_format(name: str) -> ToolFormat:
    """TRL's format of this name; Refused if it has none."""
    formats = known_formats()
    if name not in formats:
        near = did_you_mean(name, formats)
        hint = f" ({near})" if near else ""
        raise Refused(f"{OPTION}: expected one of {', '.join(sorted(formats))}, found {shown(name)}{hint}")
    return formats[name]


def use_format(tokenizer: Any, found: ToolFormat) -> None:
    """Let a tokenizer render and read by a format, in place of its own template and parser."""
    tokenizer.chat_template, tokenizer.response_template = found.template, dict(found.parser)


def format_of(tokenizer: Any) -> ToolFormat:
    """The format of a tokenizer by its own template, or by that of a name that `use_format` gave it.

    Raises Refused if the template shows no tools, or nothing reads its calls, CouldNotRun without TRL.
    """
    template, parser = _own_template(tokenizer), getattr(tokenizer, "response_template", None)
    name = next((each.name for each in known_formats().values() if each.template == template), "")
    if parser is None and name:
        parser = known_formats()[name].parser
    if not _shows_tools(tokenizer):
        raise _unfit(tokenizer, "one that shows none, or drops calls or their results")
    if not (isinstance(parser, Mapping) and CALLS in (parser.get("fields") or {})):
        raise _unfit(tokenizer, "one whose calls no parser reads")
    return ToolFormat(name, template, parser)


def training_format(tokenizer: Any, found: ToolFormat) -> TrainingFormat:
    """How a format is trained with this tokenizer, as TRL describes and mends it."""
    trl, before = need("trl.chat_template_utils"), tokenizer.chat_template
    tokenizer.chat_template = found.template
    try:
        try:
            patched = trl.get_training_chat_template(tokenizer)
        except ValueError:  # TRL has none for it
            patched = None
        tokenizer.chat_template = patched or found.template
        has_marks = bool(trl.has_generation_markers(tokenizer.chat_template))
        return TrainingFormat(
            tokenizer.chat_template,
            is_patched=patched is not None,
            is_prefix_preserving=bool(trl.is_chat_template_prefix_preserving(tokenizer)),
            marks_outputs=has_marks,
            trains_stop=has_marks and bool(trl.is_chat_template_stop_token_trained(tokenizer)),
        )
    finally:
        tokenizer.chat_template = before


def _own_template(tokenizer: Any) -> str:
    """The template that a tokenizer uses where there are tools; empty without one."""
    try:
        return str(tokenizer.get_chat_template(tools=[_ANY_TOOL]))
    except ValueError:
        return ""


def _shows_tools(tokenizer: Any) -> bool:
    """Whether a template renders calls, their results, and what a tool is for."""
    aim = "what_the_tool_is_for_5d1c"
    tool = {"type": "function", "function": {**_ANY_TOOL["function"], "description": aim}}  # type: ignore[dict-item]
    asked = [{"role": "user", "content": "?"}]
    try:
        shown_there = aim in tokenizer.apply_chat_template(asked, tools=[tool], tokenize=False)
        return shown_there and bool(need("trl.chat_template_utils").supports_tool_calling(tokenizer))
    except Exception:  # a template is a program of the model's author
        return False


def _unfit(tokenizer: Any, found: str) -> Refused:
    folder = getattr(tokenizer, "name_or_path", "")
    whose = f"{show_path(Path(folder))}: " if folder else ""
    return Refused(
        f"{whose}expected a chat template for tools, found {found}; take one of TRL's, and its parser, in its place: "
        f"{OPTION}=NAME, one of {', '.join(sorted(known_formats()))} (docs/tools.md)"
    )
