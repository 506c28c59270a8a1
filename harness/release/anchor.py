"""A release compares its ledger with one outside the work tree, which an edit of the work tree cannot change.

The local ledger may lack events that happened and hold events that did not. So the release fetches the branch that it
will be merged into. Each event of that branch must also be in the local ledger. An event that is only in the local
ledger must not lift any requirement that the branch knows. The release must also satisfy the branch's ledger: its last
release, and its number of evaluations of sealed cases.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import CouldNotRun, Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.history.baselines.lookup import last_releases
from tunegate.harness.history.baselines.service import lost_outputs
from tunegate.harness.history.baselines.store import baseline_path, read_baseline
from tunegate.harness.history.ledger.evaluations import evaluation_numbers
from tunegate.harness.history.ledger.ledger import Event, Ledger
from tunegate.harness.history.ledger.ledger_git import REF
from tunegate.harness.history.ledger.store import LEDGER, event_path, parse_event, read_ledger, render_event
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.release.remote import NoReply, Remote, open_remote, remote_names, repository_of

ORIGIN, HEADS = "origin", "refs/heads/"
MOST_SHOWN = 20  # missing events whose content is fetched and described


@dataclass(frozen=True)
class Outside:
    """The ledgers to compare with: a branch (`REMOTE/BRANCH`), and a remote that counts evaluations of sealed cases."""

    into: str | None = None
    ledger_remote: str | None = None


DEFAULT = Outside()
_Ask = Callable[[Path, Outside, Ledger], "_Place"]


@dataclass(frozen=True)
class Anchor:
    """The result of the comparison: a sentence (`said`), and those of the local events that are known outside.

    `known` are those of the branch called `name`, with all that precede them; `counted` also those of the remote that
    counts evaluations of sealed cases, to which every evaluating machine writes. Both are None if no remote responded.
    `compared` is whether the branch responded.
    """

    said: str
    compared: bool = False
    name: str = ""
    known: Ledger | None = None
    counted: Ledger | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        return {"compared": self.compared, "said": self.said}

    def numbers(self, here: Mapping[str, int], units: Sequence[Unit], asked: Fingerprint) -> dict[str, int]:
        """`evaluation_numbers` of the local ledger, and at least those of each ledger outside."""
        outside = [evaluation_numbers(each, units, asked) for each in (self.known, self.counted) if each]
        return {unit: max([number, *(each[unit] for each in outside)]) for unit, number in here.items()}

    def last_releases(
        self, root: Path, tasks: Sequence[Task], units: Sequence[Unit], asked: Fingerprint, here: Mapping[str, Record]
    ) -> dict[str, Record]:
        """The last releases of the branch that are not among the references `here`, by name.

        Raises:
            Refused: one of them cannot be compared with, since a newer event here replaced it.
        """
        if self.known is None:
            return {}
        try:
            found = last_releases(root, self.known, tasks, units, asked, here["baseline"].noise)
        except Refused as error:
            raise Refused(
                f"{error}\n{self.name} does not know the event that replaced it; merge that into {self.name} first"
            ) from error
        return {f"{name} of {self.name}": each for name, each in found.items() if each not in here.values()}


@dataclass(frozen=True)
class _Place:
    """A ledger outside the work tree: its name, a sentence about it, and its events; None if it did not respond."""

    name: str
    said: str
    events: tuple[str, ...] | None = ()


def compare_ledger(root: Path, outside: Outside, units: Sequence[Unit]) -> Anchor:
    """Compare the ledger below `root` with the remote's; if no remote responds, the anchor's sentence says so.

    Raises:
        UsageError: the branch or the remote is ambiguous.
        Refused: an event is missing here, an event only found here is not valid, or a unit is missing.
    """
    ledger = read_ledger(root)
    branch = _place(_ask_branch, "a remote", root, outside, ledger)
    places = [branch, *([_place(_ask_counter, REF, root, outside, ledger)] if outside.ledger_remote else [])]
    said, reached = " ".join(each.said for each in places), [each for each in places if each.events is not None]
    if not reached:
        return Anchor(said)
    name, known = reached[0].name, _restricted(ledger, reached[:1])
    _check_own(root, ledger, known, name, units)
    _check_units(known, name, units)
    return Anchor(said, branch.events is not None, name, known, _restricted(ledger, reached))


def check_unmoved(root: Path, outside: Outside, units: Sequence[Unit], before: Anchor) -> None:
    """Compare again before anything is written, since other releases may happen during the evaluation.

    Raises:
        Refused: the remote has new events; see also `compare_ledger`.
    """
    if before.counted is None:
        return
    now = compare_ledger(root, outside, units)
    # a place that no longer responds has no news
    if now.counted and now.counted.events.keys() - before.counted.events.keys():
        raise Refused(f"{before.name}: its ledger changed during the release; nothing was released, release again")


def _place(ask: _Ask, what: str, root: Path, outside: Outside, ledger: Ledger) -> _Place:
    """The ledger of a place outside, or the reason why it is not available."""
    try:
        return ask(root, outside, ledger)
    except NoReply as error:
        why = str(error)
    except CouldNotRun:
        why = "git failed"
    return _Place("", f"The ledger was not compared with {what}: {why}.", None)


def _restricted(ledger: Ledger, places: Sequence[_Place]) -> Ledger:
    """The events of places and all that precede them; their digests authenticate their content."""
    names = {name for each in places for name in each.events or ()}
    names |= ledger.before(ledger.events[name] for name in names)
    return Ledger({name: ledger.events[name] for name in names})


def _ask_branch(root: Path, outside: Outside, ledger: Ledger) -> _Place:
    top, around = repository_of(root), repository_of(root.absolute().parent)
    if around and top != around:
        raise Refused(
            f"{show_path(root)}: expected the baselines in the repository that contains them, {show_path(around)}, "
            "found them outside of it, behind a link or in a repository of their own; move them into it"
        )
    if top is None:
        raise _unasked(outside, "the baselines are in no git repository")
    owner, branch = _split(remote_names(top), outside)
    folder = (root.resolve() / LEDGER).relative_to(top).as_posix()
    with open_remote(top, owner) as remote:
        branch, commit, is_default = _tip(remote, branch)
        if not commit:
            return _Place(owner, f"The ledger was compared with {shown(owner)} ({remote.place}), which has no branch.")
        name = shown(f"{owner}/{branch}")
        files = _events(remote.files(commit, folder))
        lacks = "" if is_default else f", which is not the default branch of {shown(owner)}"
        if not files:
            _check_not_elsewhere(remote.names(commit), folder, name)
            lacks += f", which holds no ledger at {shown(folder)}"
        fetch, place = shlex.join(["git", "fetch", owner, branch]), show_path(root / LEDGER)
        remedy = f"merge {name}, or bring them back: {shown(fetch)}, then git checkout FETCH_HEAD -- {place}"
        _check_missing(root, ledger, files, remote, name, remedy)
    return _Place(name, f"The ledger was compared with {name} at commit {commit[:12]} ({remote.place}){lacks}.",
                  tuple(files))  # fmt: skip


def _check_not_elsewhere(names: Sequence[str], folder: str, name: str) -> None:
    """Refuse a ledger in another folder of the project than the branch's, due to a setting or a link."""
    baselines = PurePosixPath(folder).parent
    held = re.compile(rf"{re.escape(str(baselines.parent / 'x')[:-1])}([^/]+)/{LEDGER}/[0-9a-f]{{64}}\.json")
    if others := sorted({found[1] for found in map(held.fullmatch, names) if found}):
        raise Refused(
            f"{name} has the ledger in {listed([shown(each) for each in others])}, and this release would use "
            f"{shown(baselines.name)}; use the branch's folder, or merge the move into {name} first"
        )


