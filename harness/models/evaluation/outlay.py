"""The estimated effort of a run: requests, tokens, and the cost if the task declares prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunegate.harness.cases.model import Task
from tunegate.harness.core.formatting import plain
from tunegate.harness.models.api import Model, Request
from tunegate.harness.models.cache import Store


@dataclass(frozen=True, slots=True)
class Outlay:
    """The remaining requests of one task: about `read` tokens, at most `written` tokens.

    `before` requests are cached and are not sent. `cost` is about the most, in `currency`; None without prices.
    """

    task: str
    requests: int
    before: int
    read: int
    written: int
    cost: float | None = None
    currency: str = ""

    def __str__(self) -> str:
        before = f" ({self.before:,} more are cached)" if self.before else ""
        text = f"{self.task}: {self.requests:,} requests{before}"
        if not self.requests:
            return text
        text += f": about {self.read:,} tokens to read, at most {self.written:,} to write"
        if self.cost is None:
            return f"{text}; cost unknown, as task.yaml declares no prices"
        return f"{text}; about {plain(self.cost, 2)} {self.currency} at most"


def outlays(
    tasks: Sequence[Task], asked: Sequence[Request], model: Model, store: Store | None, more: int, times: int
) -> list[Outlay]:
    """Estimate each task with requests in `asked`.

    Requests in the `store` are not sent again; the rest are sent `times` times. An output may take
    `more` tokens for its reasoning.
    """
    who, found = model.fingerprint, []
    for task in tasks:
        own = [each for each in asked if each.key.startswith(f"{task.name}/")]
        if not own:
            continue
        new = [each for each in own if store is None or store.get(who.generation(each)) is None]
        left = new + own * (times - 1)
        made = Outlay(task.name, len(left), len(own) - len(new), *_tokens(left, more))
        found.append(_with_cost(made, task, str(who.subject.get("model"))))
    return found


def _tokens(asked: Sequence[Request], more: int) -> tuple[int, int]:
    written = [0 if each.texts else each.decoding.max_new_tokens for each in asked]
    return sum(each.work for each in asked) - sum(written), sum(each + more for each in written if each)


def _with_cost(found: Outlay, task: Task, model: str) -> Outlay:
    prices = task.policy.prices
    if prices is None:
        return found
    return replace(found, cost=prices.of(model).of(found.read, found.written), currency=prices.currency)
