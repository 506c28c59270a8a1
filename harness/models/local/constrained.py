"""Constrained decoding on a local model: each step allows only the tokens that a JSON Schema allows next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.models.api import GRAMMAR_OPTIONS, Request, Unconstrainable

LIBRARY = "llguidance"
# How schemas become grammars belongs to the engine that a baseline names: raise this number when outputs change.
GRAMMAR = "1"
SAID = 300  # characters of the library's message


def library() -> str:
    """The library's version and ours for grammars, as an engine's fingerprint names them."""
    minor = ".".join(need(LIBRARY).__version__.split(".")[:2])
    return f"{LIBRARY} {minor}, grammar {GRAMMAR}"


def check_constraints(requests: Iterable[Request]) -> None:
    """Refuse schemas without a grammar, all of them at once, before a model is loaded.

    Raises:
        Unconstrainable: names the files, the keywords, and what to do.
        CouldNotRun: the library is not installed.
    """
    asked = dict.fromkeys(request.constraint for request in requests if request.constraint)
    why = {constraint: said for constraint in asked if (said := _mistake(_grammar(constraint)))}
    if why:
        lines = "\n".join(f"  {constraint.file}: {said}" for constraint, said in why.items())
        raise Unconstrainable(
            f"expected schemas that outputs can be constrained to, found:\n{lines}\n"
            "write them without these keywords, or use a prompting strategy without constrained decoding (--rung)",
            why,
        )


def _grammar(constraint: Constraint) -> str:
    return str(need(LIBRARY).LLMatcher.grammar_from_json_schema(constraint.schema, overrides=GRAMMAR_OPTIONS))


@cache
def _mistake(grammar: str) -> str:
    is_error, said = need(LIBRARY).LLMatcher.validate_grammar_with_warnings(grammar)
    return _one_line(" ".join(said)) if is_error else ""


def _one_line(said: str) -> str:
    return shown(" ".join(said.split())[:SAID])


class Grammars:
    """The grammars of a model's tokenizer, each built once.

    Args:
        tokenizer: a fast tokenizer of transformers.
        ends: the ids of the tokens that end an output.
        size: the number of logits per token.

    Raises:
        Refused: the library cannot read the tokenizer.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], size: int) -> None:
        try:
            self._tokenizer = need("llguidance.hf").from_tokenizer(
                tokenizer, n_vocab=max(size, len(tokenizer)), eos_token=list(ends)
            )
        except ValueError as error:
            raise Refused(
                f"constrained decoding: expected a tokenizer that {LIBRARY} can read, found {type(tokenizer).__name__} "
                f"({error}); use a prompting strategy without it (--rung), or serve the model (docs/servers.md)"
            ) from error
        self._made: dict[Constraint, Any] = {}

    def constrain(self, constraint: Constraint, after: int | None = None) -> ConstrainedOutput:
        """The constraint of one output; with `after`, it starts after that token, which ends the reasoning.

        Raises:
            CouldNotRun: the library fails on the schema.
        """
        if constraint not in self._made:
            self._made[constraint] = need(LIBRARY).LLMatcher(self._tokenizer, _grammar(constraint), log_level=0)
        return ConstrainedOutput(self._made[constraint].deep_copy(), constraint.file, after)


class ConstrainedOutput:
    """The progress of one output in its grammar."""

    def __init__(self, matcher: Any, file: str, after: int | None) -> None:
        self._matcher, self._file, self._after = matcher, file, after
        self.begin()

    def begin(self) -> None:
        """Start the output again."""
        self._matcher.reset()
        self._free = self._after is not None
        self._check()

    def mask(self, logits: Any) -> Any:
        """The logits of the next token (one row), with disallowed tokens at minus infinity."""
        import torch

        if self._free:
            return logits
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()  # a library error would end the output here, as if it were complete
        allowed = torch.from_numpy(np.unpackbits(bits, count=len(logits), bitorder="little"))
        return logits.masked_fill(~allowed.bool().to(logits.device), -torch.inf)

    def take(self, token: int) -> None:
        """Add the chosen token."""
        if self._free:
            self._free = token != self._after
            return
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            said = _one_line(self._matcher.get_error().partition("<state>")[0])  # without the output so far
            raise CouldNotRun(f"{self._file}: {LIBRARY} failed while an output was constrained to it: {said}")
