"""The cost of a call: the tokens of another unit's output at the prices in the task's task.yaml.

The score is the negative price of one call, in the currency of the prices: continuous, higher is better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.checks.base import Check, CheckKind, Outcome
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.files import digest

MILLION = 1_000_000
DIGEST8 = re.compile(r"-[0-9a-f]{8}$")  # digest of the weights: records append it to a model's name


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million tokens, input and output."""

    input_per_million: float
    output_per_million: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """The price of one call; for mean token counts, the mean price of several."""
        return (tokens_in * self.input_per_million + tokens_out * self.output_per_million) / MILLION


@dataclass(frozen=True)
class Prices:
    """A task's prices: a default, and exceptions by model."""

    currency: str
    price: Price
    models: Mapping[str, Price] = field(default_factory=dict)

    def of(self, model: str) -> Price:
        """The price of a model, named as in records (`smollm2-5f562099`) or without digest (`smollm2`)."""
        return self.models.get(model) or self.models.get(DIGEST8.sub("", model)) or self.price

    @property
    def digest(self) -> str:
        """The digest of everything that can change a price."""
        every = [("", self.price), *sorted(self.models.items())]
        prices = [[name, each.input_per_million, each.output_per_million] for name, each in every]
        return digest([self.currency, prices])


@dataclass(frozen=True, slots=True)
class Call:
    """The tokens used for one output, and the model that generated it."""

    model: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class CostCheck(Check):
    """Scores an output by its cost."""

    prices: Prices

    @property
    def references(self) -> str:
        """The digest of the prices."""
        return self.prices.digest

    def __call__(self, output: Call, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has them)
        """Score a call by its negative price."""
        price = self.prices.of(output.model).of(output.tokens_in, output.tokens_out)
        return Outcome(0.0 - price)  # never -0.0


def load(options: Mapping[str, Any], document: Document, where: Where) -> CostCheck:  # noqa: ARG001
    """Create a check from the `prices` of the task; there are no other options."""
    return CostCheck(options["prices"])


KIND = CheckKind(
    kind="continuous",
    options={"type": "object", "additionalProperties": False},
    expect={},
    load=load,
    version=1,
    derived=True,
    ignores=("cases", "prompt", "check", "generate", "shots", "tools", "sealed"),
)
