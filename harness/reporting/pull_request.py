"""A pull-request comment that is kept up to date with GitHub's REST API, and the job summary.

The comment begins with an invisible marker, by which the next run finds it, and which holds this run's verdicts. Only
a comment of the same account counts, since any user may write the marker.
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.reading import NotJson, parse_json, read_object, schema_mistakes
from tunegate.harness.reporting.markdown import MOST_CHARACTERS, escaped, fitted, markdown_report
from tunegate.harness.reporting.report import Report

MARKER = "tunegate:"
_MARKED = re.compile(rf"<!-- {MARKER}([A-Za-z0-9_=-]*) -->")
WITHOUT_RIGHT = (401, 403, 404)  # GitHub hides resources that a token may not write
MOST_RESPONSE = 1 << 24  # bytes
MOST_PAGES = 30  # of a hundred comments each
MOST_MARKER = 20_000  # characters; a longer one would displace the report
MOST_MOVED = 10_000  # characters of the changes since the last push
SECONDS = 30.0
ACTIONS = "github-actions[bot]"  # its token cannot query its own account
USER = {"type": "object", "required": ["login"], "properties": {"login": {"type": "string"}}}
COMMENT = {
    "type": "object",
    "required": ["id", "body", "user"],
    "properties": {
        "id": {"type": "integer"},
        "body": {"type": ["string", "null"]},
        "user": {"anyOf": [{"type": "null"}, USER]},  # null: the account is deleted
    },
}


class NoRight(Exception):
    """The token lacks the permission, as for a pull request from a fork."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirects: the token goes only to the named host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class PullRequest:
    """A pull request, and the token to comment with."""

    api: str
    repository: str
    number: int
    token: str

    def say(self, body: str, known: Mapping[str, Any] | None) -> str:
        """Create the comment, or update the known one; return `created` or `updated`.

        Raises:
            NoRight: the token may not comment.
            CouldNotRun: GitHub did not respond, or not as documented.
        """
        if known:
            self._ask("PATCH", f"issues/comments/{known['id']}", {"body": body})
            return "updated"
        self._ask("POST", f"issues/{self.number}/comments", {"body": body})
        return "created"

    def known(self) -> Mapping[str, Any] | None:
        """Return the comment of an earlier run from GitHub."""
        me = self._me()
        for page in range(1, MOST_PAGES + 1):
            found = _as_said(
                self._ask("GET", f"issues/{self.number}/comments?per_page=100&page={page}"),
                {"type": "array", "items": COMMENT}, f"{self.api}: expected a list of comments",
            )  # fmt: skip
            for each in found:
                if _MARKED.match(each["body"] or "") and (each["user"] or {}).get("login") == me:
                    return dict(each)
            if len(found) < 100:
                break
        return None

    def _me(self) -> str:
        with suppress(NoRight):
            user = _as_said(self._ask("GET", "", path="user"), USER, f"{self.api}: expected the account of the token")
            return str(user["login"])
        return ACTIONS

    def _ask(self, method: str, what: str, sent: Any = None, path: str = "") -> Any:
        url = f"{self.api}/{path or f'repos/{self.repository}/{what}'}"
        request = urllib.request.Request(  # noqa: S310  (`pull_request_of` accepts only http and https)
            url, json.dumps(sent).encode() if sent is not None else None, method=method,
            headers={"Accept": "application/vnd.github+json", "Authorization": f"Bearer {self.token}",
                     "Content-Type": "application/json", "User-Agent": "tunegate"},
        )  # fmt: skip
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS) as output:
                return parse_json(output.read(MOST_RESPONSE).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in WITHOUT_RIGHT:
                raise NoRight(f"{method} {url}: {error.code}") from None
            raise CouldNotRun(f"{method} {url}: expected a response, found the error {error.code}") from None
        except (OSError, NotJson, ValueError) as error:
            raise CouldNotRun(f"{method} {url}: expected JSON from GitHub, found: {error}") from error


def _as_said(output: Any, schema: Mapping[str, Any], expected: str) -> Any:
    """Return GitHub's response if it has the documented form."""
    if mistakes := schema_mistakes(output, schema):
        raise CouldNotRun(f"{expected}, found: {'; '.join(mistakes)}")
    return output


def pull_request_of(environment: Mapping[str, str]) -> PullRequest | None:
    """Return the pull request that a workflow runs for; None for other events, or outside a workflow.

    Raises:
        Refused: the environment is inconsistent.
    """
    names = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH", "GITHUB_TOKEN")
    api, repository, event, token = (environment.get(name, "") for name in names)
    if not (api and repository and event and token):
        return None
    number = (read_object(Path(event), "the event of a workflow").get("pull_request") or {}).get("number")
    if number is None:
        return None
    if not re.match(r"https?://", api) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or type(number) is not int:
        raise Refused(
            f"expected GITHUB_API_URL, GITHUB_REPOSITORY and the number of a pull request, found {api!r}, "
            f"{repository!r} and {number!r}"
        )
    return PullRequest(api.rstrip("/"), repository, number, token)


def comment_body(report: Report, known: Mapping[str, Any] | None, environment: Mapping[str, str]) -> str:
    """Return the comment: the marker, the report, the changes since the last one, and links to the details."""
    now = {f"{each.name}: {unit.key}": unit.verdict for each in report.candidates for unit in each.units}
    marker = _marker(now)
    rest = []
    if known and (moved := list(_moved(_verdicts(str(known.get("body"))), now))):
        rest += ["", "Since the last push:", "", fitted(moved, MOST_MOVED)]
    if run := _run_address(environment):
        rest += ["", f"[Every case, as a page, and the record: the artefacts of this run]({run})"]
    if report.page:
        rest += ["", f"[The page, with every case]({report.page})"]
    room = MOST_CHARACTERS - len("\n".join([marker, "", *rest]))
    return "\n".join([marker, markdown_report(report, room), *rest])


def _marker(verdicts: Mapping[str, str]) -> str:
    held = base64.urlsafe_b64encode(json.dumps(verdicts).encode()).decode()
    return f"<!-- {MARKER}{held if len(held) <= MOST_MARKER else ''} -->"


def _verdicts(body: str) -> dict[str, str]:
    """Return the verdicts in the marker of a comment."""
    found = _MARKED.match(body)
    with suppress(ValueError):
        value = json.loads(base64.urlsafe_b64decode(found[1])) if found else {}
        return {str(key): str(each) for key, each in value.items()} if isinstance(value, dict) else {}
    return {}


def _moved(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name, verdict in now.items():
        if name in before and before[name] != verdict:
            yield f"- {escaped(name)}: {escaped(before[name])} → {escaped(verdict)}"


def _run_address(environment: Mapping[str, str]) -> str:
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environment.get(name, "") for name in names)
    address = f"{server}/{repository}/actions/runs/{run}"
    return address if run and re.fullmatch(r"https?://[\w.:/-]+", address) else ""


def add_to_summary(path: Path, markdown: str) -> None:
    """Append to the job summary, a file that other steps also append to.

    Raises:
        CouldNotRun: the file cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(f"{markdown}\n")
    except OSError as error:
        raise CouldNotRun(f"{path}: the summary cannot be written: {error.strerror or error}") from error
