"""JSON over HTTP: each request has a deadline, and is retried after network errors or while the server is busy."""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import json
import os
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.reading import NotJson, parse_json
from tunegate.harness.models.backends import API_VERSION
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.pace import Pace, Room
from tunegate.harness.models.served.server_errors import Said, is_exhausted, read_error, says_again
from tunegate.harness.models.served.streams import is_stream, whole_response

KEY, HOST = "TUNEGATE_API_KEY", "TUNEGATE_API_HOST"
TRIES = 10  # of a request that fails; a busy server is retried until the deadline
FIRST_TRIES = 6  # of the first request: a wrong address is reported soon
LACKING_TRIES = 5  # of a request whose response has no output: a model may have none
PARTS = 2  # of the deadline, the longest that a try takes: a response that never ends leaves time for another
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds; each is about twice the one before
AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
DEPLOYMENTS = "/openai/deployments/"  # Azure's own path, under which each model has a name that its user chose
BUSY = (429, 503, 529)
MOST_OF_A_BODY = 1 << 24  # bytes
CONNECT_SECONDS = 10.0
LEAST_OF_A_KEY = 12  # characters
HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?|localhost(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?")
OWN_PORT: Mapping[str, int] = {"http": 80, "https": 443}
MOST_SHOWN = 300  # characters of a body in a message
GZIP = b"\x1f\x8b"  # how it begins
Reply = dict[str, Any]
Flaw = Callable[[Reply], str]  # what is wrong with a response, empty if nothing is


class Rejected(CouldNotRun):
    """The server received the request and refused it."""

    def __init__(self, message: str, status: int, said: Said | None = None) -> None:
        self.status = status
        self.said = said or Said("")
        super().__init__(message)


class _TryAgain(Exception):
    """A failure that a retry may fix: what was found, whether the server is only busy, and how long to wait.

    `reply` is a response that counts if no retry has a better one.
    """

    def __init__(self, found: str, is_busy: bool = False, after: float = 0.0, reply: Reply | None = None) -> None:
        self.is_busy, self.after, self.reply = is_busy, after, reply
        super().__init__(found)


Signed = Callable[[str, str], Mapping[str, str]]


def signed(url: str, key: str) -> Mapping[str, str]:
    """The headers of a key, as OpenAI and Azure read them; none without a key."""
    if not key:
        return {}
    return {"api-key": key} if is_azure(url) else {"Authorization": f"Bearer {key}"}


class HttpClient:
    """Posts JSON to one server. The key, if there is one, is read from the environment and never shown.

    The options' `deadline` is in seconds per request, retries included, and `stall` in seconds without a byte, after
    which a try has failed; `tries` are of a request that fails, `pace` is of retries: the caller has already waited
    for the first try. `signed` makes the headers of a key at an address, or of no key.
    """

    def __init__(
        self,
        url: str,
        options: ModelOptions,
        with_key: bool = True,
        tries: int = TRIES,
        pace: Pace | None = None,
        signed: Signed = signed,
    ) -> None:
        self.url, _, self._query = url.partition("?")
        self._deadline, self._in_flight, self._tries = options.deadline, options.in_flight, tries
        self._stall = options.stall
        key = api_key(url) if with_key else ""
        self._key = _spellings(key) if key else None
        self._httpx, self._tenacity = need("httpx2"), need("tenacity")
        self._room, self._pace = Room(self._in_flight), pace or Pace(None)
        self._over = asyncio.Event()  # no more retries
        self._rest_until = 0.0  # when the server accepts requests again, on the monotonic clock
        headers = {"Accept-Encoding": "identity", "User-Agent": "tunegate", **signed(url, key)}
        # the deadline limits the total time: the library's own limits start again with each byte
        self._client = self._httpx.AsyncClient(
            headers=headers,
            timeout=self._httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=self._httpx.Limits(max_connections=self._in_flight),
            trust_env=urlsplit(url).scheme == "https",  # a proxy could read plain http, including the key
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def give_up(self) -> None:
        """Let each active request finish, or try one last time."""
        self._over.set()

    async def post(
        self, path: str, body: Mapping[str, Any], case: str, flaw: Flaw = lambda _: "", lack: Flaw = lambda _: ""
    ) -> Reply:  # fmt: skip
        """Return the server's response object, without a `flaw`; errors start with the `case`.

        One with a `lack` is requested again, and returned if that does not help.

        Raises Rejected if the server returned an error that a retry does not fix, CouldNotRun if it
        did not respond in time, or not validly.
        """
        place = f"{case}: {self.url}/{path}"
        trouble: list[str] = []
        try:
            async with asyncio.timeout(self._deadline):
                return await self._insist(place, partial(self._ask, place, path, body, flaw, lack), trouble)
        except TimeoutError:
            last = f" (before that: {trouble[-1]})" if trouble else ""
            raise CouldNotRun(
                f"{place}: expected a response within {self._deadline:g} s, found none{last}; is the server stuck, or "
                f"overloaded by {self._in_flight} concurrent requests? Send fewer with --tg-in-flight, or allow more "
                "time with --tg-deadline"
            ) from None

    async def get(self, path: str) -> Any:
        """Return the JSON that the server has at a path; None if it has none, or does not respond in time."""
        try:
            async with asyncio.timeout(self._deadline):
                status, _, content = await self._send(path, f"{self.url}/{path}", None)
            return json.loads(self.harmless(content.decode())) if status == 200 else None
        except (TimeoutError, CouldNotRun, self._httpx.HTTPError, ValueError, RecursionError):
            return None

    async def _insist(self, place: str, ask: Callable[[], Awaitable[Reply]], trouble: list[str]) -> Reply:
        end = time.monotonic() + self._deadline
        failures = 0

        async def once() -> Reply:
            nonlocal failures
            if trouble:
                await self._pace.take(1, self.pause)
            await self._rest()
            entered, is_busy = await self._room.enter(), False
            try:
                return await ask()
            except _TryAgain as error:
                is_busy = error.is_busy
                failures += not is_busy
                trouble.append(str(error))
                raise
            finally:
                await self._room.free(entered, is_busy)

        def is_enough(state: Any) -> bool:
            too_late = state.upcoming_sleep > end - time.monotonic()
            most = LACKING_TRIES if state.outcome.exception().reply else self._tries
            return bool(failures >= most or too_late or self._over.is_set())

        again = self._tenacity
        backoff = again.wait_exponential(FIRST_PAUSE, LONGEST_PAUSE) + again.wait_random(0, FIRST_PAUSE)
        insistent = again.AsyncRetrying(
            retry=again.retry_if_exception_type(_TryAgain),
            wait=lambda state: max(backoff(state), state.outcome.exception().after),
            stop=is_enough, sleep=self.pause, reraise=True,
        )  # fmt: skip
        try:
            found: Reply = await insistent(once)
            return found
        except _TryAgain as error:
            if error.reply:
                return error.reply
            raise self._hopeless(place, error, failures, end - time.monotonic()) from None

    def _hopeless(self, place: str, error: _TryAgain, failures: int, left: float) -> CouldNotRun:
        if failures >= self._tries or self._over.is_set():
            tries = f" in {failures} tries" if failures > 1 else ""
            return CouldNotRun(f"{place}: expected a response, found none{tries}: {error}")
        return CouldNotRun(
            f"{place}: expected a response within {self._deadline:g} s, found {error}, with {left:.0f} s left; try "
            "again later, or allow more time with --tg-deadline"
        )

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until `give_up`."""
        with suppress(TimeoutError):  # after `give_up` there is one last try
            await asyncio.wait_for(self._over.wait(), seconds)

    async def _rest(self) -> None:
        """Wait until the server accepts requests again, as it said in any response."""
        while (left := self._rest_until - time.monotonic()) > 0 and not self._over.is_set():
            await self.pause(left)

    async def _ask(self, place: str, path: str, body: Mapping[str, Any], flaw: Flaw, lack: Flaw) -> Reply:
        url = f"{self.url}/{path}{self._query and '?'}{self._query}"
        try:
            status, headers, content = await self._send(place, url, body)
        except TimeoutError as error:
            raise _TryAgain(str(error)) from None
        except self._httpx.TransportError as error:
            trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            raise _TryAgain(self.harmless(f"{trouble}; is it up?")) from None
        except (self._httpx.RequestError, self._httpx.InvalidURL, UnicodeError) as error:
            raise CouldNotRun(self.harmless(f"{place}: expected a response, found {error}")) from None
        # before it is parsed, so that no part of the key remains
        text = self.harmless(content.decode("utf-8", "replace"))
        # decoded with replacements, it might look valid
        if status == 200 and content.decode("utf-8", "replace").encode() != content:
            raise _TryAgain(f"no UTF-8: {_cut(text)}")
        found = self._read(place, status, headers, text)
        if wrong := flaw(found):
            raise _TryAgain(f"an invalid response: {wrong}")
        if lacking := lack(found):
            raise _TryAgain(lacking, reply=found)
        return found

    async def _send(self, place: str, url: str, body: Mapping[str, Any] | None) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request; TimeoutError after `stall` seconds without a byte, or if the response does not end."""
        now = asyncio.get_running_loop().time
        end = now() + self._deadline / PARTS
        content = bytearray()
        try:
            async with (
                asyncio.timeout_at(min(end, now() + self._stall)) as patience,
                self._client.stream("GET" if body is None else "POST", url, json=body) as response,
            ):
                async for piece in response.aiter_raw():
                    patience.reschedule(min(end, now() + self._stall))
                    content += piece
                    if len(content) > MOST_OF_A_BODY:
                        raise _too_long(place)
        except TimeoutError:
            whole = f"no whole response in {self._deadline / PARTS:g} s"
            raise TimeoutError(f"no byte for {self._stall:g} s" if now() < end else whole) from None
        return response.status_code, response.headers, _unpacked(place, bytes(content), response.headers)

    def _read(self, place: str, status: int, headers: Mapping[str, str], text: str) -> Reply:
        found, flaw = _parsed(text)
        said = read_error(found, text)
        # some gateways report an error with status 200, and the error's own status beside its message
        if status == 200 and said.is_error:
            status = said.status or 500
        if status != 200:
            self._refuse(place, status, headers, said)
        if not isinstance(found, dict):
            # a proxy's page, or a body that was cut off
            wrong = f"no JSON ({flaw})" if flaw else "no JSON object"
            raise _TryAgain(f"{wrong}: {_cut(text)}")
        return found

    def _refuse(self, place: str, status: int, headers: Mapping[str, str], said: Said) -> None:
        words = self.harmless(_cut(said.message))
        found = f"status {status}: {words}"
        if is_exhausted(status, said) or not says_again(status, headers):
            if hint := _hint(status, said):
                found = found.rstrip(".")
            raise Rejected(f"{place}: expected a response, found {found}{hint}", status, said)
        is_busy, after = status in BUSY, _asked_to_wait(headers)
        if is_busy and after:
            self._rest_until = max(self._rest_until, time.monotonic() + min(after, self._deadline))
        raise _TryAgain(found + (f"; it asks to wait {after:.0f} s" if after else ""), is_busy, after)

    def harmless(self, text: str) -> str:
        """A text from outside, without the key: a server may repeat it, also in the escapes of JSON."""
        return self._key.sub("[key]", text) if self._key else text


def _too_long(place: str) -> CouldNotRun:
    return CouldNotRun(f"{place}: expected a response of at most {MOST_OF_A_BODY:,} bytes, found more")


def _unpacked(place: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    """A body as it was before it was compressed, which was not asked for; read for gzip, named for others."""
    packing = headers.get("Content-Encoding", "identity").lower()
    if content.startswith(GZIP):
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)  # with the header of gzip
        try:
            found = reader.decompress(content, MOST_OF_A_BODY + 1)
        except zlib.error as error:
            raise _TryAgain(f"a body in gzip that cannot be read: {error}") from None
        if len(found) > MOST_OF_A_BODY:
            raise _too_long(place)
        if not reader.eof:
            raise _TryAgain("a body in gzip that is cut")
        return found
    if packing not in ("identity", "", "gzip"):
        raise _TryAgain(f"a body in {shown(packing)}, although none was asked for")
    return content


def api_key(url: str) -> str:
    """The key for a server, empty if there is none.

    Refused if it is meant for another host or port, or for none (otherwise a change of the model's
    name could send it to another host), would be sent unencrypted, or is too short.
    """
    key, meant = os.environ.get(KEY, ""), os.environ.get(HOST, "")
    if not key:
        return ""
    parts, to = urlsplit(url), key_host(url)
    # if the two variables were swapped, `meant` is the key
    who = "another" if HOST_NAME.fullmatch(key) else shown(meant) or "none"
    if meant.lower() not in (to, f"{to}:{OWN_PORT[parts.scheme]}"):
        raise Refused(
            f"{KEY}: expected the key's host in {HOST}, with its port if the address has one, found "
            f"{who}; to send it to {to}, set {HOST}={to}"
        )
    if parts.scheme != "https" and not _is_loopback(str(parts.hostname)):
        raise Refused(
            f"{KEY}: expected an address that begins with https://, found {url}; a key is never sent unencrypted"
        )
    if not re.fullmatch(f"[!-~]{{{LEAST_OF_A_KEY},}}", key):
        # the key is never shown; a short one may be a word that outputs contain
        raise Refused(
            f"{KEY}: expected at least {LEAST_OF_A_KEY} printable characters without spaces, found fewer or others; "
            "a server that accepts any key needs none"
        )
    return key


def is_azure(url: str) -> bool:
    """Whether an address is Azure's: its key has a header of its own, and its models are named by deployment."""
    parts = urlsplit(url)
    return str(parts.hostname).endswith(AZURE) or DEPLOYMENTS in parts.path or bool(API_VERSION.fullmatch(parts.query))


def key_host(url: str) -> str:
    """The host of an address, as in TUNEGATE_API_HOST: with its port if that is not the scheme's default."""
    parts = urlsplit(url)
    host, own = str(parts.hostname), OWN_PORT[parts.scheme]
    name, port = f"[{host}]" if ":" in host else host, parts.port or own
    return name if port == own else f"{name}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _spellings(key: str) -> re.Pattern[str]:
    """A key as it may appear in JSON, or in JSON within JSON, with any of its characters escaped."""
    each = (rf"\\{{0,4}}(?:u00(?i:{ord(char):02x})|{re.escape(char)})" for char in key)
    return re.compile("".join(each))


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """The seconds of `Retry-After`, a number or a date, or of `retry-after-ms`; 0 without either."""
    given = headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}", in_ms := headers.get("retry-after-ms", "")):
        return int(in_ms) / 1000
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", given):
        return float(given)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _parsed(text: str) -> tuple[Any, str]:
    """The content of a body, and what is wrong with it if it is not JSON."""
    try:
        return whole_response(text) if is_stream(text) else parse_json(text), ""
    except NotJson as error:
        return None, str(error)


def _cut(text: str) -> str:
    return shown(text[:MOST_SHOWN]) or "nothing"


def _hint(status: int, said: Said) -> str:
    if is_exhausted(status, said):
        return "; the account has no quota left, and waiting does not help: pay, or raise its limit"
    hints = {
        401: f"; the key is read from {KEY}", 403: f"; the key is read from {KEY}",
        404: "; check that the address ends in /v1, and that MODEL is the server's own name",
    }  # fmt: skip
    return hints.get(status, "")
