"""What becomes of cases whose server answers wrongly in one of 120 ways, at the first try or at every one.

    python benchmarks/server_faults.py            # 12 cases for each kind; minutes
    python benchmarks/server_faults.py --quick    # 3 cases for each

A server on loopback answers each case rightly, except where the fault is due. An output counts as wrong if it differs
from the right one and has no error beside it: only the kinds in `UNSEEN`, whose answers are valid ones, may lead there.

Writes server_faults.md; exit code 1 if another kind is scored wrongly, or if one at the first try ends a run although a
second try would do.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.gate_markdown import table
from benchmarks.hosted import answered, cases
from benchmarks.hosted_faults import KINDS, PROBE, Body, Kind, right, text_of
from tests.support.fault_server import Act, Handler, drips, reply, says, serving, stalls
from tests.support.hosted import output_of
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client
from tunegate.harness.models.served.server import Server

LIBRARIES = ("tunegate", "httpx2", "tenacity")
CASES, QUICK = 12, 3
DEADLINE = 4  # seconds
PAUSES = 0.01, 0.05
#: A refused request is not sent again: it would be refused again.
FINAL = (
    *range(400, 408), *range(410, 419), 421, 422, 423, 424, 426, 428, 431, 451, 499, 501, 505, 204, 301, 302, 307, 308,
)  # fmt: skip
STATUSES = (*FINAL, 507, 508, 509, 511, 521, 523, 525, 526, 527, 530, 598, 599)
#: Answers that are valid and wrong: no client can see that.
UNSEEN = ("cut, finish stop", "the answer to another request")


def said(content: Any = None, finish: Any = "stop", **fields: Any) -> Act:
    """Answer with this message."""

    def act(handler: Handler, body: Body) -> None:
        message = {"role": "assistant", "content": content, **fields}
        handler.send(json.dumps(reply(body, choices=[{"index": 0, "finish_reason": finish, "message": message}])))

    return act


def chosen(**choice: Any) -> Act:
    """Answer with this choice."""
    own = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "{}"}} | choice
    return lambda handler, body: handler.send(json.dumps(reply(body, choices=[own])))


def over(**parts: Any) -> Act:
    """Answer rightly, but for these parts of the response."""
    return lambda handler, body: handler.send(right(body, **parts))


def coded(coding: str, write: Any) -> Act:
    """Answer rightly, in a coding."""
    return lambda handler, body: handler.send(write(right(body).encode()), Content_Encoding=coding)


def raw(change: Any) -> Act:
    """Answer with the text of the right response, changed."""
    return lambda handler, body: handler.send(change(right(body)))


def _cut(handler: Handler, body: Body) -> None:
    said(output_of(text_of(body))[:8])(handler, body)


def _header(line: bytes, count: int, wait: float = 0.0) -> Act:
    def act(handler: Handler, _: Body) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _each in range(count):
            if handler.server.faults.over.wait(wait):
                break
            try:
                handler.wfile.write(line)
            except OSError:
                break
        handler.close_connection = True

    return act


def _half_then_hang(handler: Handler, body: Body) -> None:
    text = right(body)
    handler.send(text[:40], length=len(text))
    stalls(handler, body)


def _headers_then_hang(handler: Handler, body: Body) -> None:
    handler.send("", length=len(right(body)))
    stalls(handler, body)


def _slow_end(handler: Handler, body: Body) -> None:
    text = right(body).encode()
    handler.send(b"", length=len(text))
    for place in range(0, len(text), 40):
        time.sleep(0.02)
        handler.wfile.write(text[place : place + 40])


def _plain(text: bytes) -> Act:
    def act(handler: Handler, _: Body) -> None:
        handler.wfile.write(text)
        handler.close_connection = True

    return act


def _stream(*pieces: Body) -> str:
    return "".join(f"data: {json.dumps(each)}\n\n" for each in pieces)


PIECE = {"model": "tuned", "choices": [{"index": 0, "delta": {"content": '{"a'}, "finish_reason": None}]}
MORE = (
    *(Kind(f"status {status}", says("", status)) for status in STATUSES),
    Kind('"", finish stop', said("")),
    Kind('" "', said(" ")),
    Kind("a line break", said("\n")),
    Kind("a space without a width", said("\u200b")),
    Kind("NUL alone", said("\0")),
    Kind("NUL in the text", said("bil\0ling")),
    Kind("content null", said(None)),
    Kind("no content", chosen(message={"role": "assistant"})),
    Kind("an empty message", chosen(message={})),
    Kind("a reasoning and no content", said("", reasoning_content="So it is.")),
    Kind("an empty list of calls", said("", tool_calls=[])),
    Kind("finish tool_calls, none there", said("", "tool_calls")),
    Kind("finish null", said("{}", None)),
    Kind("an unknown finish", said("{}", "END_TURN")),
    Kind("finish content_filter", said("", "content_filter")),
    Kind("finish of another type", said("{}", 7)),
    Kind("cut, finish stop", _cut),
    Kind("the answer to another request", said(output_of("another"))),
    Kind("choice 1", chosen(index=1)),
    Kind("choice -1", chosen(index=-1)),
    Kind("two choices", over(choices=[{"message": {"content": "{}"}, "finish_reason": "stop"}] * 2)),
    Kind("choices null", over(choices=None)),
    Kind("choices as an object", over(choices={})),
    Kind("role user", chosen(message={"role": "user", "content": "{}"})),
    Kind("role system", chosen(message={"role": "system", "content": "{}"})),
    Kind("role tool", chosen(message={"role": "tool", "content": "{}"})),
    Kind("text in place of a message", over(choices=[{"text": "{}", "finish_reason": "stop"}])),
    Kind("content as a list", said([{"type": "text", "text": "{}"}])),
    Kind("content as a number", said(7)),
    Kind("model null", over(model=None)),
    Kind("no model", raw(lambda text: text.replace('"model"', '"modell"'))),
    Kind("gzip", coded("gzip", gzip.compress)),
    Kind("gzip, cut", coded("gzip", lambda text: gzip.compress(text)[:-9])),
    Kind("deflate", coded("deflate", zlib.compress)),
    Kind("br", says(b"\x8b\x02\x80", Content_Encoding="br")),
    Kind("usage as a text", over(usage="7")),
    Kind("a negative count", over(usage={"prompt_tokens": -1, "completion_tokens": 5})),
    Kind("a count as a text", over(usage={"prompt_tokens": "7", "completion_tokens": 5})),
    Kind("a count of 40 digits", over(usage={"prompt_tokens": 10**40, "completion_tokens": 5})),
    Kind("a hang", stalls),
    Kind("headers, then a hang", _headers_then_hang),
    Kind("half a body, then a hang", _half_then_hang),
    Kind("a drip that never ends", drips),
    Kind("headers that never end", _header(b"X-More: 1\r\n", 10**6, 0.05)),
    Kind("a flood of headers", _header(b"X-More: 1\r\n", 10**5)),
    Kind("a slow body", _slow_end, answers=True),
    Kind("no HTTP", _plain(b"hello\r\n\r\n")),
    Kind("a status line alone", _plain(b"HTTP/1.1 200 OK\r\n")),
    Kind("a length that is none", _plain(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}")),
    Kind("two JSON objects", raw(lambda text: text + text)),
    Kind("a word behind the JSON", raw(lambda text: text + "ok")),
    Kind("a mark of UTF-8 before it", raw(lambda text: "\ufeff" + text)),
    Kind("UTF-16", raw(lambda text: text.encode("utf-16"))),
    Kind("NaN", over(usage=float("nan"))),
    Kind("a key twice", raw(lambda text: text[:-1] + ', "model": "tuned"}')),
    Kind("100,000 brackets", says("[" * 100_000)),
    Kind("a stream that is cut", says(_stream(PIECE))),
    Kind("a stream with an error", says(_stream(PIECE, {"error": {"message": "overloaded", "code": 529}}))),
)
ALL = (*KINDS, *MORE)


@dataclass(frozen=True)
class Outcome:
    """What became of the cases of one kind: right, unscored and wrong ones, the error, and the requests for each."""

    kind: str
    right: int
    unscored: int
    wrong: int
    error: str
    asked: float
    seconds: float


@dataclass(frozen=True)
class Found:
    """The outcomes of faults at the first try of each case, and at every try."""

    first: Sequence[Outcome]
    every: Sequence[Outcome]


class Failing:
    """Answers rightly, except for the first tries of each case, or for all."""

    def __init__(self, kind: Kind, always: bool) -> None:
        self._kind, self._always = kind, always
        self._lock = threading.Lock()
        self.seen = Counter[str]()

    def act(self, handler: Handler, body: Body) -> None:
        """Take one request; a probe gets an answer."""
        text = text_of(body)
        with self._lock:
            self.seen[text] += 1
            is_due = text != PROBE and (self._always or self.seen[text] == 1)
        if is_due:
            self._kind.act(handler, body)
        else:
            handler.send(right(body))


def fail(kind: Kind, always: bool, count: int) -> Outcome:
    """Run cases where each meets a fault."""
    failing, requests, start = Failing(kind, always), cases(count), time.monotonic()
    with serving(failing.act) as server:
        came, error = answered(Server(server.model, quiet(), ModelOptions(in_flight=4, deadline=DEADLINE)), requests)
    outputs = [(each.output, output_of(f"Message {each.key.rpartition('/')[2]} of the desk.")) for each in came]
    correct = sum(found == wanted for found, wanted in outputs)
    none = sum(found is None for found, _ in outputs)
    asked = sum(times for text, times in failing.seen.items() if text != PROBE) / count
    return Outcome(
        kind.name, correct, none, len(outputs) - correct - none, str(error or ""), asked, time.monotonic() - start
    )


def measure(count: int, watch: Watch) -> Found:
    """All kinds, with short pauses."""
    http_client.FIRST_PAUSE, http_client.LONGEST_PAUSE = PAUSES
    with watch("Kinds", 2 * len(ALL)) as done:
        both: list[list[Outcome]] = [[], []]
        for always in (False, True):
            for kind in ALL:
                both[always].append(fail(kind, always, count))
                done(1)
    return Found(*both)


def is_final(name: str) -> bool:
    """Whether a kind is a refusal, which ends a run at once."""
    return name.startswith("status ") and int(name.split()[1]) in FINAL


def broken(found: Found) -> Iterator[str]:
    """What is not as it should be."""
    for when, outcomes in (("first try", found.first), ("every try", found.every)):
        for each in outcomes:
            if each.wrong and each.kind not in UNSEEN:
                yield f"{each.kind}, {when}: {each.wrong} scored wrongly"
            if when == "first try" and each.error and not is_final(each.kind):
                yield f"{each.kind}, {when}: {each.error[:200]}"


def _count(outcomes: Sequence[Outcome]) -> list[str]:
    """The numbers of kinds by what became of them."""
    ended = sum(bool(each.error) for each in outcomes)
    wrong = sum(each.wrong > 0 and not each.error for each in outcomes)
    none = sum(each.unscored > 0 and not each.wrong and not each.error for each in outcomes)
    return [str(len(outcomes) - ended - wrong - none), str(none), str(ended), str(wrong)]


def report(found: Found, made: str) -> str:
    """The tables and how they were made, in Markdown."""
    rows = [
        [first.kind, *(_told(each) for each in (first, every)), f"{first.asked:.1f} / {every.asked:.1f}",
         f"{first.seconds:.1f} / {every.seconds:.1f}"]
        for first, every in zip(found.first, found.every, strict=True)
    ]  # fmt: skip
    return "\n\n".join([
        "# Faults of servers",
        f"{len(ALL)} kinds, with a deadline of {DEADLINE} s. Of a kind, all cases are right, some have no score, the "
        "run ends with an error, or some are scored wrongly.",
        table(
            ["at", "all right", "unscored", "ended", "scored wrongly"],
            [["the first try", *_count(found.first)], ["every try", *_count(found.every)]],
        ),
        table(["fault", "first try", "every try", "requests a case", "s"], rows),
        "## How",
        made,
    ]) + "\n"  # fmt: skip


def _told(each: Outcome) -> str:
    parts = [f"{each.right} right"]
    parts += [f"{each.unscored} unscored"] if each.unscored else []
    parts += [f"{each.wrong} WRONG"] if each.wrong else []
    parts += ["ended"] if each.error else []
    return ", ".join(parts)


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[CASES], quick=[QUICK])
