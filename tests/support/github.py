"""A stand-in of GitHub's API on loopback: comments of issues, who asks, and what a token may do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACTIONS = "github-actions[bot]"


@dataclass
class GitHub:
    """What it holds and what it was asked.

    `may_write` is what the token of a fork lacks; `login` is whose token it is, empty for that of a workflow.
    """

    url: str = ""
    may_write: bool = True
    login: str = ""
    status: int = 200
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def add(self, body: str, login: str) -> dict[str, Any]:
        made = {"id": 100 + len(self.comments), "body": body, "user": {"login": login}}
        self.comments.append(made)
        return made

    def answer(self, method: str, path: str, sent: Any) -> tuple[int, Any]:
        """The status and the JSON that a request is answered with."""
        self.asked.append(f"{method} {path}")
        if self.status != 200:
            return self.status, {"message": "no"}
        if path == "/user":
            return (200, {"login": self.login}) if self.login else (403, {"message": "not by an integration"})
        if method == "GET" and (found := re.fullmatch(r"/repos/o/r/issues/7/comments\?per_page=100&page=(\d+)", path)):
            first = 100 * (int(found[1]) - 1)
            return 200, self.comments[first : first + 100]
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}
        if method == "POST" and path == "/repos/o/r/issues/7/comments":
            return 201, self.add(sent["body"], self.login or ACTIONS)
        if method == "PATCH" and (found := re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", path)):
            [known] = [each for each in self.comments if each["id"] == int(found[1])]
            known["body"] = sent["body"]
            return 200, known
        return 404, {"message": "Not Found"}


@contextmanager
def github() -> Iterator[GitHub]:
    """One that serves until the block ends."""
    served = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            served.tokens.add(self.headers.get("Authorization", ""))
            size = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(size)) if size else None
            status, value = served.answer(self.command, self.path, sent)
            body = json.dumps(value).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{served.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815  (the names that http.server calls)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
