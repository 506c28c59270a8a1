"""Where a report comes from: the pull request and the commit, from the environment of GitHub's runner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.reading import read_object

SHA = re.compile(r"[0-9a-f]{40,64}")
PLACE = re.compile(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository's address, the number of the pull request (0 if there is none), and the commit (may be empty)."""

    repository: str
    number: int
    commit: str

    @property
    def name(self) -> str:
        """The pull request or, without one, the repository, as GitHub writes it: `owner/name#12`."""
        owner, name = self.repository.split("/")[-2:]
        return f"{owner}/{name}#{self.number}" if self.number else f"{owner}/{name}"

    @property
    def address(self) -> str:
        """The address of what `name` names."""
        return f"{self.repository}/pull/{self.number}" if self.number else self.repository

    @property
    def commit_address(self) -> str:
        """The address of the commit."""
        return f"{self.repository}/commit/{self.commit}"


def origin_of(environment: Mapping[str, str]) -> Origin | None:
    """Return where a workflow's run comes from; None outside a workflow.

    The commit is the pull request's own, as GITHUB_SHA names its merge with the branch.
    """
    place = f"{environment.get('GITHUB_SERVER_URL', '')}/{environment.get('GITHUB_REPOSITORY', '')}"
    if not PLACE.fullmatch(place):
        return None
    pull = _pull_request(environment.get("GITHUB_EVENT_PATH", ""))
    number, head = pull.get("number"), pull.get("head")
    sha = head.get("sha") if isinstance(head, dict) else environment.get("GITHUB_SHA")
    commit = sha if isinstance(sha, str) and SHA.fullmatch(sha) else ""
    return Origin(place, number if type(number) is int and number > 0 else 0, commit)


def _pull_request(event: str) -> dict[str, Any]:
    """Return the pull request of an event; nothing if the event is of another kind or unreadable."""
    with suppress(Refused):
        found = read_object(Path(event), "the event of a workflow").get("pull_request") if event else None
        return found if isinstance(found, dict) else {}
    return {}
