"""A model behind a server with OpenAI's interface, which gets token ids or chat messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from tunegate.harness.cases.conversation import ASSISTANT, chat_message
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can
from tunegate.harness.checks.outputs.message import CONTENT, read_message
from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest
from tunegate.harness.core.formatting import quantity
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.api import (
    DECIMALS,
    SERVED,
    Completion,
    Fingerprint,
    Opened,
    Request,
    Unconstrainable,
    fingerprint_names,
)
from tunegate.harness.models.backends import split_server
from tunegate.harness.models.identity import tokenizer_files
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.reasoning import only_closes, opens_reasoning, part_text, thinking_tags
from tunegate.harness.models.resolve import resolve, short_name
from tunegate.harness.models.served.dialect import FURTHER, Dialect
from tunegate.harness.models.served.http_client import (
    FIRST_TRIES,
    LACKING_TRIES,
    TRIES,
    Flaw,
    HttpClient,
    Rejected,
    is_azure,
    signed,
)
from tunegate.harness.models.served.pace import Pace
from tunegate.harness.models.served.responses import (
    ENDS,
    finish_of,
    flaw_of,
    is_dated,
    lack_of,
    message_of,
    tokens_read,
    tokens_written,
    usage_of,
)
from tunegate.harness.models.served.server_errors import is_filtered, is_of_prompt, is_unfinished
from tunegate.harness.models.served.structured_outputs import (
    OPENAI_WAYS,
    check_constrained,
    constraint_probe,
    fields_of,
    violation,
)
from tunegate.harness.models.tokenizer import encode, load_tokenizer, render_prompt

Ask = Callable[[HttpClient, Request], Awaitable[Completion]]
COMPLETIONS, CHAT = "completions", "chat/completions"
TEXT_FLAW = partial(flaw_of, field="text")
UNKNOWN_FIELD = (400, 422)
SLACK = 1e-3  # nats; a probability of 1 may come out a little larger
GIVEN = ("chat-template", "tokenizer", "reasoning-effort", "reasoning-tokens")  # options that affect the outputs
#: If so many outputs are cut, and none ends by itself, they are taken as they are: until then none is stored.
UNSETTLED = 32
LAST_SECONDS = 10.0  # after Ctrl-C, for responses that are on their way
#: A model that always reasons reaches no output in a few tokens; the second probe leaves room for that.
PROBES = [Request("the probe", (("user", "Hello."),), Decoding(max_new_tokens=room)) for room in (16, 2048)]


class Server(Opened):
    """A model behind an address. It is identified by its name there: its weights are not visible.

    The first requests are the fingerprint's: short ones that show whether it responds, as which
    model, and what it accepts.
    """

    #: What another dialect has of its own, with `_post`: how a key is sent, the fields to begin with, and the ways of
    #: `WAYS` to constrain an output.
    signed = staticmethod(signed)
    first = Dialect()
    ways: Sequence[str] = OPENAI_WAYS
    #: Why a response has no output; an empty one of an engine that the run starts is the model's.
    lack: Flaw = staticmethod(lack_of)

    def __init__(self, name: str, watch: Watch, options: ModelOptions, rung: str = "as-is") -> None:
        self.url, self.name = split_server(name)
        self._prefix = name.partition(":")[0] + ":"
        self._options = options
        self._rung = rung
        self._watch = watch
        self._folder = resolve(options.tokenizer, watch, weights=False) if options.tokenizer else None
        self._requests, self._tokens = Pace(options.requests_per_minute), Pace(options.tokens_per_minute)
        self._strange_ends: Counter[str] = Counter()  # finish reasons other than those of `ENDS`
        self._lacks: Counter[str] = Counter()  # responses without an output, by what they have instead
        self._refusals = 0  # outputs in the field `refusal`
        self._served = ""  # the model's name in responses
        self._begins_inside = False  # outputs begin inside a reasoning: one closed a reasoning that it did not open
        self._is_settled = False  # an output ended by itself, which shows what `_begins_inside` is; or none does

    @property
    def can(self) -> frozenset[Can]:
        """What it is asked; with token ids no tools, since its own template shows them and its own parser reads calls.

        Whether it returns log-probabilities of given texts shows on the first request for them.
        """
        asked: frozenset[Can] = frozenset({"generate", "loglik"})
        return asked if self._folder else asked | {"tools"}

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The address and name, the tokenizer and template of prompts, and the form of requests.

        Raises Unconstrainable if the prompting strategy constrains outputs to schemas, and the
        server does not.
        """
        folder, who = self._folder, f"{self.url}#{self.name}"
        files = tokenizer_files(folder, self._options.chat_template, self._options.tool_format) if folder else None
        subject = {
            "model": f"{short_name(self.name)}-{digest(who)[:8]}",
            "base": digest([self._prefix, who]),
            "tokenizer": files.tokenizer if files else None,
            "template": files.template if files else None,
            "adapter": None,
            "rung": self._rung,
        }
        engine = {
            "backend": self._prefix.removesuffix(":"),
            "prompt": "token ids" if folder else "chat messages",
            "sampling": str(self._dialect),
            **self._reasoning,
            **({"constraint": self._way} if self._rung in CONSTRAINED else {}),
        }
        names = fingerprint_names(f"{self._prefix}{who}", None, self._options.given(*GIVEN))
        served = {SERVED: shown(self._served)} if self._served not in ("", self.name) else {}
        return Fingerprint(subject, engine, names | served)

    @property
    def _reasoning(self) -> dict[str, str]:
        """The reasoning options of a hosted model, as stored in records."""
        options = self._options
        effort = {"reasoning_effort": options.reasoning_effort} if options.reasoning_effort else {}
        return effort | ({"reasoning_tokens": str(options.reasoning_tokens)} if options.reasoning_tokens else {})

    @property
    def notes(self) -> list[str]:
        """Messages about the outputs."""
        if "temperature" not in self._dialect.without:
            return []
        return [f"{self.name} does not support temperature, so its outputs vary: --tg-repeats averages over several"]

    @property
    def notes_at_end(self) -> list[str]:
        """Messages about outputs that are unscored, and about refusals."""
        return [*self._strange, *self._lacking, *self._refused]

    @property
    def _lacking(self) -> list[str]:
        return [
            f"{self.name}: {quantity(count, 'case')} got {lack} in each of {LACKING_TRIES} tries, and "
            f"{'is' if count == 1 else 'are'} unscored: such an output may be a failure of the server"
            for lack, count in self._lacks.items()
        ]

    @property
    def _refused(self) -> list[str]:
        if not self._refusals:
            return []
        is_one = self._refusals == 1
        return [
            f"{self.name}: {quantity(self._refusals, 'output')} came in the field `refusal`: "
            f"{'it is' if is_one else 'they are'} scored as what the model said"
        ]

    @property
    def _strange(self) -> list[str]:
        return [
            f"{self.name}: {quantity(count, 'output')} ended with the finish_reason {reason}; expected stop or length, "
            f"so {'it is' if count == 1 else 'they are'} unscored"
            for reason, count in self._strange_ends.items()
        ]

    @property
    def if_silent(self) -> str:
        """What to say while no response comes."""
        most, wait = self._options.in_flight, f"at most {self._options.deadline:.0f} s each (--deadline)"
        if most == 1:
            return f"one request is under way, {wait}"
        fewer = "for a server that runs few at a time: --in-flight 1"
        return f"up to {most} requests are under way, {wait}; {fewer}"

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that turns prompts into token ids; None if the server gets chat messages."""
        options = self._options
        return load_tokenizer(self._folder, options.chat_template, options.tool_format) if self._folder else None

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield completions as the server responds; likelihoods first, since not every server supports them.

        Raises Refused if it serves another model, reads other tokens, or has no log-probabilities
        of given texts, CouldNotRun if it does not respond in time, or not validly.
        """
        # first: an event loop cannot run inside another one
        dialect, way = self._dialect, self._way if any(request.constraint for request in requests) else ""
        texts = [request for request in requests if request.texts]
        yield from self._each(texts, self._likelihoods, self._texts_in_flight)
        ask = partial(self._generate, dialect, way)
        waiting: list[Completion] = []
        for output in self._each([each for each in requests if not each.texts], ask, self._options.in_flight):
            waiting.append(output)
            self._is_settled = self._is_settled or len(waiting) >= UNSETTLED
            if self._is_settled:
                yield from self._settled(waiting)
                waiting = []
        yield from self._settled(waiting)

    @property
    def _texts_in_flight(self) -> int:
        """How many requests for likelihoods the server gets at a time."""
        # two in one step crash a vLLM with a LoRA on a CPU (vllm-project/vllm#16668), and no server says whether it is
        # one
        return 1

    def _settled(self, outputs: Sequence[Completion]) -> Sequence[Completion]:
        """Outputs; if all begin inside a reasoning, those that were cut hold only reasoning."""
        if not self._begins_inside:
            return outputs
        return [
            replace(each, output="", reasoning=(each.output or "").strip("\n"))
            if each.finish == "length" and not each.reasoning else each
            for each in outputs
        ]  # fmt: skip

    @cached_property
    def _dialect(self) -> Dialect:
        """The fields that the server accepts, found by short requests: one, and one more for each refused field."""
        dialect, probes = self.first, list(PROBES)
        with self._watch(f"Checking {self.name} at {self.url}"):
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
        """Note whether outputs begin inside a reasoning, as one that ended by itself shows."""
        [choice] = output["choices"]
        self._begins_inside = self._begins_inside or only_closes(message_of(choice)["content"] or "")
        self._is_settled = self._is_settled or ENDS.get(choice.get("finish_reason")) == "stop"

    @cached_property
    def _way(self) -> str:
        """The field by which the server constrains an output to a schema; each way is tried with one word."""
        found = []
        for way in self.ways:
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
        why = f"{self.name} at {self.url} does not constrain outputs to a schema ({'; '.join(found)})"
        raise Unconstrainable(
            f"constrained decoding: {why}; serve it with structured outputs, or use a prompting strategy without them",
            everywhere=why,
        )

    def _probe(
        self, request: Request, dialect: Dialect, more: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:  # fmt: skip
        """The server's response to one request in a dialect, with these fields."""

        async def ask() -> dict[str, Any]:
            client = self._client(FIRST_TRIES)
            try:
                return await self._complete(client, request, dialect, more)
            finally:
                await client.close()

        return asyncio.run(ask())

    def _client(self, tries: int = TRIES) -> HttpClient:
        return HttpClient(self.url, self._options, tries=tries, pace=self._requests, signed=self.signed)

    def _each(self, requests: Sequence[Request], ask: Ask, in_flight: int) -> Iterator[Completion]:
        """Completions as they arrive; the event loop runs while the next one is awaited."""
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
        failed: list[BaseException] = []

        async def one(request: Request) -> Completion | None:
            async with room:
                try:
                    await self._turn(client, request)
                    # after an error that ends the run no new request starts; active ones are finished and stored
                    return None if failed else await ask(client, request)
                except TunegateError as error:
                    failed.append(error)
                    client.give_up()
                    return None

        tasks = [asyncio.create_task(one(request)) for request in requests]

        def stop() -> None:
            failed.append(KeyboardInterrupt())
            client.give_up()

        try:
            async for completion in _as_they_end(tasks, stop):
                yield completion
            if failed:
                raise failed[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _turn(self, client: HttpClient, request: Request) -> None:
        """Wait until the limits per minute allow a request; its deadline starts then."""
        await self._requests.take(1, client.pause)
        thought = 0 if request.texts else self._options.reasoning_tokens
        await self._tokens.take(request.work + thought, client.pause)

    async def _generate(self, dialect: Dialect, way: str, client: HttpClient, request: Request) -> Completion:
        try:
            found = await self._asked(client, request, dialect, fields_of(request, way))
        except Rejected as error:
            if is_unfinished(error.said):  # its reasoning took all the tokens: there is no output
                return Completion(request.key, "", finish="length", repeat=request.repeat)
            if is_filtered(error.said):
                return Completion(request.key, None, repeat=request.repeat)
            raise
        self._learn_from(found)
        if lack := self.lack(found):
            self._lacks[lack] += 1
            return Completion(request.key, None, repeat=request.repeat)
        [choice], usage = found["choices"], usage_of(found)
        finish = finish_of(choice, bool(request.tools))
        if not finish:
            self._strange_ends[shown(str(choice.get("finish_reason")))] += 1
        said = message_of(choice)
        self._refusals += bool(said.get("refusal"))
        is_empty = finish == "length" or (finish and request.tools)  # cut inside the reasoning, or calls without a text
        content = "" if said["content"] is None and is_empty else said["content"]
        thought, output = ("", None) if content is None else part_text(content, self._is_inside(request))
        thought = said.get("reasoning_content") or said.get("reasoning") or thought  # separate, if the server splits it
        if finish == "stop" and output is not None and not said.get("refusal"):
            check_constrained(request, output, self.name)
        if request.tools and output is not None:
            output = read_message({**said, CONTENT: output}).write()
        return Completion(
            key=request.key,
            # cut by a filter, or a call of a tool that was not offered: unscored, never counted as wrong
            output=client.harmless(output) if finish and output is not None else None,
            tokens_in=tokens_read(usage),
            tokens_out=tokens_written(usage),
            finish=finish,
            repeat=request.repeat,
            reasoning=client.harmless(thought),
        )

    def _is_inside(self, request: Request) -> bool:
        """Whether the sent prompt begins a reasoning; unknown, hence False, for a server's own template."""
        return bool(self._thinks and opens_reasoning(render_prompt(self.tokenizer, request)))

    @cached_property
    def _thinks(self) -> bool:
        return bool(self._folder and thinking_tags(self._folder))

    async def _asked(
        self, client: HttpClient, request: Request, dialect: Dialect, more: Mapping[str, Any]
    ) -> dict[str, Any]:  # fmt: skip
        """The server's response; a schema that it refuses is reported by name."""
        try:
            return await self._complete(client, request, dialect, more)
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD or not request.constraint or is_of_prompt(error.said):
                raise
            why = f"{self.name} does not accept it: {error}"
            raise Unconstrainable(
                f"{request.key}: expected a server that constrains outputs to the schema of {request.constraint.file}, "
                f"but {why}; rewrite the schema, or use a prompting strategy without constrained decoding (--rung)",
                {request.constraint: why},
            ) from None

    async def _complete(
        self, client: HttpClient, request: Request, dialect: Dialect, more: Mapping[str, Any]
    ) -> dict[str, Any]:  # fmt: skip
        body = {"model": self.name, **dialect.fields(self._settings(request)), **more}
        if self.tokenizer is None:
            return self._checked(await self._chat(client, body, request), request)
        # the chat template wrote the special tokens: given text, a server may add its own
        ids = self.tokenizer(render_prompt(self.tokenizer, request), add_special_tokens=False).input_ids
        return self._checked(
            await client.post(COMPLETIONS, body | {"prompt": ids}, request.key, TEXT_FLAW, self.lack), request, len(ids)
        )

    async def _chat(self, client: HttpClient, body: Mapping[str, Any], request: Request) -> dict[str, Any]:
        """The response to chat messages, in the form of OpenAI's."""
        roles = [role for role, _ in request.messages]
        asked = {**body, "messages": [chat_message(*turn) for turn in request.messages]}
        if request.tools:
            asked |= {"tools": [tool.as_dict() for tool in request.tools], "tool_choice": "auto"}
        try:
            return await self._post(client, asked, request.key)
        except Rejected as error:
            if error.status in UNKNOWN_FIELD and request.tools and not is_of_prompt(error.said):
                raise Refused(f"{request.key}: expected a server that takes tools, found {error}") from None
            if error.status not in UNKNOWN_FIELD or ASSISTANT not in roles or is_of_prompt(error.said):
                raise
            found = f"found {', '.join(roles)}: {error}"
            raise Refused(f"{request.key}: expected turns that the server's chat template accepts, {found}") from None

    async def _post(self, client: HttpClient, asked: Mapping[str, Any], key: str) -> dict[str, Any]:
        return await client.post(CHAT, asked, key, partial(flaw_of, field="message"), self.lack)

    async def _likelihoods(self, client: HttpClient, request: Request) -> Completion:
        if self.tokenizer is None:
            raise Refused(
                f"{request.key}: the likelihood of a given text needs token ids: name the tokenizer with "
                "--tg-tokenizer, or leave such units out"
            )
        prompt = render_prompt(self.tokenizer, request) if request.messages else None
        texts = [encode(self.tokenizer, prompt, text) for text in request.texts]
        found = [await self._log_probabilities(client, request, *text) for text in texts]
        return Completion(request.key, None, repeat=request.repeat, logprobs=tuple(found))

    async def _log_probabilities(
        self, client: HttpClient, request: Request, before: list[int], text: list[int]
    ) -> tuple[float, ...]:
        ids = [*before, *text]
        body = {"model": self.name, "prompt": ids, "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
        try:
            output = self._checked(await client.post(COMPLETIONS, body, request.key, TEXT_FLAW), request, len(ids))
        except Rejected as error:
            if error.status not in UNKNOWN_FIELD:
                raise
            raise self._without_loglik(request, str(error)) from None
        given = (output["choices"][0].get("logprobs") or {}).get("token_logprobs")
        if not isinstance(given, list) or len(given) not in (len(ids), len(ids) + 1):  # one may have been generated
            raise self._without_loglik(request, "none of them in its response")
        values = given[len(before) : len(ids)]
        if not all(isinstance(value, float | int) and value <= SLACK for value in values):
            raise self._without_loglik(request, "values other than numbers up to 0")
        return tuple(round(min(value, 0.0), DECIMALS) + 0.0 for value in values)

    def _without_loglik(self, request: Request, found: str) -> Refused:
        return Refused(
            f"{request.key}: expected log-probabilities of a given text (`echo` with `logprobs`), but {self.name} at "
            f"{self.url} has {found}; leave such units out, or evaluate them on a local model"
        )

    def _checked(self, output: dict[str, Any], request: Request, tokens: int | None = None) -> dict[str, Any]:
        """A response, if it is of the requested model and counts the tokens that were sent."""
        self._check_name(str(output["model"]))
        counted = tokens_read(usage_of(output))
        if tokens is not None and counted not in (None, tokens):
            raise Refused(
                f"{request.key}: {tokens} token ids were sent, but {self.url} counts {counted}: it adds some, or reads "
                "them as text; leave out --tg-tokenizer to send chat messages"
            )
        return output

    def _check_name(self, served: str) -> None:
        """Refuse outputs of another model, or of two versions in one run."""
        if served in (self.name, self._served):
            self._served = self._served or served
            return
        found = f"found outputs of {shown(served)} at {self.url}"
        if self._served not in ("", self.name):
            raise Refused(
                f"expected outputs of {shown(self._served)}, {found}: {self.name} changed meanwhile; run it again"
            )
        # a deployment's name is chosen by its user, and does not show the model
        if self._served or not (is_azure(self.url) or is_dated(self.name, served)):
            raise Refused(
                f"expected outputs of {self.name}, {found}; name the model as the server does: "
                f"--tg-model={self._prefix}{self.url}#{shown(served)}"
            )
        self._served = served

    def _settings(self, request: Request) -> dict[str, Any]:
        """All decoding fields that servers know; without a field, some use values suggested by the model's makers."""
        decoding, effort = request.decoding, self._options.reasoning_effort
        return {
            "max_tokens": decoding.max_new_tokens + self._options.reasoning_tokens,
            "temperature": decoding.temperature, "top_p": decoding.top_p, "seed": request.seed,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "stop": None, "n": 1, "stream": False,
            **FURTHER, **({"reasoning_effort": effort} if effort else {}),
        }  # fmt: skip


async def _as_they_end(
    tasks: Sequence[asyncio.Task[Completion | None]], stop: Callable[[], None]
) -> AsyncGenerator[Completion, None]:  # fmt: skip
    """Yield what tasks return as they end; after Ctrl-C `stop` them, and wait a little: their responses are paid for.

    A second Ctrl-C does not wait.
    """
    ended: asyncio.Queue[asyncio.Task[Completion | None]] = asyncio.Queue()
    for task in tasks:
        task.add_done_callback(ended.put_nowait)
    left, end = len(tasks), None
    while left:
        try:
            async with asyncio.timeout_at(end):
                done = await ended.get()
        except asyncio.CancelledError:
            if end is not None:
                raise
            end = asyncio.get_running_loop().time() + LAST_SECONDS
            stop()
            continue
        except TimeoutError:
            return
        left -= 1
        if completion := done.result():
            yield completion
