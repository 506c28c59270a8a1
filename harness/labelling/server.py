"""The page of `tunegate label` on 127.0.0.1: it can be read and used only with its address.

Its path is a random token. The `Host` header must be the address itself, so that a name that was pointed to
127.0.0.1 (DNS rebinding) leads nowhere. A key must be a POST of JSON to that path, which no form of another page can
send, and from the page's own origin. The page loads nothing, and all texts become text nodes.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from socketserver import ThreadingTCPServer
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunegate.harness.core.errors import TunegateError
from tunegate.harness.core.reading import NotJson, parse_json
from tunegate.harness.labelling.labelling import NAMED, Labelling
from tunegate.harness.labelling.terminal import RULES, STOP
from tunegate.harness.reporting.html import csp_hash

HOST = "127.0.0.1"  # never a name: a name may lead elsewhere
MOST_BYTES = 1_000  # per key
SECONDS = 30  # per request
JSON, HTML = "application/json", "text/html; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}


class LabelServer(ThreadingTCPServer):
    """Serves the page of one person's labelling until she stops it; it listens once it is made."""

    daemon_threads = True

    def __init__(self, work: Labelling) -> None:
        self.work, self._lock = work, threading.Lock()
        self.token = secrets.token_urlsafe(24)
        self.page, self.policy = _page()
        super().__init__((HOST, 0), _Handler)

    @property
    def host(self) -> str:
        """What the `Host` header must say."""
        return f"{HOST}:{self.server_address[1]}"

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://{self.host}/{self.token}/"

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        with self._lock:
            return self._state()

    def press(self, key: str, turn: int) -> dict[str, Any]:
        """Do what a key says, one at a time, and return what the page shows then."""
        with self._lock:
            self.work.press(key, turn)
            return self._state()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error of a request, but nothing where the browser closed or reset the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _state(self) -> dict[str, Any]:
        shown = self.work.shown
        return asdict(shown) | {"progress": shown.progress, "keys": NAMED.get(len(shown.outputs), {})}


class _Handler(BaseHTTPRequestHandler):
    """One request; everything unexpected is refused without a body that says why."""

    timeout = SECONDS
    server_version, sys_version = "tunegate", ""

    @property
    def _labels(self) -> LabelServer:
        return cast(LabelServer, self.server)

    def do_GET(self) -> None:
        """The page, and what it shows."""
        if not self._is_allowed("", "state"):
            return
        if self.path.endswith("/state"):
            self._send_json(self._labels.state())
        else:
            self._send(HTTPStatus.OK, HTML, self._labels.page, {"Content-Security-Policy": self._labels.policy})

    def do_POST(self) -> None:
        """A key."""
        if not self._is_allowed("key"):
            return
        if self.headers.get("Content-Type") != JSON:
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif (pressed := self._key()) is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
        elif pressed[0] == STOP:
            self._send_json(self._labels.state() | {"stopped": True})
            threading.Thread(target=self._labels.shutdown, daemon=True).start()  # it waits for this request
        else:
            self._press(*pressed)

    def _press(self, key: str, turn: int) -> None:
        try:
            self._send_json(self._labels.press(key, turn))
        except TunegateError as error:
            self._send_json({"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _is_allowed(self, *names: str) -> bool:
        """Whether the request is served; otherwise it is refused."""
        own, origin = self._labels, f"http://{self._labels.host}"
        if self.headers.get_all("Host") != [own.host] or self.headers.get("Origin", origin) != origin:
            return self._refuse(HTTPStatus.FORBIDDEN)
        path = self.path.encode("utf-8", "replace")
        if not any(hmac.compare_digest(path, f"/{own.token}/{name}".encode()) for name in names):
            return self._refuse(HTTPStatus.NOT_FOUND)
        return True

    def _key(self) -> tuple[str, int] | None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 5 and int(length) <= MOST_BYTES):
            return None
        try:
            found = parse_json(self.rfile.read(int(length)).decode())
        except (NotJson, UnicodeDecodeError):
            return None
        if not isinstance(found, dict) or found.keys() != {"key", "turn"}:
            return None
        key, turn = found["key"], found["turn"]
        return (key, turn) if isinstance(key, str) and len(key) == 1 and type(turn) is int else None

    def _refuse(self, status: HTTPStatus) -> bool:
        self._send(status, "text/plain", "")
        return False

    def _send_json(self, value: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, JSON, json.dumps(value))

    def _send(self, status: HTTPStatus, kind: str, text: str, more: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        named = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (HEADERS | named | dict(more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing: a log would hold the token."""


def _page() -> tuple[str, str]:
    """Return the page and its Content-Security-Policy."""
    style = _template("tunegate.harness.reporting", "report.css") + _template(__package__, "label.css")
    script = _template(__package__, "label.js")
    policy = (
        f"default-src 'none'; script-src '{csp_hash(script)}'; style-src '{csp_hash(style)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    environment = Environment(
        loader=PackageLoader("tunegate.harness.labelling"), autoescape=True, undefined=StrictUndefined
    )
    # our own code, not to be escaped
    page = environment.get_template("label.html.j2").render(
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        rules=RULES,
    )
    return page, policy


def _template(package: str, name: str) -> str:
    return resources.files(package).joinpath("templates", name).read_text("utf-8")
