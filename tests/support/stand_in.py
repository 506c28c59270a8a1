"""A server with an interface like OpenAI's over a real local model, which does right, or one of the known wrongs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import torch

from tests.support.fake_memory import fixed_budget
from tests.support.fault_server import Handler
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.continuous_batching import RequestState, generate
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.tokenizer import render_prompt

NAME = "desk"


@dataclass
class StandIn:
    """What it serves: a model folder with an adapter or without one, and what is wrong with it.

    Attributes:
        folder: the base that it runs.
        adapter: the adapter on it.
        template: a chat template instead of the folder's own.
        twice: whether it begins every prompt twice.
        ends: whether answers end where the model ends them.
        shows: whether it shows prompts, and has likelihoods of given texts.
        samples: whether it samples, whatever temperature a request asks for, by the seed of the request.
    """

    folder: Path
    adapter: Path | None = None
    template: str | None = None
    twice: bool = False
    ends: bool = True
    shows: bool = True
    samples: bool = False
    address: str = ""
    _lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._waiting: Queue[Any] = Queue()
        self._base = Base(str(self.folder), quiet())
        self._local = Local(str(self.folder), quiet(), self.adapter, base=self._base)
        if self.template:
            self._base.tokenizer.chat_template = self.template

    @property
    def model(self) -> str:
        """As --model takes it."""
        return f"openai:{self.address}/v1#{NAME}"

    def ids(self, body: dict[str, Any]) -> list[int]:
        """The token ids of a prompt as they are sent, or as its own template writes them."""
        if "prompt" in body:
            return list(body["prompt"])
        messages = tuple((each["role"], each["content"]) for each in body["messages"])
        tokenizer = self._base.tokenizer
        text = render_prompt(tokenizer, Request("served", messages, Decoding()))
        return tokenizer((tokenizer.bos_token if self.twice else "") + text, add_special_tokens=False).input_ids

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The body of an answer; None where there is no such way."""
        if path == "/tokenize" and self.shows:
            return {"tokens": self.ids(body)}
        if path not in ("/v1/completions", "/v1/chat/completions"):
            return None
        ids = self.ids(body)
        choice = self._echo(ids) if body.get("echo") and self.shows else self._generate(ids, body)
        usage = {"prompt_tokens": len(ids), "completion_tokens": choice.pop("count")}
        return {"model": NAME, "choices": [{"index": 0, **choice}], "usage": usage}

    def _echo(self, ids: list[int]) -> dict[str, Any]:
        with self._lock, torch.inference_mode():
            _, model = self._local._loaded
            logits = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        given = [None, *(logits[at, token].item() for at, token in enumerate(ids[1:]))]
        return {"text": "", "finish_reason": "length", "logprobs": {"token_logprobs": given}, "count": 0}

    def _generate(self, ids: list[int], body: dict[str, Any]) -> dict[str, Any]:
        found: Future[list[int]] = Future()
        self._waiting.put((ids, body["max_tokens"], body.get("seed") or 0, found))
        tokens = found.result()
        text = self._base.tokenizer.decode(tokens, skip_special_tokens=True)
        said = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
        ended = tokens[-1] in self._local._loaded[1].generation_config.eos_token_id
        return {**said, "finish_reason": "stop" if ended else "length", "count": len(tokens)}

    def work(self) -> None:
        """Answer what waits, as much of it in a batch as comes within a moment, until there is a None among it."""
        while (first := self._waiting.get()) is not None:
            time.sleep(0.2)
            every = [first, *(self._waiting.get() for _ in range(self._waiting.qsize()))]
            if None in every:
                return
            try:
                self._batch([(self._state(*asked), found) for *asked, found in every])
            except Exception as error:
                for *_, found in every:  # or whoever asked would wait for ever
                    if not found.done():
                        found.set_exception(error)

    def _state(self, ids: list[int], limit: int, seed: int) -> RequestState:
        return RequestState(ids, "", Decoding(limit, temperature=20.0 * self.samples), seed=seed)

    def _batch(self, asked: list[tuple[RequestState, Future[list[int]]]]) -> None:
        with self._lock:
            _, model = self._local._loaded
            if not self.ends:
                model.generation_config.eos_token_id = [-1]  # no token
            waiting = dict(asked)
            for row in generate(lambda: model, list(waiting), self._base.tokenizer.pad_token_id, fixed_budget(8192)):
                waiting[row].set_result(row.tokens)


class StandInHandler(Handler):
    """Takes one request."""

    def do_POST(self) -> None:  # noqa: N802  (the library's name)
        """Answer it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.stand_in.answer(self.path, body)
        self.send(json.dumps(answer) if answer else '{"error": "no such way"}', 200 if answer else 404)


@contextmanager
def standing_in(folder: Path, adapter: Path | None = None, **wrong: Any) -> Iterator[StandIn]:
    """Start one; it is gone at the end."""
    served = StandIn(folder, adapter, **wrong)
    http = ThreadingHTTPServer(("127.0.0.1", 0), StandInHandler)
    http.daemon_threads = True
    http.stand_in = served  # type: ignore[attr-defined]
    served.address = f"http://127.0.0.1:{http.server_port}"
    threads = [
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}),
        threading.Thread(target=served.work),
    ]
    for thread in threads:
        thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        served._waiting.put(None)
        for thread in threads:
            thread.join()
        http.server_close()
