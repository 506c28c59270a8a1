"""Answers that servers, and the ways to them, give instead of one; and servers that give them to some requests."""

from __future__ import annotations

import email.utils
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.fault_server import Act, Handler, answers, drops, finds, halves, leaves, reply, resets, says, tears
from tests.support.hosted import output_of

Body = dict[str, Any]
PROBE = "Hello."  # what a probe says
LATE = 0.3  # seconds that a slow answer takes
AWHILE = 0.02  # seconds that an answer takes where others are to be under way when one ends the run
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr><center>nginx</center></body>"


@dataclass(frozen=True)
class Kind:
    """What a server does instead of answering at once, and whether it `answers` after all: then nothing is lost."""

    name: str
    act: Act
    answers: bool = False


@dataclass(frozen=True)
class Ending:
    """What ends a run: what a server does, the words of it that an error quotes, and whether it is one case's."""

    name: str
    act: Act
    words: str
    is_of_a_case: bool = True


def text_of(body: Body) -> str:
    """What a request says last: it decides the answer."""
    return str(body["messages"][-1]["content"])


def right(body: Body, **more: Any) -> str:
    """The right answer to a request; `more` overrides parts of it."""
    return json.dumps(reply(body, output_of(text_of(body)), **more))


def _error(message: str, kind: str, code: Any = None) -> str:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _late(handler: Handler, body: Body) -> None:
    time.sleep(LATE)
    handler.send(right(body))


def _dated(handler: Handler, _: Body) -> None:
    handler.send("", 429, Retry_After=email.utils.formatdate(time.time() + 1, usegmt=True))


