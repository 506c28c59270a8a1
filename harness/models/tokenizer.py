"""A model's tokenizer and chat template: messages to the prompt, the same for training and scoring."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from tunegate.harness.cases.conversation import USER, output_turn, template_messages
from tunegate.harness.checks.tools.definitions import Tool
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import Messages, PromptRenderer, RenderedPrompt, Request
from tunegate.harness.models.model_options import NO_TEMPLATE
from tunegate.harness.models.resolve import not_loaded, resolve, template_text
from tunegate.harness.models.tool_format import named_format, use_format

Encoded = tuple[list[int], list[int]]  # the tokens before a text, and its own
TEMPLATE_SECONDS = 20.0  # per prompt: a template is a program, and may never end
MOST_OF_A_PROMPT = 10_000_000  # characters
SYSTEM = "You are asked whether you are there."  # a text that no template contains


class NoTemplate(Refused):
    """A model has no chat template."""


def read_tokenizer(folder: Path, template: Path | None = None, tool_format: str | None = None) -> Any:
    """The tokenizer of a model folder, padding on the left, with the chat template in `template` or its own, if any.

    A `tool_format` is the name of a template of TRL's, used instead of either. Raises Refused if it needs custom code,
    CouldNotRun if it cannot be read.
    """
    transformers = need("transformers")
    try:
        # on the left, since `generate` continues from the right edge
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, padding_side="left", local_files_only=True, trust_remote_code=False
        )
        tokenizer("?")  # some damage shows only on use
    except Exception as error:
        raise not_loaded(folder, "a tokenizer", error) from error
    if template:
        begins = template == NO_TEMPLATE and tokenizer("?").input_ids[:1] == [tokenizer.bos_token_id]
        # plain text starts with this token, which a chat template has to write itself
        tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + template_text(template)
    if tool_format:
        use_format(tokenizer, named_format(tool_format))
    return tokenizer


def load_tokenizer(folder: Path, template: Path | None = None, tool_format: str | None = None) -> Any:
    """What `read_tokenizer` reads, ready to render prompts and pad them.

    Raises NoTemplate without a chat template, Refused without an end token, and as `read_tokenizer` does.
    """
    tokenizer = read_tokenizer(folder, template, tool_format)
    if tokenizer.chat_template is None:
        raise NoTemplate(
            f"{folder}: expected a chat template, found none, as in a model that was not tuned to chat; the suites "
            "send chat messages: name one with --tg-chat-template=FILE.jinja (docs/models.md has two), or none for "
            "plain text"
        )
    if tokenizer.eos_token_id is None:
        raise Refused(
            f"{folder}: expected a tokenizer with an end-of-turn token (eos), found none: no output would end"
        )
    if tokenizer.pad_token_id is None:
        # harmless for generation; in training it decides what is masked at the end of turn (see `check_batch`)
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def render_prompt(tokenizer: Any, request: Request) -> str:
    """The prompt text of a request, up to where the output begins; Refused if the chat template does not accept it.

    If the chat template refuses or drops a system turn, its text goes to the head of the first user turn.
    """
    return _rendered(tokenizer, request, ())


def render_reply(tokenizer: Any, request: Request, output: str, template: str | None = None) -> str:
    """What a chat template writes for an output of a request with tools, after the prompt of the tokenizer's own.

    Raises:
        Refused: the template does not accept it, or writes another prompt before it than a model is asked with.
    """
    prompt = render_prompt(tokenizer, request)
    whole = _rendered(tokenizer, request, (output_turn(output, request.messages),), template)
    if not whole.startswith(prompt):
        at = next(at for at, pair in enumerate(zip(whole, f"{prompt}\0", strict=False)) if pair[0] != pair[1])
        raise Refused(
            f"{request.key}: expected a chat template that writes an output after the prompt as it is, found one that "
            f"writes {show_value(whole[at : at + 40])} there, and a model is asked with {show_value(prompt[at:])}"
            f"{_whose(tokenizer)}"
        )
    return whole[len(prompt) :]


def _rendered(tokenizer: Any, request: Request, output: Messages, template: str | None = None) -> str:
    """The text of a request's messages: up to where the output begins, or with it."""
    messages = request.messages
    if messages[0][0] == "system" and not _takes_system(tokenizer):
        messages = _without_system(messages)
    try:
        text = apply_template(tokenizer, (*messages, *output), not output, request.tools, template)
    except Exception as error:  # a template is a program of the model's author
        roles = ", ".join(role for role, _ in (*request.messages, *output))
        raise Refused(
            f"{request.key}: expected messages that the model's chat template accepts, found {roles}: {error}"
            f"{_whose(tokenizer)}"
        ) from error
    if len(text) > MOST_OF_A_PROMPT:
        raise Refused(
            f"{request.key}: expected a chat template that writes at most {MOST_OF_A_PROMPT:,} characters, found one "
            f"that writes {len(text):,}"
        )
    return text


def _whose(tokenizer: Any) -> str:
    """The model of a tokenizer, for the end of a sentence."""
    folder = getattr(tokenizer, "name_or_path", "")
    return f" (the model in {show_path(Path(folder))})" if folder else ""


def apply_template(
    tokenizer: Any, messages: Messages, begins: bool = True, tools: Sequence[Tool] = (), template: str | None = None
) -> str:  # fmt: skip
    """The text of messages and tools by the chat template, or another; `begins`: up to where an output begins."""
    turns, offered = template_messages(messages), [tool.as_dict() for tool in tools] or None
    how = {"tokenize": False, "add_generation_prompt": begins, **({"chat_template": template} if template else {})}
    with time_limit(TEMPLATE_SECONDS):
        return str(tokenizer.apply_chat_template(turns, offered, **how))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError if a block takes longer; no limit applies outside the main thread, or without alarms."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise TimeoutError(f"still running after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _takes_system(tokenizer: Any) -> bool:
    try:
        return SYSTEM in apply_template(tokenizer, (("system", SYSTEM), ("user", "?")))
    except Exception:  # rendering the prompt itself will report other errors
        return False


def _without_system(messages: Messages) -> Messages:
    (_, system), *turns = messages
    at = next((at for at, (role, _) in enumerate(turns) if role == USER), None)  # an assistant may greet first
    if at is None:
        return messages
    return (*turns[:at], (USER, f"{system}\n\n{turns[at][1]}"), *turns[at + 1 :])


def prompt_renderer(
    name: str, watch: Watch, template: Path | None = None, tool_format: str | None = None
) -> PromptRenderer:  # fmt: skip
    """A function that renders the prompt of a request with a model's chat template; raises as `load_tokenizer` does."""
    tokenizer = load_tokenizer(resolve(name, watch), template, tool_format)

    def render(request: Request) -> RenderedPrompt:
        prompt = render_prompt(tokenizer, request)
        return RenderedPrompt(prompt, tuple(tokenizer(prompt, add_special_tokens=False).input_ids))

    return render


def encode(tokenizer: Any, prompt: str | None, text: str) -> Encoded:
    """The tokens before a text, which are given, and those of the text, which are scored.

    A text by itself is scored from its first token on: the begin or end token of texts comes before it.
    """
    if prompt is None:
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        before = [start]
    else:
        before = tokenizer(prompt, add_special_tokens=False).input_ids
    # encoded separately: together, a token may span the border, and other tokens would be scored
    return before, tokenizer(text, add_special_tokens=False).input_ids
