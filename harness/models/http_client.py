"""JSON over HTTP: each request within a deadline, tried again where the wire or the server's load is at fault."""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import itertools
import os
import random
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.reading import NotJson, parse_json

KEY, HOST = "TUNEGATE_API_KEY", "TUNEGATE_API_HOST"
TRIES = 6  # of a request whose connection breaks; who is busy is asked again until the deadline
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds; each is about twice the one before
BUSY = (429, 503)
MOST_OF_A_BODY = 1 << 24  # bytes
CONNECT_SECONDS = 10.0
LEAST_OF_A_KEY = 12  # characters
OWN_PORT: Mapping[str, int] = {"http": 80, "https": 443}
MOST_SAID = 300  # characters of what a server says of an error


class Rejected(CouldNotRun):
    """The server took the request and would not have it."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class HttpClient:
    """Posts JSON to one server. The key, if there is one, is read from the environment and shown nowhere."""

    def __init__(self, url: str, deadline: float, in_flight: int, with_key: bool = True) -> None:
        self.url = url
        self._deadline = deadline
        self._in_flight = in_flight
        key = api_key(url) if with_key else ""
        self._key = _spellings(key) if key else None
        self._httpx = need("httpx2")
        headers = {"Accept-Encoding": "identity", "User-Agent": "tunegate"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        # how long it may take in all the deadline says: the library's own limits begin anew with each byte
        self._client = self._httpx.AsyncClient(
            headers=headers,
            timeout=self._httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=self._httpx.Limits(max_connections=in_flight),
            trust_env=urlsplit(url).scheme == "https",  # a proxy sees what is asked in the clear, the key too
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object that the server answers with.

        Raises:
            Rejected: it answered with an error that another try does not mend.
            CouldNotRun: it gave no answer in time, or one that is no JSON object.
        """
        trouble: list[str] = []
        try:
            async with asyncio.timeout(self._deadline):
                return await self._try(f"{self.url}/{path}", body, trouble)
        except TimeoutError:
            last = f" (before that: {trouble[-1]})" if trouble else ""
            raise CouldNotRun(
                f"{self.url}/{path}: expected an answer within {self._deadline:g} s, found none{last}; is the server "
                f"stuck, or asked too much at a time ({self._in_flight})? Ask less with --tg-in-flight, or give it "
                "longer with --tg-deadline"
            ) from None

    async def _try(self, url: str, body: Mapping[str, Any], trouble: list[str]) -> dict[str, Any]:
        end = time.monotonic() + self._deadline
        failures = 0
        for attempt in itertools.count():
            pause = min(FIRST_PAUSE * 2 ** min(attempt, 16), LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
            try:
                status, headers, content = await self._send(url, body)
            except self._httpx.TransportError as error:
                failures += 1
                trouble.append(self.harmless(f"{type(error).__name__}: {error}".rstrip(": ")))
            except self._httpx.RequestError as error:
                raise CouldNotRun(self.harmless(f"{url}: expected an answer, found {error}")) from None
            else:
                if status not in BUSY:
                    return self._read(url, status, content)
                pause = _asked_to_wait(headers, pause)
                trouble.append(f"status {status}, and to come back in {pause:.0f} s")
            if failures == TRIES:
                raise CouldNotRun(f"{url}: expected an answer, found none in {TRIES} tries: {trouble[-1]}; is it up?")
            if pause > (left := end - time.monotonic()):
                raise CouldNotRun(
                    f"{url}: expected an answer within {self._deadline:g} s, found {trouble[-1]}, with {left:.0f} s "
                    "left; come back later, or give it longer with --tg-deadline"
                )
            await asyncio.sleep(pause)
        raise AssertionError  # the count has no end

    async def _send(self, url: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        async with self._client.stream("POST", url, json=body) as response:
            content = bytearray()
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > MOST_OF_A_BODY:
                    raise CouldNotRun(f"{url}: expected an answer of at most {MOST_OF_A_BODY:,} bytes, found more")
            return response.status_code, response.headers, bytes(content)

    def _read(self, url: str, status: int, content: bytes) -> dict[str, Any]:
        text = self.harmless(content.decode("utf-8", "replace"))  # before it is parsed, so that no part of it is left
        if status != 200:
            said = self.harmless(_said(text))
            raise Rejected(f"{url}: expected an answer, found status {status}: {said}{_hint(status)}", status)
        try:
            found = parse_json(text)
        except NotJson as error:
            raise CouldNotRun(f"{url}: expected an answer in JSON, found {error}: {_cut(text)}") from None
        if not isinstance(found, dict):
            raise CouldNotRun(f"{url}: expected an answer that is a JSON object, found {_cut(text)}")
        return found

    def harmless(self, text: str) -> str:
        """A text that came from outside, without the key: a server may repeat it, also in the escapes of JSON."""
        return self._key.sub("[key]", text) if self._key else text


def api_key(url: str) -> str:
    """The key for a server, empty where there is none.

    Raises:
        Refused: it is meant for another host or port, or for none: whoever can change the name of the model could have
            it sent to himself. Or everybody on the way could read it.
    """
    key, meant = os.environ.get(KEY, ""), os.environ.get(HOST, "")
    if not key:
        return ""
    parts = urlsplit(url)
    host, own = str(parts.hostname), OWN_PORT[parts.scheme]
    name, port = f"[{host}]" if ":" in host else host, parts.port or own
    to = name if port == own else f"{name}:{port}"
    if meant.lower() not in (to, f"{name}:{port}"):
        raise Refused(
            f"{KEY}: expected the host that it is for in {HOST}, with its port where the address has one, found "
            f"{shown(meant) or 'none'}; to send it to {to}, set {HOST}={to}"
        )
    if parts.scheme != "https" and not _is_loopback(host):
        raise Refused(
            f"{KEY}: expected an address that begins with https://, found {url}; a key is not sent in the clear"
        )
    if not re.fullmatch(f"[!-~]{{{LEAST_OF_A_KEY},}}", key):
        # never which; a short one is a word that answers may hold by themselves
        raise Refused(
            f"{KEY}: expected at least {LEAST_OF_A_KEY} printable characters without a space, found something else; a "
            "server that takes any key needs none"
        )
    return key


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _spellings(key: str) -> re.Pattern[str]:
    """A key as it may stand in JSON, or in JSON within JSON, any character of it escaped."""
    each = (rf"\\{{0,4}}(?:u00(?i:{ord(char):02x})|{re.escape(char)})" for char in key)
    return re.compile("".join(each))


def _asked_to_wait(headers: Mapping[str, str], pause: float) -> float:
    """The seconds of `Retry-After`, a number or a date; `pause` where it says neither, or less."""
    given = headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}", given):
        return max(pause, float(given))
    try:
        return max(pause, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return pause


def _said(text: str) -> str:
    """The message in an error's body."""
    try:
        found = parse_json(text)
    except NotJson:
        return _cut(text)
    error = found.get("error", found) if isinstance(found, dict) else found
    return _cut(str(error.get("message") or error.get("detail") or error) if isinstance(error, dict) else str(error))


def _cut(text: str) -> str:
    return shown(text[:MOST_SAID]) or "nothing"


def _hint(status: int) -> str:
    hints = {
        401: f"; the key is read from {KEY}", 403: f"; the key is read from {KEY}",
        404: "; is it the address that ends in /v1, and the server's own name of the model?",
    }  # fmt: skip
    return hints.get(status, "")
