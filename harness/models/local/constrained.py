"""Constrained decoding on a local model: at each step only those tokens that a JSON Schema lets come next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.models.api import Request, Unconstrainable

LIBRARY = "llguidance"
# How grammars are made of schemas belongs to the engine that a baseline names: raise this number when answers change.
GRAMMAR = "1"
#: At most one space where JSON allows white space: a small model else writes blank lines until it is cut. A schema's
#: own settings do not loosen it.
MADE = {"whitespace_pattern": " ", "lenient": False, "coerce_one_of": False}
SAID = 300  # characters of what the library says


def library() -> str:
    """The library and how its grammars are made, as an engine's fingerprint names them."""
    minor = ".".join(need(LIBRARY).__version__.split(".")[:2])
    return f"{LIBRARY} {minor}, grammar {GRAMMAR}"


def check_constraints(requests: Iterable[Request]) -> None:
    """Refuse schemas that no grammar is made of, all of them at once, before a model is loaded.

    Raises:
        Unconstrainable: names their files, the keywords, and what to do.
        CouldNotRun: the library is not installed.
    """
    asked = dict.fromkeys(request.constraint for request in requests if request.constraint)
    why = {constraint: said for constraint in asked if (said := _mistake(_grammar(constraint)))}
    if why:
        lines = "\n".join(f"  {constraint.file}: {said}" for constraint, said in why.items())
        raise Unconstrainable(
            f"expected schemas that answers can be held to while they are decoded, found:\n{lines}\n"
            "write them without that, or ask on a rung without constrained decoding",
            why,
        )


def _grammar(constraint: Constraint) -> str:
    return str(need(LIBRARY).LLMatcher.grammar_from_json_schema(constraint.schema, overrides=MADE))


@cache
def _mistake(grammar: str) -> str:
    is_error, said = need(LIBRARY).LLMatcher.validate_grammar_with_warnings(grammar)
    return _one_line(" ".join(said)) if is_error else ""


def _one_line(said: str) -> str:
    return shown(" ".join(said.split())[:SAID])


class Grammars:
    """The grammars of a model's tokenizer, each made once.

    Args:
        tokenizer: of transformers, with its tokens in a table (a fast one).
        ends: the ids of the tokens that end an answer.
        size: how many logits the model gives for a token.

    Raises:
        Refused: the tokenizer is another one.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], size: int) -> None:
        try:
            self._tokenizer = need("llguidance.hf").from_tokenizer(
                tokenizer, n_vocab=max(size, len(tokenizer)), eos_token=list(ends)
            )
        except ValueError as error:
            raise Refused(
                f"constrained decoding: expected a tokenizer that {LIBRARY} can read, found {type(tokenizer).__name__} "
                f"({error}); ask on a rung without it, or serve the model (docs/servers.md)"
            ) from error
        self._made: dict[Constraint, Any] = {}

    def constrain(self, constraint: Constraint, after: int | None = None) -> ConstrainedOutput:
        """What constrains one answer; free until the token `after`, where the model is thinking already.

        Raises:
            CouldNotRun: the library gives up on the schema.
        """
        if constraint not in self._made:
            self._made[constraint] = need(LIBRARY).LLMatcher(self._tokenizer, _grammar(constraint), log_level=0)
        output = ConstrainedOutput(self._made[constraint].deep_copy(), constraint.file, after)
        output.begin()
        return output


class ConstrainedOutput:
    """How far one answer has come in its grammar."""

    def __init__(self, matcher: Any, file: str, after: int | None) -> None:
        self._matcher, self._file, self._after = matcher, file, after
        self._free = after is not None

    def begin(self) -> None:
        """Forget what was answered."""
        self._matcher.reset()
        self._free = self._after is not None
        self._check()

    def mask(self, logits: Any) -> Any:
        """The logits of the next token (one row of them), those that may not come now at minus infinity."""
        import torch

        if self._free:
            return logits
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()  # a library that gave up would end the answer here, as if it were complete
        allowed = torch.from_numpy(np.unpackbits(bits, count=len(logits), bitorder="little"))
        return logits.masked_fill(~allowed.bool().to(logits.device), -torch.inf)

    def take(self, token: int) -> None:
        """Go on with the token that was chosen."""
        if self._free:
            self._free = token != self._after
            return
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            said = _one_line(self._matcher.get_error().partition("<state>")[0])  # without the answer so far
            raise CouldNotRun(f"{self._file}: {LIBRARY} gave up while an answer was held to it: {said}")