def _ask_counter(root: Path, outside: Outside, ledger: Ledger) -> _Place:
    """The events of the remote that counts evaluations of sealed cases, on a branch of their own."""
    top, given = repository_of(root), str(outside.ledger_remote)
    if top is None:
        raise NoReply("the baselines are in no git repository")
    with open_remote(top, given) as remote:
        commit, name = remote.refs(REF)[1].get(REF), f"{REF} of {shown(remote.name)}"
        files = _events(remote.files(commit, "")) if commit else {}
        again = "run pytest with --tg-sealed and this --tg-ledger-remote again, which fetches them"
        _check_missing(root, ledger, files, remote, name, again)
    at = f" at commit {commit[:12]}" if commit else ", which does not exist yet"
    return _Place(name, f"The ledger was compared with {name}{at}.", tuple(files))


def _events(files: Mapping[str, str]) -> dict[str, str]:
    return {name.removesuffix(".json"): file for name, file in files.items() if name.endswith(".json")}


def _unasked(outside: Outside, why: str) -> Exception:
    """Without a remote a release continues, unless `--into` names one."""
    if outside.into is None:
        return NoReply(why)
    return UsageError(f"--into {shown(outside.into)}: expected a remote, found none: {why}")


def _split(names: Sequence[str], outside: Outside) -> tuple[str, str]:
    """The remote and the branch that `--into` names; an empty branch is the remote's default."""
    into = outside.into or ""
    if not names:
        raise _unasked(outside, "none is configured")
    if owner := max((name for name in names if f"{into}/".startswith(f"{name}/")), key=len, default=""):
        return owner, into[len(owner) + 1 :]
    if ORIGIN not in names and len(names) > 1:
        raise UsageError(
            f"--into: expected one remote, or an {ORIGIN}, found {shown(', '.join(names))}; name the branch: "
            f"--into {shown(names[0])}/main"
        )
    return ORIGIN if ORIGIN in names else names[0], into


