"""The protocol that local models, servers and replayed outputs share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta

from tunegate.harness.cases.conversation import Turns
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can, Constraint
from tunegate.harness.checks.tools.definitions import Tool
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest

Finish = Literal["stop", "length"]
Messages = Turns
LogProbs = tuple[Annotated[tuple[Annotated[float, Meta(le=0)], ...], Meta(min_length=1)], ...]
DECIMALS = 4  # of a log-probability, in nats: further digits may change with the number of threads
STEADY = {"backend": "transformers", "device": "cpu", "dtype": "float32"}  # an engine whose outputs repeat
SERVED = "served"  # key of `names`: the version that an alias leads to
ITSELF = "that exact name"  # where the name is no alias
SUPPLIED = "replay"  # the backend of supplied outputs; they have no other engine
#: How llguidance reads a schema: at most one space where JSON allows white space, since otherwise a small model writes
#: blank lines until it is cut. A schema's own settings do not loosen it.
GRAMMAR_OPTIONS = {"whitespace_pattern": " ", "lenient": False, "coerce_one_of": False}
SUPPLIED_SCORES = "supplied scores"  # the backend of scores that another tool gave


@dataclass(frozen=True, slots=True)
class Request:
    """One request: chat messages as (role, text), decoding settings, and an optional constraint.

    With `texts` nothing is generated: the request asks for the likelihood of each text, as an
    output for the messages or, without messages, by itself. With `tools` its output is a canonical
    message (`outputs.message`).
    """

    key: str
    messages: Messages
    decoding: Decoding
    repeat: int = 0
    texts: tuple[str, ...] = ()
    constraint: Constraint | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def asked(self) -> list[Any]:
        """What the request asks any model for: messages, decoding settings, and the schema of the constraint."""
        if self.texts:
            return [self.messages, ["loglik", self.texts]]
        decoding = self.decoding
        # a sampled output is drawn by case and repeat; greedy outputs are shared by all cases with the same request
        sampled = [decoding.temperature, decoding.top_p, decoding.seed, self.repeat, self.key]
        held: list[Any] = ["json schema", self.constraint.schema] if self.constraint else []
        held += [["tools", [tool.written for tool in self.tools]]] if self.tools else []
        return [self.messages, [decoding.max_new_tokens, sampled if decoding.temperature else "greedy", *held]]

    @property
    def seed(self) -> int:
        """The seed of an output: 0 for the first greedy output; the order and selection of cases do not change it."""
        is_drawn = self.decoding.temperature or self.repeat  # a greedy output that depends on its seed was sampled
        return int(digest([self.decoding.seed, self.key, self.repeat])[:7], 16) if is_drawn else 0

    @property
    def work(self) -> int:
        """Estimated tokens: one to read per four bytes of UTF-8, and all that may be written."""
        offered = (tool.written for tool in self.tools)
        size = sum(len(text.encode()) for text in (*(text for _, text in self.messages), *self.texts, *offered))
        return size // 4 + (0 if self.texts else self.decoding.max_new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the request; supplied outputs carry it to show which request they belong to."""
        return digest(self.asked)


class Unconstrainable(Refused):
    """Outputs cannot be constrained to the schemas in `why`, or to any schema, for the reason in `everywhere`."""

    def __init__(self, message: str, why: Mapping[Constraint, str] | None = None, everywhere: str = "") -> None:
        super().__init__(message)
        self._why, self._everywhere = why or {}, everywhere

    def why(self, constraint: Constraint) -> str:
        """The reason why outputs cannot be constrained to a schema; empty if there is none."""
        return self._why.get(constraint, self._everywhere)


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as rendered by a model's chat template, and its token ids."""

    text: str
    tokens: tuple[int, ...]


PromptRenderer = Callable[[Request], RenderedPrompt]


@dataclass(frozen=True, slots=True)
class Completion:
    """The response to a request; tokens are counts, latency is in seconds.

    `output` is None if there is none (unscored, never zero). `finish` is "length" if the output was cut at
    `max_new_tokens`; `generation` is the digest of everything that determined the output, empty if unknown.
    Requests with `texts` get `logprobs` instead of an output: for each text the log-probabilities of its
    tokens, in nats. `reasoning` is what a thinking model wrote before its output; its tokens count.
    `raw` is what a model with tools wrote, with special tokens, of which `output` is read; empty where it is all.
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
    raw: str = ""

    @property
    def is_given(self) -> bool:
        """Whether there is anything to score."""
        return self.output is not None or bool(self.logprobs)


@dataclass(frozen=True)
class Fingerprint:
    """A model and its engine: `subject` (digests, `rung`) and `engine` (backend, versions, dtype, device)."""

    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The form of records; `names` are for people and never compared, but shown where a version differs."""
        return {"subject": dict(self.subject), "engine": dict(self.engine), "names": dict(self.names)}

    @property
    def is_supplied(self) -> bool:
        """Whether outputs were made elsewhere and supplied, not generated."""
        return self.engine.get("backend") == SUPPLIED

    @property
    def repeats_itself(self) -> bool:
        """Whether the same batches always give the same greedy outputs."""
        # true in float32 on a CPU; on an accelerator or a server the order of sums depends on the load
        engine = self.engine
        return all(engine.get(part) == value for part, value in STEADY.items())

    def generation(self, request: Request) -> str:
        """Digest of all that determines the output of a request; the prompting strategy shows in its messages."""
        # Weights, tokenizer, template and adapter by digest: a key without one of them would serve another model's
        # outputs. The model's name is left out, since a copy in another folder gives the same outputs.
        subject = {key: value for key, value in self.subject.items() if key not in {"rung", "model"}}
        # repeats of a greedy request may differ: they run in another batch
        again = [request.repeat] if request.repeat and not request.decoding.temperature else []
        # an alias may lead to another version later, with other outputs
        version = [self.names[SERVED]] if SERVED in self.names else []
        return digest([subject, dict(self.engine), *request.asked, *again, *version])


def fingerprint_names(model: str, adapter: Path | None, given: Sequence[str]) -> dict[str, str]:
    """The names of a model for people: its name, the folder of its adapter, and the options it was opened with."""
    names = {"model": model, "adapter": str(adapter) if adapter else "", "options": shlex.join(given)}
    return {part: name for part, name in names.items() if name}


class Model(Protocol):
    """Anything that responds to requests."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The model and its engine."""

    @property
    def can(self) -> frozenset[Can]:
        """The kinds of requests that it supports."""

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield one completion per request, in any order, as they become ready."""


class Opened(Model, Protocol):
    """A model that was opened by its name (backends.py), with what most of them need not say."""

    @property
    def folder(self) -> Path | None:
        """The folder of its base; None if its weights are not here."""
        return None

    @property
    def notes(self) -> Sequence[str]:
        """Messages about its outputs, before there are any."""
        return ()

    @property
    def notes_at_end(self) -> Sequence[str]:
        """Messages about the outputs that it made."""
        return ()

    def stop(self) -> None:
        """End what was started for it, and for models that share it."""
        return
