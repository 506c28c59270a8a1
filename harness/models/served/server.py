"""A model that a server answers for, by an interface like OpenAI's: asked in token ids or in chat messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from tunegate.harness.cases.conversation import ASSISTANT
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import (
    SERVED,
    Completion,
    Fingerprint,
    Request,
    Unconstrainable,
    fingerprint_names,
)
from tunegate.harness.models.local.loglikelihood import DECIMALS, encode
from tunegate.harness.models.model_options import SERVER, ModelOptions, is_azure, split_server
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.reasoning import only_closes, opens_reasoning, part_text, thinking_tags
from tunegate.harness.models.resolve import resolve, short_name, template_digest, tokenizer_digest
from tunegate.harness.models.served.dialect import FURTHER, Dialect
from tunegate.harness.models.served.http_client import FIRST_TRIES, TRIES, HttpClient, Rejected
from tunegate.harness.models.served.pace import Pace
from tunegate.harness.models.served.responses import (
    ENDS,
    flaw_of,
    is_dated,
    message_of,
    tokens_read,
    tokens_written,
)
from tunegate.harness.models.served.server_errors import is_filtered, is_of_prompt, is_unfinished
from tunegate.harness.models.served.structured_outputs import (
    WAYS,
    check_constrained,
    constraint_probe,
    fields_of,
    violation,
)
from tunegate.harness.models.tokenizer import load_tokenizer, render_prompt

Ask = Callable[[HttpClient, Request], Awaitable[Completion]]
COMPLETIONS, CHAT = "completions", "chat/completions"
UNKNOWN_FIELD = (400, 422)
SLACK = 1e-3  # nats; a probability of 1 may come out a little larger
GIVEN = ("chat-template", "tokenizer", "reasoning-effort", "reasoning-tokens")  # options that decide what is answered
#: A model that reasons unasked comes to no answer in a few tokens; the second leaves room for that.
PROBES = [Request("the probe", (("user", "Hello."),), Decoding(max_new_tokens=room)) for room in (16, 2048)]


class Server:
    """A model behind an address. What it is, is its name there: nobody here can see its weights.

    Nothing is asked before the fingerprint: short requests show that it answers, as which model, and what it takes.
    """

    #: Whether it has log-probabilities of given texts shows when it is asked for them; who has none is refused then.
    can: frozenset[Can] = frozenset({"generate", "loglik"})

    def __init__(self, name: str, watch: Watch, options: ModelOptions, rung: str = "as-is") -> None:
        self.url, self.name = split_server(name)
        self._options = options
        self._rung = rung
        self._watch = watch
        self._folder = resolve(options.tokenizer, watch, weights=False) if options.tokenizer else None
        self._requests, self._tokens = Pace(options.requests_per_minute), Pace(options.tokens_per_minute)
        self._served = ""  # the name that it answers under, once it has
        self._begins_inside = False  # a reasoning, as answers without a tag that opens it showed
        self._is_settled = False  # whether an answer came to its end, so that what is cut is known to be one or not

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
            "sampling": str(self._dialect),
            **self._reasoning,
            **({"constraint": self._way} if self._rung in CONSTRAINED else {}),
        }
        names = fingerprint_names(f"{SERVER}{who}", None, self._options.given(*GIVEN))
        served = {SERVED: shown(self._served)} if self._served not in ("", self.name) else {}
        return Fingerprint(subject, engine, names | served)

    @property
    def _reasoning(self) -> dict[str, str]:
        """What the options say of a hosted model's reasoning, as it stands in records."""
        options = self._options
        effort = {"reasoning_effort": options.reasoning_effort} if options.reasoning_effort else {}
        return effort | ({"reasoning_tokens": str(options.reasoning_tokens)} if options.reasoning_tokens else {})

    @property
    def notes(self) -> list[str]:
        """What is to be told of how it answers."""
        if "temperature" not in self._dialect.without:
            return []
        return [f"{self.name} takes no temperature, so its answers vary: --tg-repeats averages over several of each"]

    @cached_property
    def tokenizer(self) -> Any:
        """What makes token ids of prompts; None where it is asked in chat messages."""
        return load_tokenizer(self._folder, self._options.chat_template) if self._folder else None

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer as the server does, many at a time; what asks about texts first, for not every server can.

        Raises:
            Refused: it answers as another model, reads other tokens, or has no log-probabilities of given texts.
            CouldNotRun: it does not answer in time, or with something else.
        """
        # before anything else: a loop of events takes no other one inside
        dialect, way = self._dialect, self._way if any(request.constraint for request in requests) else ""
        texts = [request for request in requests if request.texts]
        yield from self._each(texts, self._likelihoods, self._texts_in_flight)
        ask = partial(self._generate, dialect, way)
        waiting: list[Completion] = []
        for output in self._each([each for each in requests if not each.texts], ask, self._options.in_flight):
            waiting.append(output)
            if self._is_settled:
                yield from self._settled(waiting)
                waiting = []
        yield from self._settled(waiting)

    @property
    def _texts_in_flight(self) -> int:
        """How many requests about given texts the server may have at a time."""
        # two in one step end a vLLM with a LoRA on a CPU (vllm-project/vllm#16668), and no server says that it is one:
        # what would end it cannot be tried
        return 1

    def _settled(self, outputs: Sequence[Completion]) -> Sequence[Completion]:
        """Answers; where all begin inside a reasoning, what was cut came to no end of that, and to no answer."""
        if not self._begins_inside:
            return outputs
        return [
            replace(each, output="", reasoning=(each.output or "").strip("\n"))
            if each.finish == "length" and not each.reasoning else each
            for each in outputs
        ]  # fmt: skip

    @cached_property
    def _dialect(self) -> Dialect:
        """The fields that the server takes, found by short requests: one, and one more for each that is refused."""
        dialect, probes = Dialect(), list(PROBES)
        with self._watch(f"Asking {self.url} for {self.name}"):
            while True:
                try:
                    self._learn_from(self._probe(probes[0], dialect))
                    return dialect
                except Rejected as error:
                    if is_unfinished(error.said) and len(probes) > 1:
                        probes.pop(0)
                        continue
                    further = dialect.after(error.said) if error.status in UNKNOWN_FIELD else None
                    if further is None:
                        raise
                    dialect = further

    def _learn_from(self, output: Mapping[str, Any]) -> None:
        """Note whether answers begin inside a reasoning, as one that came to its end tells."""
        [choice] = output["choices"]
        self._begins_inside = self._begins_inside or only_closes(message_of(choice)["content"] or "")
        self._is_settled = self._is_settled or ENDS.get(choice.get("finish_reason")) == "stop"

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
                said = self._probe(probe, self._dialect, fields_of(probe, way))
            except Rejected as error:
                if error.status not in UNKNOWN_FIELD:
                    raise
                found.append(f"{way}: {error}")
                continue
            _, output = part_text(message_of(said["choices"][0])["content"] or "")
            if probe.constraint and not violation(probe.constraint, output):
                return way
            found.append(f"{way}: ignored")
        why = f"{self.name} at {self.url} does not hold answers to a schema ({'; '.join(found)})"
        raise Unconstrainable(
            f"constrained decoding: {why}; serve it with structured outputs, or ask on a rung without them",
            everywhere=why,
        )

    def _probe(
        self, request: Request, dialect: Dialect, more: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:  # fmt: skip
        """What the server says to one request in a dialect, with these fields."""

        async def ask() -> dict[str, Any]:
            client = self._client(FIRST_TRIES)
            try:
                return await self._complete(client, request, dialect, more)
            finally:
                await client.close()

        return asyncio.run(ask())

    def _client(self, tries: int = TRIES) -> HttpClient:
        options = self._options
        return HttpClient(self.url, options.deadline, options.in_flight, tries=tries, pace=self._requests)

    def _each(self, requests: Sequence[Request], ask: Ask, in_flight: int) -> Iterator[Completion]:
        """What is answered, as it comes; the loop of events runs while the next answer is waited for."""
        outputs = self._stream(requests, ask, in_flight)

        async def following() -> Completion | None:
            return await anext(outputs, None)

        with asyncio.Runner() as runner:
            try:
                while (completion := runner.run(following())) is not None:
                    yield completion
            finally:
                runner.run(outputs.aclose())

    async def _stream(
        self, requests: Sequence[Request], ask: Ask, in_flight: int
    ) -> AsyncGenerator[Completion, None]:  # fmt: skip
        client, room = self._client(), asyncio.Semaphore(in_flight)
        failed: list[TunegateError] = []

        async def one(request: Request) -> Completion | None:
            async with room:
                try:
                    await self._turn(client, request)
                    # nobody new is asked after an error that ends the run; what is under way is waited for and kept
                    return None if failed else await ask(client, request)
                except TunegateError as error:
                    failed.append(error)
                    client.give_up()
                    return None

        tasks = [asyncio.create_task(one(request)) for request in requests]
        try:
            for done in asyncio.as_completed(tasks):
                if completion := await done:
                    yield completion
            if failed:
                raise failed[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _turn(self, client: HttpClient, request: Request) -> None:
        """Wait until so many requests and tokens a minute allow for a request; its deadline counts from there."""
        await self._requests.take(1, client.pause)
        thought = 0 if request.texts else self._options.reasoning_tokens
        await self._tokens.take(request.work + thought, client.pause)

    async def _generate(self, dialect: Dialect, way: str, client: HttpClient, request: Request) -> Completion:
        try:
            found = await self._asked(client, request, dialect, fields_of(request, way))
        except Rejected as error:
            if is_unfinished(error.said):  # its reasoning took all the tokens: it never came to an answer
                return Completion(request.key, "", finish="length", repeat=request.repeat)
            if is_filtered(error.said):
                return Completion(request.key, None, repeat=request.repeat)
            raise
        self._learn_from(found)
        [choice], usage = found["choices"], found.get("usage") or {}
        finish = ENDS.get(choice.get("finish_reason"))
        said = message_of(choice)
        content = "" if said["content"] is None and finish == "length" else said["content"]  # it never came to one
        thought, output = ("", None) if content is None else part_text(content, self._is_inside(request))
        thought = said.get("reasoning_content") or said.get("reasoning") or thought  # by itself, where it parts them
        if finish == "stop" and output is not None and not said.get("refusal"):
            check_constrained(request, output, self.name)
        return Completion(
            key=request.key,
            # cut by a filter, or with a call instead of an answer: unscored, never a wrong answer
            output=client.harmless(output) if finish and output is not None else None,
            tokens_in=tokens_read(usage),
            tokens_out=tokens_written(usage),
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

    async def _asked(
        self, client: HttpClient, request: Request, dialect: Dialect, more: Mapping[str, Any]
    ) -> dict[str, Any]:  # fmt: skip
        """What the server answers; a schema that it does not take is refused by name."""
        try:
            return await self._complete(client, request, dialect, more)
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD or not request.constraint or is_of_prompt(error.said):
                raise
            why = f"{self.name} does not take it: {error}"
            raise Unconstrainable(
                f"{request.key}: expected a server that holds answers to the schema of {request.constraint.file}, and "
                f"{why}; write the schema as it wants it, or ask on a rung without constrained decoding",
                {request.constraint: why},
            ) from None

    async def _complete(
        self, client: HttpClient, request: Request, dialect: Dialect, more: Mapping[str, Any]
    ) -> dict[str, Any]:  # fmt: skip
        body = {"model": self.name, **dialect.fields(self._settings(request)), **more}
        if self.tokenizer is None:
            return self._checked(await self._chat(client, body, request), request)
        # the chat template wrote the special tokens: a server that is given text may add its own
        ids = self.tokenizer(render_prompt(self.tokenizer, request), add_special_tokens=False).input_ids
        return self._checked(
            await client.post(COMPLETIONS, body | {"prompt": ids}, request.key, flaw_of), request, len(ids)
        )

    async def _chat(self, client: HttpClient, body: Mapping[str, Any], request: Request) -> dict[str, Any]:
        roles = [role for role, _ in request.messages]
        messages = [{"role": role, "content": text} for role, text in request.messages]
        try:
            return await client.post(CHAT, {**body, "messages": messages}, request.key, flaw_of)
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD or ASSISTANT not in roles or is_of_prompt(error.said):
                raise
            found = f"found {', '.join(roles)}: {error}"
            raise Refused(f"{request.key}: expected turns that the server's chat template accepts, {found}") from None

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
            output = self._checked(await client.post(COMPLETIONS, body, request.key, flaw_of), request, len(ids))
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD:
                raise
            raise self._without_loglik(request, str(error)) from None
        given = (output["choices"][0].get("logprobs") or {}).get("token_logprobs")
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

    def _checked(self, output: dict[str, Any], request: Request, tokens: int | None = None) -> dict[str, Any]:
        """An answer of the model that was asked, to the very tokens that were sent."""
        self._check_name(str(output["model"]))
        counted = (output.get("usage") or {}).get("prompt_tokens")
        if tokens is not None and counted not in (None, tokens):
            raise Refused(
                f"{request.key}: {tokens} token ids were sent, and {self.url} counts {counted}: it adds some, or reads "
                "them as text; leave --tg-tokenizer out, and it is asked in chat messages"
            )
        return output

    def _check_name(self, answered: str) -> None:
        """Refuse answers of another model, or of two versions in one run."""
        if answered in (self.name, self._served):
            self._served = self._served or answered
            return
        who = f"found those of {shown(answered)} at {self.url}"
        if self._served not in ("", self.name):
            raise Refused(
                f"expected answers of {shown(self._served)}, {who}: {self.name} has moved meanwhile; run it again"
            )
        # a deployment's name is its user's, and says nothing of the model
        if self._served or not (is_azure(self.url) or is_dated(self.name, answered)):
            raise Refused(
                f"expected answers of {self.name}, {who}; name the model as the server does: "
                f"--tg-model={SERVER}{self.url}#{shown(answered)}"
            )
        self._served = answered

    def _settings(self, request: Request) -> dict[str, Any]:
        """Every field of decoding that all servers knew; what is left out some take from the model's makers."""
        decoding, effort = request.decoding, self._options.reasoning_effort
        # by case and repeat, so that no order or selection of the cases moves an answer
        seed = int(digest([decoding.seed, request.key, request.repeat])[:7], 16) if decoding.temperature else 0
        return {
            "max_tokens": decoding.max_new_tokens + self._options.reasoning_tokens,
            "temperature": decoding.temperature, "top_p": decoding.top_p,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": seed, "stop": None, "n": 1, "stream": False,
            **FURTHER, **({"reasoning_effort": effort} if effort else {}),
        }  # fmt: skip
