"""Weights of tokens in the loss: those that vary between rows count for more than the form that all rows share.

An output of JSON is mostly keys and marks, the same in every row and soon learned; the few tokens that decide its
values are a small part of the loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunegate.trainers.data.tokenize import Tokens

CONTEXT = 4  # tokens before a token, by which it is expected; fewer where no other row has these
Output = tuple[int, ...]


@dataclass(frozen=True)
class TokenWeights:
    """The weights of each output's tokens, 1 on average over all rows; `varying` of the `tokens` vary."""

    of_output: Mapping[Output, Sequence[float]]
    tokens: int
    varying: int

    def render(self) -> str:
        """A line that says what the weights are."""
        weights = {weight for each in self.of_output.values() for weight in each}
        return (
            f"weights in the loss: {max(weights):.2f} for the {self.varying:,} of {self.tokens:,} tokens that vary "
            f"between rows, {min(weights):.2f} for the others"
        )


def weigh_tokens(rows: Sequence[Tokens], factor: float) -> TokenWeights:
    """Weigh the tokens of all outputs; `factor` is the weight of a token that varies, relative to one that does not."""
    outputs = [row.output for row in rows]
    seen = _continuations(outputs)
    varies = {output: [_varies(output, at, seen) for at in range(len(output))] for output in set(outputs)}
    tokens, varying = sum(map(len, outputs)), sum(sum(varies[output]) for output in outputs)
    mean = (tokens - varying + factor * varying) / tokens
    weights = {output: [(factor if each else 1.0) / mean for each in found] for output, found in varies.items()}
    return TokenWeights(weights, tokens, varying)


def _continuations(outputs: Sequence[Output]) -> dict[Output, dict[int, set[int]]]:
    """For each context, the tokens that follow it, each with the rows in which it does."""
    seen: dict[Output, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row, output in enumerate(outputs):
        for at, token in enumerate(output):
            for context in _contexts(output, at):
                seen[context][token].add(row)
    return seen


def _contexts(output: Output, at: int) -> list[Output]:
    """The tokens before a token, the most first; the beginning of an output counts as one, -1."""
    before = (-1, *output[:at])[-CONTEXT:]
    return [before[start:] for start in range(len(before))]


def _varies(output: Output, at: int, seen: Mapping[Output, Mapping[int, set[int]]]) -> bool:
    """Whether rows go on differently after the longest context that several of them have; true if there is none."""
    for context in _contexts(output, at):
        if len(set().union(*seen[context].values())) > 1:
            return len(seen[context]) > 1
    return True
