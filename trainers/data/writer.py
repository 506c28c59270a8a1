"""Rows as tokens: the prompt that the suites send, and the output as the model is to write it, up to its end."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.tokenizer import render_prompt, render_reply
from tunegate.harness.models.tool_format import ToolFormat, TrainingFormat, format_of, training_format
from tunegate.harness.models.tool_replies import read_reply
from tunegate.harness.rows.examples import Example


@dataclass(frozen=True)
class Writer:
    """Writes rows as tokens; `ends` are the tokens that end a model's outputs.

    An output of a row with tools is written by the tool format's template or, where that does not end it and TRL has
    another for training, by TRL's; `patched` are the rows where it was. It must read back as the same message: some
    templates leave out a text beside calls, or further calls.
    """

    tokenizer: Any
    ends: frozenset[int]
    patched: list[str] = field(default_factory=list, compare=False)

    @cached_property
    def format(self) -> ToolFormat:
        """How the tokenizer shows tools; Refused if it does not."""
        return format_of(self.tokenizer)

    @cached_property
    def training(self) -> TrainingFormat:
        """How outputs are written in this format."""
        return training_format(self.tokenizer, self.format)

    @cached_property
    def end_texts(self) -> list[str]:
        """The tokens that end outputs."""
        return self.tokenizer.convert_ids_to_tokens(sorted(self.ends))  # type: ignore[no-any-return]

    def prompt(self, row: Example) -> list[int]:
        """The tokens before the output."""
        # rendered by the code that the suites use, so that the two cannot diverge
        return self._ids(render_prompt(self.tokenizer, row.request))

    def completion(self, row: Example) -> list[int]:
        """The tokens of the output and of its end.

        Raises:
            Refused: the output contains an end, or the tool format cannot write it, or not end it.
        """
        # Tokenized separately from the prompt, since a token that spans the boundary is never sent.
        found = self._of_reply(row) if row.tools else [*self._ids(row.output), self.tokenizer.eos_token_id]
        if inside := [end for end in found[:-1] if end in self.ends]:
            end = self.tokenizer.convert_ids_to_tokens(inside[0])
            raise Refused(
                f"{row.place}: expected an output without {end}, found it in the output; delete it, the trainer adds it"
            )
        return found

    def written(self, row: Example) -> Example:
        """The row with its outputs as the model writes them, without their end."""
        if not row.tools:
            return row
        texts = (self._text(row), row.rejected and self._text(replace(row, output=row.rejected)))
        return replace(row, output=texts[0], rejected=texts[1])

    def _text(self, row: Example) -> str:
        return str(self.tokenizer.decode(self._of_reply(row)[:-1]))

    def _of_reply(self, row: Example) -> list[int]:
        try:
            return self._of_template(row, None)
        except Refused as error:
            if self.training.is_patched:
                with suppress(Refused):
                    found = self._of_template(row, self.training.template)
                    self.patched.append(row.place)
                    return found
            raise error from None

    def _of_template(self, row: Example, template: str | None) -> list[int]:
        """The tokens of an output with its end, without the white space that a template writes between turns."""
        text = render_reply(self.tokenizer, row.request, row.output, template)
        ids = self._ids(text.rstrip())
        if not ids or ids[-1] not in self.ends:
            raise Refused(
                f"{row.place}: expected a tool format that ends an output with {' or '.join(self.end_texts)}, found "
                f"one that ends it with {show_value(text[-40:])}: the tuned model would never stop; name another with "
                "`tool_format`, or add the token's number to eos_token_id in the model's generation_config.json"
            )
        self._check(row, text)
        return ids

    def _check(self, row: Example, text: str) -> None:
        """Refuse a text that does not read as the row's output."""
        prompt = render_prompt(self.tokenizer, row.request)
        read = read_reply(text.rstrip(), prompt, self.format, row.tools, self.end_texts).message
        if read.key(in_order=True) != read_output(row.output).key(in_order=True):
            name = self.format.name or "the model's own"
            raise Refused(
                f"{row.place}: expected a tool format that can say the output, found that {name} says "
                f"{show_value(str(read))} for {show_value(str(read_output(row.output)))}; name another with "
                "`tool_format`, or write the row without what it leaves out"
            )

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


def writer_of(tokenizer: Any, ends: Collection[int] = ()) -> Writer:
    """A writer of rows; `ends` are the tokens that end a model's outputs besides the tokenizer's own."""
    return Writer(tokenizer, frozenset({tokenizer.eos_token_id, *ends}))
