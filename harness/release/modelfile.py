"""A Modelfile for Ollama: the exported file, its chat template in Ollama's language, and greedy decoding.

Ollama guesses a template from a few that it knows, and samples with defaults of its own. So the model's own template is
taken apart by what it writes, and put together again; what does not come out the same is left out, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tunegate.harness.cases.conversation import ASSISTANT, USER
from tunegate.harness.models.api import Messages
from tunegate.harness.models.tokenizer import render_prompt
from tunegate.harness.release.parity.scored_adapter import ScoredAdapter

SYSTEM = "system"
STAND_INS = ("one0", "two0", "three0", "four0")  # stand for the texts of turns
LEAST_CONTEXT = 2048  # tokens
UNWRITABLE = ("{{", "}}", '"""')  # they have a meaning in Ollama's language
LOST = (
    "# The model's chat template cannot be written in Ollama's language, so Ollama guesses one. Before you serve it,",
    "# compare: tunegate parity ADAPTER --model openai:http://localhost:11434/v1#NAME",
)
Render = Callable[[Messages], str]


@dataclass(frozen=True, slots=True)
class TurnTexts:
    """What a chat template writes around turns: before and behind each text, and the system text that it adds."""

    begin: str
    before: dict[str, str]
    behind: dict[str, str]
    default: str

    def written(self, messages: Messages) -> str:
        """The prompt of some messages, as Ollama writes it."""
        turns = messages if messages[0][0] == SYSTEM or not self.default else ((SYSTEM, self.default), *messages)
        parts = [f"{self.before[role]}{text}{self.behind[role]}" for role, text in turns]
        return "".join([self.begin, *parts, self.before[ASSISTANT]])

    def in_go(self) -> str:
        """The same as a template of Go, which Ollama reads."""
        turns = "".join(
            f'{{{{ if eq .Role "{role}" }}}}{self.before[role]}{{{{ .Content }}}}{self.behind[role]}{{{{ end }}}}'
            for role in (SYSTEM, USER, ASSISTANT)
        )
        return f"{self.begin}{{{{ range .Messages }}}}{turns}{{{{ end }}}}{self.before[ASSISTANT]}"


def modelfile(scored: ScoredAdapter, file: Path, adds_begin: bool) -> str:
    """The text of a Modelfile beside a GGUF file, whose template writes the prompts of the evaluation.

    If llama.cpp `adds_begin`, it begins a text by itself, and the template must not.
    """
    tokenizer = scored.base.tokenizer
    begin = tokenizer.bos_token or "" if adds_begin else ""

    def render(messages: Messages) -> str:
        turns = [{"role": role, "content": text} for role, text in messages]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)).removeprefix(begin)

    wanted = [(each.messages, render_prompt(tokenizer, each).removeprefix(begin)) for each in scored.asked.values()]
    found = turn_texts(render, wanted)
    lines = [
        f"FROM ./{file.name}",
        *(_template_lines(found) if found else LOST),
        # greedy decoding without penalties, as evaluated, and room for the longest prompt and output
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1.0",
        f"PARAMETER num_ctx {max(LEAST_CONTEXT, 1 << (scored.longest - 1).bit_length())}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _template_lines(found: TurnTexts) -> Iterable[str]:
    yield f'TEMPLATE """{found.in_go()}"""'
    if found.default:
        yield f'SYSTEM """{found.default}"""'


def turn_texts(render: Render, wanted: Iterable[tuple[Messages, str]]) -> TurnTexts | None:
    """Take a chat template apart, by the prompts that it renders; None if what is put together again differs.

    `wanted` are messages with the prompts that have to come out.
    """
    system, user, reply, last = STAND_INS
    talk, pair = ((SYSTEM, system), (USER, user), (ASSISTANT, reply), (USER, last)), ((USER, user), (USER, last))
    try:
        whole, alone = _parts(render(talk), STAND_INS), _parts(render(((USER, user),)), (user,))
    except Exception:  # a template is a program of the model's author: it may refuse a system turn
        return None
    try:
        twice = _parts(render(pair), (user, last))
    except Exception:  # or two turns of a user
        twice = None
    if not (whole and alone):
        return None
    between = [whole[1], whole[3], alone[0], *([twice[1]] if twice else [])]
    opening = _common([text[::-1] for text in between])[::-1]
    begin = _common([whole[0], alone[0].removesuffix(opening)])
    begin = begin if alone[0] == begin + opening else ""
    closing = twice[1].removesuffix(opening) if twice else ""
    found = TurnTexts(
        begin=begin,
        before={SYSTEM: whole[0].removeprefix(begin), USER: opening, ASSISTANT: whole[2].removeprefix(closing)},
        behind={SYSTEM: whole[1].removesuffix(opening), USER: closing, ASSISTANT: whole[3].removesuffix(opening)},
        default=_default(whole, alone, opening, begin),
    )
    texts = [found.begin, found.default, *found.before.values(), *found.behind.values()]
    if any(each in text for text in texts for each in UNWRITABLE):
        return None
    probes = [(each, render(each)) for each in (talk, talk[1:], talk[1:2])]
    return found if all(found.written(messages) == text for messages, text in [*probes, *wanted]) else None


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


def _default(whole: Sequence[str], alone: Sequence[str], opening: str, shared: str) -> str:
    """The system text that a template adds where there is none."""
    head, tail = whole[0].removeprefix(shared), whole[1]
    first = alone[0].removeprefix(shared)
    is_added = first != opening and first.startswith(head) and first.endswith(tail)
    return first[len(head) : len(first) - len(tail)] if is_added else ""


def _parts(text: str, stand_ins: Sequence[str]) -> list[str] | None:
    """The texts around the stand-ins; None if one does not stand there once, in its order."""
    parts = []
    for each in stand_ins:
        before, found, text = text.partition(each)
        if not found or each in text:
            return None
        parts.append(before)
    return [*parts, text]
