"""The pip requirement of the installed version: a commit, or a wheel with its digest; never a bare name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

#: Used if the origin is unknown: no host has such an owner, and no repository such a commit.
PLACEHOLDER = "git+https://github.com/<OWNER>/tunegate@<COMMIT>"
_ADDRESS = re.compile(r"https://[\w.-]+(?::\d+)?/[\w./~%+-]+")  # without a user or a password


def requirement(extra: str = "") -> str:
    """The pip requirement, with an extra: `tunegate[EXTRA] @ ADDRESS`; `PLACEHOLDER` if the address is unknown."""
    return f"tunegate{f'[{extra}]' if extra else ''} @ {address_of(_direct_url()) or PLACEHOLDER}"


def address_of(direct_url: Mapping[str, Any]) -> str:
    """The address in a `direct_url.json`, pinned to a digest; empty if it has none.

    The format is the Python packaging specification "Recording the Direct URL Origin".
    """
    url = str(direct_url.get("url"))
    commit = str(_part(direct_url, "vcs_info").get("commit_id"))
    sha256 = str(_part(_part(direct_url, "archive_info"), "hashes").get("sha256"))
    if not _ADDRESS.fullmatch(url) or "subdirectory" in direct_url:
        return ""
    if _part(direct_url, "vcs_info").get("vcs") == "git" and re.fullmatch(r"[0-9a-f]{40}", commit):
        return f"git+{url}@{commit}"
    return f"{url}#sha256={sha256}" if re.fullmatch(r"[0-9a-f]{64}", sha256) else ""


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, dict) else {}


def _direct_url() -> Mapping[str, Any]:
    try:
        found = json.loads(distribution("tunegate").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}  # a clone that was not installed, or another installer's format
    return found if isinstance(found, dict) else {}