def _tip(remote: Remote, branch: str) -> tuple[str, str, bool]:
    """The branch (by default the remote's default), its commit (empty: no branch), and whether it is the default."""
    default, refs = remote.refs("HEAD", f"{HEADS}*")
    heads = {ref.removeprefix(HEADS): commit for ref, commit in refs.items() if ref.startswith(HEADS)}
    name = branch or default
    if not heads or name in heads:
        return name, heads.get(name, ""), name == default
    found = f"found {listed([shown(each) for each in sorted(heads)])}; name one: --into {remote.name}/BRANCH"
    expected = (
        f"a branch {shown(name)} at {shown(remote.name)}" if name else f"a default branch at {shown(remote.name)}"
    )
    raise UsageError(f"--into: expected {expected}, {found}")


def _check_missing(
    root: Path, ledger: Ledger, files: Mapping[str, str], remote: Remote, name: str, remedy: str
) -> None:
    missing = {event: file for event, file in files.items() if event not in ledger.events}
    if not missing:
        return
    known = dict(islice(_described(missing, remote), MOST_SHOWN))
    lines = [f"  {show_path(event_path(root, event))}{known.get(event, '')}" for event in missing]
    raise Refused(
        f"expected every event of {name} in the ledger here, found {len(lines)} missing:\n"
        + "\n".join(lines) + f"\n{remedy}"
    )  # fmt: skip


def _described(missing: Mapping[str, str], remote: Remote) -> Iterator[tuple[str, str]]:
    """Descriptions of missing events, as far as the remote responds."""
    with suppress(NoReply):
        for event, file in missing.items():
            with suppress(Refused):
                yield event, f": {render_event(parse_event(remote.text(file), event))}"


def _check_own(root: Path, ledger: Ledger, known: Ledger, name: str, units: Sequence[Unit]) -> None:
    """Refuse events that are only in the local ledger and are not valid."""
    sealed = {unit.key for unit in units if unit.sealed}
    own = [event for event in ledger.in_order if event.digest not in known.events]
    wrong = [(event, why) for event in own if (why := _why_not(root, ledger, known, name, event, sealed))]
    if wrong:
        lines = [f"  {show_path(event_path(root, event.digest))}: {render_event(event)}: {why}" for event, why in wrong]
        expected = (
            f"each event here that {name} lacks to have its files, and to withdraw or retire nothing that {name} has"
        )
        raise Refused(f"expected {expected}, found others:\n" + "\n".join(lines))


def _why_not(root: Path, ledger: Ledger, known: Ledger, name: str, event: Event, sealed: set[str]) -> str:
    """The reason why a local event that the branch lacks is not valid, and what to do; empty if it is valid."""
    released = any(each.who == event.who for each in known.of(event.task, "released"))
    if event.kind == "withdrawn" and released and not known.withdrawal(event.task, event.who):
        return f"{name} has the release but not its withdrawal; merge it into {name} first"
    if event.kind == "retired" and (units := event.files.keys() & _live_units(known)):
        return f"{name} has {_listed(units)} but not the retirement; merge it into {name} first"
    if event.kind == "released" and (lost := lost_outputs(root, event)):
        return f"the outputs that it names are missing ({_listed(lost)}); restore them"
    if event.kind == "recorded" and (gone := [path for unit in event.files.keys() - sealed
                                              if (path := _lost_baseline(root, ledger, event, unit))]):  # fmt: skip
        return f"the baseline that it names is missing ({listed(gone)}); restore it, or record it again"
    return ""


def _lost_baseline(root: Path, ledger: Ledger, event: Event, unit: str) -> str:
    """The path of the baseline that an event names for a unit, if that is missing and not replaced; empty otherwise."""
    slug = str(event.subject.get("model"))
    newest, path = ledger.recorded(unit, slug), baseline_path(root, slug, unit)
    if event.files[unit] not in newest or ledger.retirement(unit):
        return ""
    with suppress(Refused):
        if read_baseline(path, unit).digest in newest:
            return ""
    return show_path(path)


def _live_units(known: Ledger) -> set[str]:
    """The units that have a baseline or a release in a ledger, and are not retired."""
    recorded = (event.files for event in known.events.values() if event.kind in ("recorded", "released"))
    return {unit for unit in {unit for files in recorded for unit in files} if not known.retirement(unit)}


def _listed(units: Collection[str]) -> str:
    return listed([shown(unit) for unit in sorted(units)])


def _check_units(known: Ledger, name: str, units: Sequence[Unit]) -> None:
    """Refuse fixtures that lack a unit of the branch."""
    if lost := _live_units(known) - {each.key for each in units}:
        raise Refused(
            f"{name} has a baseline or a release of {_listed(lost)}: expected among the fixtures, found no such unit; "
            f"restore the file, or retire the unit with a reason and merge that into {name} first: tunegate retire "
            f"{shown(min(lost))} --reason TEXT"
        )
