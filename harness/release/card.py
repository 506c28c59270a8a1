"""Render the model card of a release; every value is escaped, so that none is markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined, UndefinedError

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown_in_json, shown_in_markdown
from tunegate.harness.core.formatting import difference, level, plain, rates
from tunegate.harness.models.adapters import TRAINING
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.verdict import UnitVerdict
from tunegate.harness.models.prompts import CONSTRAINED


def model_card(name: str, training: Mapping[str, Any], decided: Record, about: Mapping[str, Any]) -> str:
    """The text of the card.

    `about` holds the line about the re-run, the number of evaluations of sealed cases with how many are left, and the
    sentence about the ledger.

    Raises:
        Refused: the training record lacks a value of the card.
    """
    environment = Environment(  # noqa: S701  (Markdown, not HTML: every value goes through `_in_card`)
        loader=PackageLoader(__package__), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
        finalize=_in_card,
    )  # fmt: skip
    environment.filters |= {"level": level, "plain": plain, "json": _in_head, "metric_args": _metric_args}
    environment.filters["capital"] = lambda text: text[:1].upper() + text[1:]
    environment.globals |= {"difference": _difference, "rates": rates}
    try:
        return environment.get_template("model_card.md.j2").render(
            name=name, training=training, task=training["task"], model=training["model"], units=decided.units,
            verdicts=decided.verdicts, reason=decided.tasks[training["task"]].reason,
            constrained=decided.rung in CONSTRAINED, **about,
        )  # fmt: skip
    except UndefinedError as error:
        raise Refused(
            f"{TRAINING}: expected a training record with every value of the model card, found {error}"
        ) from None


class _AsItIs(str):
    """A text that is inserted without escaping."""

    __slots__ = ()


def _in_head(value: Any) -> _AsItIs:
    """A value of the card's YAML head, as JSON."""
    return _AsItIs(shown_in_json(json.dumps(value)))


def _metric_args(verdict: UnitVerdict) -> dict[str, Any]:
    """The entries of a verdict in the card's head, besides the score."""
    return {key: getattr(verdict, key) for key in ("verdict", "reference", "base", "difference", "interval", "margin")}


def _difference(*numbers: Any) -> _AsItIs:
    return _AsItIs(difference(*numbers))  # its brackets are not links


def _in_card(value: Any) -> Any:
    """The escaped text of a template value; a space that joins it to the words beside it stays."""
    if isinstance(value, Undefined | _AsItIs):
        return value
    text = str(value)
    return " " * text.startswith(" ") + shown_in_markdown(text) + " " * text.endswith(" ")
