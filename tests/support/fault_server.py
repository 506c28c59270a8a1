"""A server with an interface like OpenAI's, on loopback: it answers, or does one of the things that servers do."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "tuned"
GOOD = '{"product": "boiler"}'
Act = Callable[["Handler", dict[str, Any]], None]
AT_ONCE = struct.pack("ii", 1, 0)  # how a socket is told that its end is a reset


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class FaultServer:
    """What it does: the `script`, an act a request, then `then` for ever. What it saw: `asked`, `most` at a time.

    `shown` is the JSON that can be got, by path.
    """

    then: Act
    script: list[Act] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    most: int = 0
    shown: dict[str, Any] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    address: str = ""
    _now: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def model(self) -> str:
        """As --tg-model takes it."""
        return f"openai:{self.address}/v1#{MODEL}"

    @contextmanager
    def taking(self, asked: Asked) -> Iterator[Act]:
        """What to do with a request."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            act = self.script.pop(0) if self.script else self.then
            self.asked.append(asked)
        try:
            yield act
        finally:
            with self._lock:
                self._now -= 1


class Handler(BaseHTTPRequestHandler):
    """Takes one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body does not wait for the word that its headers came
    server: Any

    def do_POST(self) -> None:
        """Do what the script says."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        faults: FaultServer = self.server.faults
        with faults.taking(Asked(self.path, dict(self.headers), body)) as act, suppress(ConnectionError):
            act(self, body)

    def do_GET(self) -> None:
        """Show what there is at the path."""
        found = self.server.faults.shown.get(self.path)
        self.send(json.dumps(found), 404 if found is None else 200)

    def send(self, text: str | bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
        """A whole answer; `length` is what it claims to be, in bytes."""
        content = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        """Whoever hung up first is no trouble here."""
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        """Nor is he at the end."""
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Http(ThreadingHTTPServer):
    request_queue_size = 128  # as many connect at once

    def shutdown_request(self, request: Any) -> None:
        """End a connection; one that is to be reset is not closed in peace before."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(AT_ONCE)) == AT_ONCE:
            self.close_request(request)
        else:
            super().shutdown_request(request)


@contextmanager
def serving(then: Act, *script: Act) -> Iterator[FaultServer]:
    """Start one; it is gone at the end, whoever still waits for it."""
    faults = FaultServer(then, list(script))
    http = _Http(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.faults = faults  # type: ignore[attr-defined]
    faults.address = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield faults
    finally:
        faults.over.set()
        http.shutdown()
        thread.join()
        http.server_close()


def reply(body: dict[str, Any], output: str | None = GOOD, **more: Any) -> dict[str, Any]:
    """The answer to a request, as OpenAI writes it."""
    ids = body.get("prompt")
    choice = {"text": output} if ids else {"message": {"role": "assistant", "content": output}}
    usage = {"prompt_tokens": len(ids) if ids else 7, "completion_tokens": 5}
    return {"model": MODEL, "choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": usage} | more


def answers(output: str | None = GOOD, **more: Any) -> Act:
    """Answer with `output`; `more` overrides parts of the answer."""
    return lambda handler, body: handler.send(json.dumps(reply(body, output, **more)))


def says(text: str | bytes, status: int = 200, length: int | None = None, **headers: str) -> Act:
    """Answer with this text and status."""
    return lambda handler, _: handler.send(text, status, length, **headers)


def finds(finish: str | None) -> Act:
    """Answer, ended for this reason."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        found = reply(body)
        found["choices"][0]["finish_reason"] = finish
        handler.send(json.dumps(found))

    return act


def takes_only(known: set[str]) -> Act:
    """Answer, unless a field is none of these."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        if further := sorted(body.keys() - known):
            handler.send(json.dumps({"error": {"message": f"unknown field {further[0]}"}}), 400)
        else:
            handler.send(json.dumps(reply(body)))

    return act


def holds(*ways: str, output: str | None = None) -> Act:
    """Hold answers to the schemas that these fields name: with `output`, or as the probe wants it; ignore others."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        schema = body.get("json_schema") if "json_schema" in ways else None
        if "response_format" in ways and "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
        word = schema["properties"].get("word") if schema else None
        held = json.dumps({"word": word["enum"][0]}) if word else output or GOOD
        handler.send(json.dumps(reply(body, held if schema else "Hello!")))

    return act


def stalls(handler: Handler, _: dict[str, Any]) -> None:
    """Never answer."""
    handler.server.faults.over.wait()
    handler.close_connection = True


def drips(handler: Handler, _: dict[str, Any]) -> None:
    """Begin an answer and go on with it for ever, a byte at a time."""
    handler.send("{", length=10**9)
    while not handler.server.faults.over.wait(0.05):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
    handler.close_connection = True


def drops(handler: Handler, _: dict[str, Any]) -> None:
    """Hang up."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def resets(handler: Handler, _: dict[str, Any]) -> None:
    """Reset the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    handler.close_connection = True


def leaves(handler: Handler, body: dict[str, Any]) -> None:
    """Hang up behind the headers of an answer."""
    handler.send("", length=len(json.dumps(reply(body))))
    drops(handler, body)


def tears(handler: Handler, body: dict[str, Any]) -> None:
    """Hang up in the middle of an answer that comes in chunks."""
    text = json.dumps(reply(body))
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(f"{len(text):x}\r\n{text[: len(text) // 2]}".encode())
    drops(handler, body)


def halves(handler: Handler, body: dict[str, Any]) -> None:
    """Hang up in the middle of an answer."""
    text = json.dumps(reply(body))
    handler.send(text[: len(text) // 2], length=len(text))
    drops(handler, body)


def slowly(handler: Handler, body: dict[str, Any]) -> None:
    """Answer after a while."""
    time.sleep(0.05)
    handler.send(json.dumps(reply(body)))