def _half(handler: Handler, body: Body) -> None:
    text = right(body)
    handler.send(text[: len(text) // 2])


def _no_utf8(handler: Handler, body: Body) -> None:
    handler.send(json.dumps(reply(body, "caf\u00e9"), ensure_ascii=False).encode("latin-1"))


def _page(name: str) -> str:
    return PAGE.format(name)


TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9120 tokens."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
LONG = _error(TOO_LONG, "invalid_request_error", "context_length_exceeded")
LIMIT = _error("Rate limit reached for tuned on requests per min (RPM): Limit 500.", "requests", "rate_limit_exceeded")
OVERLOADED = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
UPSTREAM = {"error": {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "one of many"}}}
HTML = {"content_type": "text/html"}
MENDED = says(_error("Try again.", "invalid_request_error"), 400, x_should_retry="true")
KINDS = (
    Kind("408", says(_error("Request timed out.", "timeout"), 408)),
    Kind("409", says(_error("The resource is locked.", "conflict"), 409)),
    Kind("425", says("", 425)),
    Kind("429, Retry-After in seconds", says(LIMIT, 429, Retry_After="1")),
    Kind("429, Retry-After as a date", _dated),
    Kind("429, retry-after-ms", says(LIMIT, 429, retry_after_ms="20")),
    Kind("429 without a time", says(LIMIT, 429)),
    Kind("500", says(_error("The server had an error while processing your request.", "server_error"), 500)),
    Kind("502, a page of nginx", says(_page("502 Bad Gateway"), 502, **HTML)),
    Kind("503, Retry-After in seconds", says(_page("503 Service Unavailable"), 503, Retry_After="1", **HTML)),
    Kind("504", says(_page("504 Gateway Time-out"), 504, **HTML)),
    Kind("520", says("error code: 520", 520)),
    Kind("522", says("error code: 522", 522)),
    Kind("524", says("error code: 524", 524)),
    Kind("529, overloaded", says(OVERLOADED, 529)),
    Kind("200 with a page", says(_page("Just a moment..."), **HTML)),
    Kind("200 with nothing", says("")),
    Kind("200 with half of the JSON", _half),
    Kind("a body cut before its length", halves),
    Kind("a reset before any byte", resets),
    Kind("a hang-up before any byte", drops),
    Kind("a hang-up behind the headers", leaves),
    Kind("a chunked body that is cut", tears),
    Kind("200 with an error of status 502", says(json.dumps(UPSTREAM))),
    Kind("200 with a list", says("[]")),
    Kind('200 with {"status": "ok"}', says('{"status": "ok"}')),
    Kind("finish_reason error", finds("error")),
    Kind("no UTF-8", _no_utf8),
    Kind("no choices", answers(choices=[])),
    Kind("400 with x-should-retry: true", MENDED),
    Kind("a slow answer", _late, answers=True),
)
ENDINGS = (
    Ending("401", says(_error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"), 401),
           "Incorrect API key provided."),
    Ending("403", says(_error("Project does not have access to model.", "invalid_request_error"), 403),
           "Project does not have access to model."),
    Ending("404", says(_error("The model does not exist.", "invalid_request_error", "model_not_found"), 404),
           "The model does not exist."),
    Ending("400, the prompt is too long", says(LONG, 400), TOO_LONG),
    Ending("413", says(_page("413 Request Entity Too Large"), 413), "413 Request Entity Too Large"),
    Ending("429, the quota is used up", says(_error(QUOTA, "insufficient_quota", "insufficient_quota"), 429), QUOTA),
    Ending("402", says(_error("Insufficient Balance", "unknown_error"), 402), "Insufficient Balance"),
    Ending("a flood", says(" " * (1 << 25)), "found more"),
    Ending("another model's name", answers(model="another"), "found outputs of another", is_of_a_case=False),
)  # fmt: skip


class Faulty:
    """Answers each text rightly; a share of its requests, drawn by a seeded generator, meets one of some kinds."""

    def __init__(self, kinds: Sequence[Kind], share: float, seed: str) -> None:
        self._kinds, self._share = kinds, share
        self._random = random.Random(seed)  # noqa: S311  (the same faults each time; nothing secret)
        self._lock = threading.Lock()
        self.sent = 0
        self.served = Counter[Kind]()
        self.delivered = Counter[str]()  # whole answers, by the text that they answer

    def act(self, handler: Handler, body: Body) -> None:
        """Take one request."""
        with self._lock:
            self.sent += 1
            kind = self._random.choice(self._kinds) if self._random.random() < self._share else None
            if kind:
                self.served[kind] += 1
        if kind:
            kind.act(handler, body)
        else:
            handler.send(right(body))
        if kind is None or kind.answers:
            with self._lock:
                self.delivered[text_of(body)] += 1

    @property
    def needed(self) -> int:
        """The requests that nobody could do without: one for each text, and one for each fault."""
        return len(self.delivered) + sum(count for kind, count in self.served.items() if not kind.answers)

    @property
    def twice(self) -> int:
        """Answers to what had been answered whole; a probe may be asked again."""
        return sum(count - 1 for text, count in self.delivered.items() if text != PROBE)


class Limited:
    """Answers each text rightly after a while, and no more than so many a second: the others are to come back."""

    def __init__(self, per_second: int) -> None:
        self._rate = per_second
        self._lock = threading.Lock()
        self._left, self._at = float(per_second), time.monotonic()
        self.sent = self.refused = 0

    def act(self, handler: Handler, body: Body) -> None:
        """Take one request."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._rate, self._left + (now - self._at) * self._rate)
            self._at = now
            self.sent += 1
            wait = (1 - self._left) / self._rate
            if wait > 0:
                self.refused += 1
            else:
                self._left -= 1
        if wait > 0:
            handler.send(LIMIT, 429, retry_after_ms=str(int(wait * 1000) + 1))
        else:
            time.sleep(AWHILE)
            handler.send(right(body))


class Ended:
    """Answers each text rightly after a while; one request, the `at`-th that is no probe, ends the run."""

    def __init__(self, ending: Ending, at: int) -> None:
        self._ending, self._at = ending, at
        self._lock = threading.Lock()
        self._cases = 0
        self.ended = 0.0  # when, by the clock that only goes on
        self.delivered = Counter[str]()

    def act(self, handler: Handler, body: Body) -> None:
        """Take one request."""
        text = text_of(body)
        with self._lock:
            self._cases += text != PROBE
            is_it = text != PROBE and self._cases == self._at
        if is_it:
            self.ended = time.monotonic()
            self._ending.act(handler, body)
            return
        time.sleep(AWHILE)
        handler.send(right(body))
        if text != PROBE:
            with self._lock:
                self.delivered[text] += 1
