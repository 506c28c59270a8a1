"""The reference of a parity comparison: an adapter, its record, and the current fixtures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.models.api import Request
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.tokenizer import render_prompt


@dataclass(frozen=True)
class ScoredAdapter:
    """An adapter with the record of its evaluation, and the current fixtures."""

    adapter: Path
    record: Record
    tasks: Sequence[Task]
    base: Base

    @cached_property
    def units(self) -> list[Unit]:
        """The evaluated units."""
        return [unit for task in self.tasks for unit in task.units if self.record.sealed or not unit.sealed]

    @property
    def rung(self) -> RungName:
        """The prompting strategy of the evaluation."""
        return cast("RungName", self.record.rung)

    @cached_property
    def asked(self) -> dict[str, Request]:
        """The requests that generate an output, by case."""
        return {each.key: each for each in requests(self.units, self.rung) if not each.texts}

    def prompts(self, tokenizer: Any) -> dict[str, list[int]]:
        """Token ids of those prompts, by case, as this tokenizer and its template write them."""
        return {
            key: list(tokenizer(render_prompt(tokenizer, each), add_special_tokens=False).input_ids)
            for key, each in self.asked.items()
        }

    @cached_property
    def longest(self) -> int:
        """The tokens of the longest prompt with the longest output that it may get."""
        tokens = self.prompts(self.base.tokenizer)
        return max((len(ids) + self.asked[key].decoding.max_new_tokens for key, ids in tokens.items()), default=0)
