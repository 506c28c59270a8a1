"""Whatever answers: the protocol that models, servers and replayed outputs share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tunegate.harness.cases.conversation import Turns
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can, Constraint
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest

Finish = Literal["stop", "length"]
Messages = Turns
LogProbs = tuple[tuple[float, ...], ...]
STEADY = {"backend": "transformers", "device": "cpu", "dtype": "float32"}  # an engine that repeats itself
SERVED = "served"  # of the names: the version that answers for an alias
ITSELF = "that very name"  # where no other one answers for it
SUPPLIED = "replay"  # the backend of outputs that were made elsewhere; they have no other engine
SUPPLIED_SCORES = "supplied scores"  # that of scores which another tool gave


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask: chat messages as (role, text), how to decode the answer, and what to hold it to meanwhile.

    With `texts` nothing is generated: the likelihood of each is asked for, as the answer to the messages or, where
    there are none, by itself.
    """

    key: str
    messages: Messages
    decoding: Decoding
    repeat: int = 0
    texts: tuple[str, ...] = ()
    constraint: Constraint | None = None

    @property
    def asked(self) -> list[Any]:
        """All that it asks, whoever answers: messages, how an answer is decoded, and the schema that it is held to."""
        if self.texts:
            return [self.messages, ["loglik", self.texts]]
        decoding = self.decoding
        # a sampled answer is drawn by case and repeat; greedy ones are shared by all cases that ask the same
        sampled = [decoding.temperature, decoding.top_p, decoding.seed, self.repeat, self.key]
        held = ["json schema", self.constraint.schema] if self.constraint else []
        return [self.messages, [decoding.max_new_tokens, sampled if decoding.temperature else "greedy", *held]]

    @property
    def work(self) -> int:
        """The tokens that it may take, roughly: to read, one for every four letters, and to write."""
        letters = sum(len(text) for text in (*(text for _, text in self.messages), *self.texts))
        return letters // 4 + (0 if self.texts else self.decoding.max_new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that it asks: whoever answers elsewhere gives it back, to show what was answered."""
        return digest(self.asked)


class Unconstrainable(Refused):
    """Answers cannot be held to the schemas of `why` while they are decoded; `everywhere` says that it is so of any."""

    def __init__(self, message: str, why: Mapping[Constraint, str] | None = None, everywhere: str = "") -> None:
        super().__init__(message)
        self._why, self._everywhere = why or {}, everywhere

    def why(self, constraint: Constraint) -> str:
        """Why answers cannot be held to a schema; empty where nothing was said of it."""
        return self._why.get(constraint, self._everywhere)


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as a model's chat template writes it, and the ids of its tokens."""

    text: str
    tokens: tuple[int, ...]


PromptRenderer = Callable[[Request], RenderedPrompt]


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back. `output` is None where there is none (unscored, never zero); tokens are counts, latency seconds.

    `finish` is "length" where the answer was cut at `max_new_tokens`; `generation` is the digest of everything that
    decided the output, empty where that is not known. `logprobs` come instead of an output where texts were asked
    about: for each of them the log-probabilities of its tokens, in nats. `reasoning` is what a thinking model wrote
    before its answer; its tokens count.
    """

    key: str
    output: str | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_s: float | None = None
    finish: Finish | None = None
    repeat: int = 0
    generation: str = ""
    logprobs: LogProbs = ()
    reasoning: str = ""

    @property
    def is_given(self) -> bool:
        """Whether there is anything to score."""
        return self.output is not None or bool(self.logprobs)


@dataclass(frozen=True)
class Fingerprint:
    """Who answered and by what means: `subject` (digests, rung) and `engine` (backend, versions, dtype, device)."""

    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in records; `names` are for people and never compared, but told where a version differs."""
        return {"subject": dict(self.subject), "engine": dict(self.engine), "names": dict(self.names)}

    @property
    def repeats_itself(self) -> bool:
        """Whether the same batches always give the same greedy answers."""
        # in float32 on a CPU they do; an accelerator or a server chooses its sums by what else there is to do
        engine = self.engine
        return all(engine.get(part) == value for part, value in STEADY.items())

    def generation(self, request: Request) -> str:
        """Digest of all that decides the output of a request; the rung is in what it asks."""
        # Weights, tokenizer, template and adapter by digest: a key that lacks one of them serves another model's
        # outputs. The model's name is left out, since a copy in another folder answers alike.
        subject = {key: value for key, value in self.subject.items() if key not in {"rung", "model"}}
        # a greedy answer is the same question whatever its repeat, and may be another answer: in another batch
        again = [request.repeat] if request.repeat and not request.decoding.temperature else []
        # an alias leads to another version one day, whose answers are others
        version = [self.names[SERVED]] if SERVED in self.names else []
        return digest([subject, dict(self.engine), *request.asked, *again, *version])


def fingerprint_names(model: str, adapter: Path | None, given: Sequence[str]) -> dict[str, str]:
    """What people call who answers: the model, the folder of its adapter, and the options that it was opened with."""
    names = {"model": model, "adapter": str(adapter) if adapter else "", "options": shlex.join(given)}
    return {part: name for part, name in names.items() if name}


class Model(Protocol):
    """Anything that answers."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Who answers."""

    @property
    def can(self) -> frozenset[Can]:
        """What it can be asked for."""

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer each request once, in any order, as answers become ready."""
