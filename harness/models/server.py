"""A model that a server answers for, by an interface like OpenAI's: asked in token ids or in chat messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.fixtures.conversation import ASSISTANT
from tunegate.harness.fixtures.model import Decoding
from tunegate.harness.models.api import Completion, Fingerprint, Finish, Request, Unconstrainable, fingerprint_names
from tunegate.harness.models.http_client import HttpClient, Rejected
from tunegate.harness.models.loglikelihood import DECIMALS, encode
from tunegate.harness.models.model_options import SERVER, ModelOptions, split_server
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.reasoning import closes_alone, opens_reasoning, part_text, thinking_tags
from tunegate.harness.models.resolve import resolve, short_name, template_digest, tokenizer_digest
from tunegate.harness.models.structured_outputs import WAYS, check_constrained, constraint_probe, fields_of, violation
from tunegate.harness.models.tokenizer import load_tokenizer, render_prompt

Ask = Callable[[HttpClient, Request], Awaitable[Completion]]
COMPLETIONS, CHAT = "completions", "chat/completions"
#: Where a server would else take what the model's makers suggest, or a default of its own; not every server knows them.
FURTHER = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
UNKNOWN_FIELD = (400, 422)
SLACK = 1e-3  # nats; a probability of 1 may come out a little larger
ENDS: dict[str, Finish] = {"stop": "stop", "eos_token": "stop", "length": "length"}
PROBE = Request("the probe", (("user", "Hello."),), Decoding(max_new_tokens=1))
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": ["string", "null"]}
MESSAGE = {
    "type": "object", "required": ["content"],
    "properties": {"content": TEXT, "reasoning_content": TEXT, "reasoning": TEXT},
}  # fmt: skip
CHOICE = {
    "type": "object",
    "anyOf": [{"required": ["text"]}, {"required": ["message"]}],
    "properties": {"text": {"type": "string"}, "message": MESSAGE, "finish_reason": {"type": ["string", "null"]}},
}
ANSWER = {
    "type": "object",
    "required": ["model", "choices"],
    "properties": {
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": CHOICE},
        "usage": {"type": ["object", "null"], "properties": {"prompt_tokens": COUNT, "completion_tokens": COUNT}},
    },
}


class Server:
    """A model behind an address. What it is, is its name there: nobody here can see its weights.

    Nothing is asked before the fingerprint: a short request shows that it answers, as which model, and what it takes.
    """

    #: Whether it has log-probabilities of given texts shows when it is asked for them; who has none is refused then.
    can: frozenset[Can] = frozenset({"generate", "loglik"})

    def __init__(self, name: str, watch: Watch, options: ModelOptions, rung: str = "as-is") -> None:
        self.url, self.name = split_server(name)
        self._options = options
        self._rung = rung
        self._watch = watch
        self._folder = resolve(options.tokenizer, watch, weights=False) if options.tokenizer else None
        self._begins_inside = False  # a reasoning, as answers without a tag that opens it showed

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Its address and name, the tokenizer and template that prompts are made with, and how it is asked.

        Raises:
            Unconstrainable: the rung holds answers to schemas, and the server does not.
        """
        folder, who = self._folder, f"{self.url}#{self.name}"
        subject = {
            "model": f"{short_name(self.name)}-{digest(who)[:8]}",
            "base": digest([SERVER, who]),
            "tokenizer": tokenizer_digest(folder) if folder else None,
            "template": template_digest(folder, self._options.chat_template) if folder else None,
            "adapter": None,
            "rung": self._rung,
        }
        engine = {
            "backend": "openai",
            "prompt": "token ids" if folder else "chat messages",
            "sampling": "every field" if self._further else "standard fields",
            **({"constraint": self._way} if self._rung in CONSTRAINED else {}),
        }
        names = fingerprint_names(f"{SERVER}{who}", None, self._options.given("chat-template", "tokenizer"))
        return Fingerprint(subject, engine, names)

    @cached_property
    def tokenizer(self) -> Any:
        """What makes token ids of prompts; None where it is asked in chat messages."""
        return load_tokenizer(self._folder, self._options.chat_template) if self._folder else None

    def answer(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer as the server does, many at a time; what asks about texts first, for not every server can.

        Raises:
            Refused: it answers as another model, reads other tokens, or has no log-probabilities of given texts.
            CouldNotRun: it does not answer in time, or with something else.
        """
        # before anything else: a loop of events takes no other one inside
        further, way = self._further, self._way if any(request.constraint for request in requests) else ""
        texts = [request for request in requests if request.texts]
        yield from self._each(texts, self._likelihoods, self._texts_in_flight)
        ask = partial(self._generate, further, way)
        cut = []
        for answer in self._each([each for each in requests if not each.texts], ask, self._options.in_flight):
            if answer.finish == "length" and not answer.reasoning:
                cut.append(answer)  # whether it is one the others may tell
            else:
                yield answer
        yield from map(self._as_thought, cut) if self._begins_inside else cut

    @property
    def _texts_in_flight(self) -> int:
        """How many requests about given texts the server may have at a time."""
        return self._options.in_flight

    def _as_thought(self, cut: Completion) -> Completion:
        """What was cut where every answer begins inside a reasoning: it came to no end, and to no answer."""
        return replace(cut, output="", reasoning=(cut.output or "").strip("\n"))

    @cached_property
    def _further(self) -> dict[str, Any]:
        """The further fields of decoding, if the server takes them; it is asked for one token."""
        with self._watch(f"Asking {self.url} for {self.name}"):
            try:
                self._probe(PROBE, FURTHER)
                return FURTHER
            except Rejected as error:
                if error.status not in UNKNOWN_FIELD:
                    raise
                self._probe(PROBE, {})
                return {}

    @cached_property
    def _way(self) -> str:
        """The field by which the server holds an answer to a schema; it is asked for one word in each way.

        Raises:
            Unconstrainable: it does so in none.
        """
        found = []
        for way in WAYS:
            probe = constraint_probe()
            try:
                said = self._probe(probe, {**self._further, **fields_of(probe, way)})
            except Rejected as error:
                if error.status not in UNKNOWN_FIELD:
                    raise
                found.append(f"{way}: {error}")
                continue
            _, output = part_text(_said(said["choices"][0])["content"] or "")
            if probe.constraint and not violation(probe.constraint, output):
                return way
            found.append(f"{way}: ignored")
        why = f"{self.name} at {self.url} does not hold answers to a schema ({'; '.join(found)})"
        raise Unconstrainable(
            f"constrained decoding: {why}; serve it with structured outputs, or ask on a rung without them",
            everywhere=why,
        )

    def _probe(self, request: Request, more: Mapping[str, Any]) -> dict[str, Any]:
        """What the server says to one request with these fields."""

        async def ask() -> dict[str, Any]:
            client = self._client()
            try:
                return await self._complete(client, request, more)
            finally:
                await client.close()

        return asyncio.run(ask())

    def _client(self) -> HttpClient:
        return HttpClient(self.url, self._options.deadline, self._options.in_flight)

    def _each(self, requests: Sequence[Request], ask: Ask, in_flight: int) -> Iterator[Completion]:
        """What is answered, as it comes; the loop of events runs while the next answer is waited for."""
        answers = self._stream(requests, ask, in_flight)

        async def following() -> Completion | None:
            return await anext(answers, None)

        with asyncio.Runner() as runner:
            try:
                while (completion := runner.run(following())) is not None:
                    yield completion
            finally:
                runner.run(answers.aclose())

    async def _stream(
        self, requests: Sequence[Request], ask: Ask, in_flight: int
    ) -> AsyncGenerator[Completion, None]:  # fmt: skip
        client, room = self._client(), asyncio.Semaphore(in_flight)

        async def one(request: Request) -> Completion:
            async with room:  # the deadline counts from here
                return await ask(client, request)

        tasks = [asyncio.create_task(one(request)) for request in requests]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _generate(self, further: Mapping[str, Any], way: str, client: HttpClient, request: Request) -> Completion:
        found = await self._asked(client, request, {**further, **fields_of(request, way)})
        [choice], usage = found["choices"], found.get("usage") or {}
        finish = ENDS.get(choice.get("finish_reason"))
        said = _said(choice)
        content = "" if said["content"] is None and finish == "length" else said["content"]  # it never came to one
        self._begins_inside = self._begins_inside or closes_alone(content or "")
        thought, output = ("", None) if content is None else part_text(content, self._is_inside(request))
        thought = said.get("reasoning_content") or said.get("reasoning") or thought  # by itself, where it parts them
        if finish == "stop" and output is not None:
            check_constrained(request, output, self.name)
        return Completion(
            key=request.key,
            # cut by a filter, or with a call instead of an answer: unscored, never a wrong answer
            output=client.harmless(output) if finish and output is not None else None,
            tokens_in=usage.get("prompt_tokens"),
            tokens_out=usage.get("completion_tokens"),
            finish=finish,
            repeat=request.repeat,
            reasoning=client.harmless(thought),
        )

    def _is_inside(self, request: Request) -> bool:
        """Whether the prompt that was sent begins a reasoning; of a server's own template nobody here knows."""
        return bool(self._thinks and opens_reasoning(render_prompt(self.tokenizer, request)))

    @cached_property
    def _thinks(self) -> bool:
        return bool(self._folder and thinking_tags(self._folder))

    async def _asked(self, client: HttpClient, request: Request, more: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers; a schema that it does not take is refused by name."""
        try:
            return await self._complete(client, request, more)
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD or not request.constraint:
                raise
            why = f"{self.name} does not take it: {error}"
            raise Unconstrainable(
                f"{request.key}: expected a server that holds answers to the schema of {request.constraint.file}, and "
                f"{why}; write the schema as it wants it, or ask on a rung without constrained decoding",
                {request.constraint: why},
            ) from None

    async def _complete(self, client: HttpClient, request: Request, further: Mapping[str, Any]) -> dict[str, Any]:
        body = {"model": self.name, **_settings(request), **further}
        if self.tokenizer is None:
            return self._checked(await self._chat(client, body, request), request)
        # the chat template wrote the special tokens: a server that is given text may add its own
        ids = self.tokenizer(render_prompt(self.tokenizer, request), add_special_tokens=False).input_ids
        return self._checked(await client.post(COMPLETIONS, body | {"prompt": ids}), request, len(ids))

    async def _chat(self, client: HttpClient, body: Mapping[str, Any], request: Request) -> dict[str, Any]:
        roles = [role for role, _ in request.messages]
        messages = [{"role": role, "content": text} for role, text in request.messages]
        try:
            return await client.post(CHAT, {**body, "messages": messages})
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD or ASSISTANT not in roles:
                raise
            found = f"found {', '.join(roles)}: {error}"
            raise Refused(f"{request.key}: expected turns that the server's chat template takes, {found}") from None

    async def _likelihoods(self, client: HttpClient, request: Request) -> Completion:
        if self.tokenizer is None:
            raise Refused(
                f"{request.key}: the likelihood of a given text is asked for in token ids: name the tokenizer with "
                "--tg-tokenizer, or leave such units out"
            )
        prompt = render_prompt(self.tokenizer, request) if request.messages else None
        texts = [encode(self.tokenizer, prompt, text) for text in request.texts]
        found = [await self._log_probabilities(client, request, *text) for text in texts]
        return Completion(request.key, None, logprobs=tuple(found))

    async def _log_probabilities(
        self, client: HttpClient, request: Request, before: list[int], text: list[int]
    ) -> tuple[float, ...]:
        ids = [*before, *text]
        body = {"model": self.name, "prompt": ids, "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
        try:
            answer = self._checked(await client.post(COMPLETIONS, body), request, len(ids))
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD:
                raise
            raise self._without_loglik(request, str(error)) from None
        given = (answer["choices"][0].get("logprobs") or {}).get("token_logprobs")
        if not isinstance(given, list) or len(given) not in (len(ids), len(ids) + 1):  # one is generated, perhaps
            raise self._without_loglik(request, "none of them in its answer")
        values = given[len(before) : len(ids)]
        if not all(isinstance(value, float | int) and value <= SLACK for value in values):
            raise self._without_loglik(request, "others than numbers up to 0")
        return tuple(round(min(value, 0.0), DECIMALS) + 0.0 for value in values)

    def _without_loglik(self, request: Request, found: str) -> Refused:
        return Refused(
            f"{request.key}: expected log-probabilities of a given text (`echo` with `logprobs`), and {self.name} at "
            f"{self.url} has {found}; leave such units out, or judge them on the model itself"
        )

    def _checked(self, answer: dict[str, Any], request: Request, tokens: int | None = None) -> dict[str, Any]:
        """An answer of the model that was asked, to the very tokens that were sent."""
        if mistakes := schema_mistakes(answer, ANSWER):
            raise CouldNotRun(f"{request.key}: {self.url} answered with something else: {shown('; '.join(mistakes))}")
        if answer["model"] != self.name:
            raise Refused(
                f"expected answers of {self.name}, found those of {shown(answer['model'])} at {self.url}; name the "
                f"model as the server does: --tg-model={SERVER}{self.url}#{shown(answer['model'])}"
            )
        counted = (answer.get("usage") or {}).get("prompt_tokens")
        if tokens is not None and counted not in (None, tokens):
            raise Refused(
                f"{request.key}: {tokens} token ids were sent, and {self.url} counts {counted}: it adds some, or reads "
                "them as text; leave --tg-tokenizer out, and it is asked in chat messages"
            )
        return answer


def _said(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice, whichever way it was asked."""
    return {"content": choice["text"]} if "text" in choice else dict(choice["message"])


def _settings(request: Request) -> dict[str, Any]:
    """Every field of decoding that all servers know; what is left out some take from the model's makers."""
    decoding = request.decoding
    # by case and repeat, so that no order or selection of the cases moves an answer
    seed = int(digest([decoding.seed, request.key, request.repeat])[:7], 16) if decoding.temperature else 0
    return {
        "max_tokens": decoding.max_new_tokens, "temperature": decoding.temperature, "top_p": decoding.top_p,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": seed, "stop": None, "n": 1, "stream": False,
    }  # fmt: skip
