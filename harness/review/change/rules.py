"""The rule changes of a change: what it modifies, and what it only adds.

Cases, policies, baselines, checks and some settings are rules. Prompts, decoding and the model are not: they are the
configuration that is compared (see candidate.py).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Case, LabelSource, Task, Unit
from tunegate.harness.cases.policy import policy_changes
from tunegate.harness.checks.registry import kind_name
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import canonical, digest, file_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import read_text
from tunegate.harness.history.baselines.diff import configuration_differences
from tunegate.harness.history.baselines.matching import DIAGNOSIS
from tunegate.harness.history.baselines.releases import OUTPUTS
from tunegate.harness.history.baselines.service import anchors_among, first_records, stored_record
from tunegate.harness.history.baselines.store import Baseline, read_baseline
from tunegate.harness.history.ledger.ledger import Event, Ledger, who
from tunegate.harness.history.ledger.store import LEDGER, read_ledger, render_event
from tunegate.harness.review.change.candidate import is_of_same_kind
from tunegate.harness.review.change.leaks import leaks_in_prompts
from tunegate.harness.rows.near_cases import NearCases, claim_lines

MOST_CLAIMED = 0.1  # of the cases of a unit may be near only by the change's own word
DIGITS = 12  # of the digest by which a reviewer approves rule changes
#: The ledger events that later candidates are compared by; the others count runs, or name baselines.
COMPARED_BY = ("serves", "anchored", "released", "withdrawn", "retired")

#: The parts of a case that decide something, each with what it is.
PARTS: Mapping[str, Callable[[Unit, Case], Any]] = {
    "input": lambda _, case: case.written,
    "context": lambda _, case: case.context,
    "expect": lambda _, case: case.expect,
    "check": lambda unit, case: unit.asked.get(case.id),
    "references of its check": lambda _, case: case.check.references,
    "prompt": lambda _, case: case.own.get("prompt"),
    "decoding": lambda _, case: case.own.get("generate"),
    "tags": lambda _, case: dict(case.tags),
    "group": lambda _, case: case.group,
}


@dataclass(frozen=True)
class Rules:
    """The rules of one side of a change: fixtures with their policies, baselines, settings and checks.

    `settings` are those of `[tool.tunegate]` that are rules. `chat_template` is the text of the configuration's
    template, which is searched for cases. `model` is the digest of a `python:` model's code, by its name. `checks` are
    the digests of the project's own checks, by their place; `data` is the digest of all files around them. `near` is
    what is known of the near cases of each adapter, by its name, whose training record the branch does not have.
    `unrecorded` are the cases by unit that are left out (see unrecorded.py).
    """

    tasks: Sequence[Task]
    baselines: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    chat_template: str = ""
    model: Mapping[str, str] = field(default_factory=dict)
    near: Mapping[str, NearCases] = field(default_factory=dict)
    unrecorded: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def units(self) -> dict[str, Unit]:
        """All units, by key."""
        return {unit.key: unit for task in self.tasks for unit in task.units}

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """What every unit is held to, by key."""
        return {key: policy for task in self.tasks for key, policy in task.policies.items()}


@dataclass(frozen=True)
class RuleChanges:
    """The rule changes, one line each: `modified` ones block until they are approved, `added` ones are listed.

    `approve` is the digest of exactly these changes. `records` are the records that the change puts in service, by unit
    and digest, `earlier` those that it replaces itself, on the cases whose anchor they would be, and `beside` its other
    new or edited baselines, by their path in the folder of baselines: the gate compares them with its own evaluation
    (see brought.py).
    """

    modified: tuple[str, ...]
    added: tuple[str, ...]
    approve: str
    records: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[Path, ...] = ()
    earlier: tuple[Baseline, ...] = ()


def label_lines(unit: Unit) -> dict[str, list[str]]:
    """Return the lines of a unit's labels file, and those of its judge, by the file's name; only of files there are."""
    return {
        path.name: read_text(path, "a JSONL file of labels").removesuffix("\n").split("\n")
        for path in (unit.labels.files if unit.labels else ())
        if os.path.lexists(path)
    }


def has_new_code(old: Rules | None, new: Rules) -> bool:
    """Whether there is code of own checks that the branch does not have, or has otherwise: it waits for approval."""
    return any((old.checks if old else {}).get(name) != sha for name, sha in new.checks.items())


def has_new_model(old: Rules | None, new: Rules) -> bool:
    """Whether the model is code that the branch does not name, or has otherwise: nothing of it runs until approved."""
    return bool(new.model) and new.model != (old.model if old else {})


def new_project(new: Rules, here: str, elsewhere: Sequence[str]) -> RuleChanges:
    """What a change does that brings a project to a folder (`here`) where the branch has none.

    `elsewhere` are the folders of the branch's projects, from the top of the repository.
    """
    moved = f"the project is in {here}, and the branch has it in {listed(elsewhere)}: it moved"
    modified = [moved] if elsewhere else []
    modified += [*_code(Rules((), new.baselines), new), *leaks_in_prompts(new.units, new.chat_template), *_claims(new)]
    approve = approval_digest(modified, new) if modified else ""
    ledger = read_ledger(new.baselines)
    records = _in_service_since(ledger.in_order)
    earlier = tuple(_earlier_records(new, ledger, ledger.in_order, records))
    return RuleChanges(tuple(modified), (), approve, records, tuple(_files(new.baselines)), earlier)


def rule_changes(old: Rules, new: Rules) -> RuleChanges:
    """Compare the rules that a change comes from with those that it brings."""
    modified = [*_settings(old, new), *_code(old, new), *_gone(old, new), *_looser(old, new), *_sealed(old, new)]
    for key, unit in new.units.items():
        modified += _unit_changes(old.units[key], unit) if key in old.units else _label_changes(None, unit)
    before, now = read_ledger(old.baselines), read_ledger(new.baselines)
    events = [event for event in now.in_order if event.digest not in before.events]
    records = _in_service_since(events)
    modified += [*_baselines(old, new, records), *_new_baselines(old, new), *_events(events), *_lost_outputs(old, new)]
    modified += leaks_in_prompts(new.units, new.chat_template, old.units, old.chat_template)
    modified += [*_unchecked_anchors((old, before), (new, now), events, records), *_claims(new)]
    added = [*_added(old, new)]
    earlier = tuple(_earlier_records(new, now, events, records))
    modified += [
        f"{each.unit}: an earlier record of this change ({each.digest[:8]}) would be the anchor of "
        f"{_cases(sorted(each.results))}, and nothing here can check it"
        for each in earlier if each.is_supplied
    ]  # fmt: skip
    for was, serves in _in_service_on_both((old, before), (new, now), records):
        said = [*_disarmed(was, serves, old.units.get(serves.unit))]
        line = f"{serves.unit}: this change's record is in service after the merge"
        if not _is_other_configuration(was, serves):
            said += _same_again(was, serves, serves.path.relative_to(new.baselines))
        elif serves.is_supplied:
            said.append(f"{line}, and nothing here can check it")
        else:
            added.append(line)
        modified += [each for each in said if each not in modified]
    approve = approval_digest(modified, new) if modified else ""
    return RuleChanges(tuple(modified), tuple(added), approve, records, tuple(_other_files(old, new)), earlier)


def _in_service_since(events: Iterable[Event]) -> dict[str, str]:
    """The records that events put in service, the last one of each unit."""
    return {unit: sha for event in events if event.kind == "serves" for unit, sha in sorted(event.files.items())}


def approval_digest(modified: Sequence[str], new: Rules) -> str:
    """Return the digest of the rule changes and of their result: a later edit is another rule change."""
    files = {name.as_posix(): file_digest(path) for name, path in _files(new.baselines).items()}
    questions = {key: unit.questions for key, unit in new.units.items()}
    labels = {key: [_source(unit.labels), label_lines(unit)] for key, unit in new.units.items() if unit.labels}
    # a line names neither all units of an event nor their records
    events = sorted(name for name, event in read_ledger(new.baselines).events.items() if event.kind in COMPARED_BY)
    return digest(
        [modified, questions, new.policies, dict(new.settings), dict(new.checks), dict(new.model), new.data, files]
        + ([labels] if labels else [])
        + ([events] if events else [])
    )[:DIGITS]


def _source(labels: LabelSource | None) -> dict[str, Any]:
    """Where the labels of a unit come from, as JSON data."""
    return {
        "the file of labels": labels and labels.file.name,
        "the number of labels": labels and labels.sample,
        "the rubric": labels and labels.rubric,
        "the judge": labels and labels.judge and asdict(labels.judge),
    }


def _settings(old: Rules, new: Rules) -> Iterator[str]:
    for name in sorted({*old.settings, *new.settings}):
        before, now = old.settings.get(name), new.settings.get(name)
        if before != now and not (name == "model" and is_of_same_kind(name, before, now)):
            yield f"[tool.tunegate] {name}: {before or 'not set'} -> {now or 'not set'}"


def _code(old: Rules, new: Rules) -> Iterator[str]:
    """Code of own checks, or of the model, that is new, gone or another one: it decides, and it runs."""
    yield from _edited_code("checks of your own", old.checks, new.checks)
    yield from _edited_code("the model's code", old.model, new.model)


def _edited_code(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before and not now:
            yield f"{what}: {name} is gone"
        elif now and not before:
            yield f"{what}: {name} is new ({now[:8]}); it does not run until it is approved"
        elif before and now and before != now:
            yield f"{what}: {name}: {before[:8]} -> {now[:8]}; it does not run until it is approved"


def _claims(new: Rules) -> Iterator[str]:
    """Near cases only by the change's own word: they are no evidence of a gain, and it would choose them."""
    for name, near in new.near.items():
        yield from claim_lines(name, near, [task.without(new.unrecorded) for task in new.tasks], MOST_CLAIMED)


def _gone(old: Rules, new: Rules) -> Iterator[str]:
    kept = {task.name for task in new.tasks}
    for task in old.tasks:
        if task.name not in kept:
            yield f"{task.name}: the task is gone"
    yield from (
        f"{key}: the unit is gone ({len(unit.cases)} cases)"
        for key, unit in old.units.items()
        if unit.task in kept and key not in new.units
    )


def _looser(old: Rules, new: Rules) -> Iterator[str]:
    for key, policy in new.policies.items():
        if key in old.policies and (terms := policy_changes(old.policies[key], policy, looser=True)):
            yield f"{key}: task.yaml is looser: {', '.join(terms)}"


def _sealed(old: Rules, new: Rules) -> Iterator[str]:
    """Known open units that another unit proves from now on: then they need not be held themselves."""
    before, now = _seals(old), _seals(new)
    for key, sealed in now.items():
        if key in old.units and before.get(key) != sealed:
            yield f"{key}: from now on {sealed} proves it, and it need not be held"


def _seals(rules: Rules) -> dict[str, str]:
    """The units that prove others, by those."""
    return {
        f"{key.rpartition('/')[0]}/{policy['seals']}": key for key, policy in rules.policies.items() if policy["seals"]
    }


def _unit_changes(old: Unit, new: Unit) -> Iterator[str]:
    gone = sorted({case.id for case in old.cases} - {case.id for case in new.cases})
    if gone and not (old.traffic and new.traffic):  # another snapshot is reported as such
        yield f"{new.key}: {_cases(gone)} removed"
    yield from _marks(old, new, looser=True)
    both = _both(old, new)
    for name, part in PARTS.items():
        # as their JSON: to Python true is 1
        if edited := [
            key for key, (was, now) in both.items() if canonical(part(old, was)) != canonical(part(new, now))
        ]:
            yield f"{new.key}: {name} of {_cases(edited)} edited"
    before, after = _terms(old), _terms(new)
    yield from (f"{new.key}: {name} edited" for name in before if before[name] != after[name])
    yield from _label_changes(old, new)


def _terms(unit: Unit) -> dict[str, object]:
    """What decides in all cases of a unit."""
    return {
        "suite": kind_name(unit.suite, unit.measure), "of": unit.of, "traffic": unit.traffic, **_source(unit.labels),
    }  # fmt: skip


def _label_changes(old: Unit | None, new: Unit) -> Iterator[str]:
    """Labels that a change adds, edits or deletes: what its author says of outputs decides nothing until approved."""
    before, now = label_lines(old) if old else {}, label_lines(new)
    for name in sorted({*before, *now}):
        yield from _line_changes(new, name, before.get(name, []), now.get(name, []))


def _line_changes(new: Unit, name: str, before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    found = False
    for lines, what in ((Counter(now) - Counter(before), "new"), (Counter(before) - Counter(now), "gone")):
        if count := lines.total():
            found = True
            yield f"{new.key}: {count} line{'s' if count != 1 else ''} of {name} {what}"
    if before != now and not found:  # the last line on an output counts
        yield f"{new.key}: the lines of {name} in another order"


def _both(old: Unit, new: Unit) -> dict[str, tuple[Case, Case]]:
    """The cases that both sides have, by id."""
    now = {case.id: case for case in new.cases}
    return {case.id: (case, now[case.id]) for case in sorted(old.cases, key=lambda case: case.id) if case.id in now}


def _marks(old: Unit, new: Unit, looser: bool) -> Iterator[str]:
    """Which cases lost or got a mark, as far as that is looser, or stricter."""
    for name, lost_is_looser in (("critical", True), ("unstable", False)):
        for lost in (True, False):
            which = [
                case for case, (was, now) in _both(old, new).items()
                if (getattr(was, name), getattr(now, name)) == (lost, not lost)
            ]  # fmt: skip
            if which and (lost == lost_is_looser) == looser:
                yield f"{new.key}: the {name} mark of {_cases(which)} {'dropped' if lost else 'set'}"


def _cases(ids: Sequence[str]) -> str:
    return f"{len(ids)} case{'s' if len(ids) != 1 else ''} ({listed(ids)})"


def _baselines(old: Rules, new: Rules, records: Mapping[str, str]) -> Iterator[str]:
    """Yield baselines that are gone, or differ on a case that both sides have with the same question."""
    for name, path in _files(old.baselines).items():
        unit = unit_of_file(name)
        if unit not in new.units:
            continue  # reported as a unit that is gone
        if not (new.baselines / name).is_file():
            yield f"{unit}: its baseline is gone ({name})"
            continue
        try:
            was, now = read_baseline(path, unit), read_baseline(new.baselines / name, unit)
        except Refused:
            yield f"{unit}: its baseline ({name}) cannot be read on one side"  # the decision says why
            continue
        is_compared = _is_other_configuration(was, now) and records.get(unit) == now.digest and not now.is_supplied
        yield from () if is_compared else _baseline_changes(was, now, name)
        yield from _disarmed(was, now, old.units.get(unit))


def _in_service_on_both(
    old: tuple[Rules, Ledger], new: tuple[Rules, Ledger], units: Iterable[str]
) -> Iterator[tuple[Baseline, Baseline]]:
    """Yield the record in service before a change and the one with it, of units that have both."""
    for unit in units:
        events = ((rules, ledger.in_service(unit)) for rules, ledger in (old, new))
        was, serves = (stored_record(rules.baselines, unit, event) if event else None for rules, event in events)
        if was and serves:
            yield was, serves


def _same_again(was: Baseline, serves: Baseline, name: Path) -> Iterator[str]:
    """Yield how a record in service differs from one of the same configuration, wherever its file is."""
    # digests identify a model, but only a name identifies supplied outputs
    return _baseline_changes(was, serves if serves.is_supplied else replace(serves, subject=was.subject), name)


def _lost_outputs(old: Rules, new: Rules) -> Iterator[str]:
    """Yield the outputs that the ledger keeps, of the anchor and of earlier releases, and that are gone or edited."""
    for path in sorted((old.baselines / LEDGER / OUTPUTS).glob("*.json")):
        kept = new.baselines / LEDGER / OUTPUTS / path.name
        if not kept.is_file() or file_digest(kept) != file_digest(path):
            how = "edited" if kept.is_file() else "gone"
            yield f"the ledger: the outputs of an earlier record are {how} ({path.name})"


def _unchecked_anchors(
    old: tuple[Rules, Ledger], new: tuple[Rules, Ledger], events: Sequence[Event], records: Mapping[str, str]
) -> Iterator[str]:
    """Yield the units of which a change leaves no case with its anchor, or moves the anchor of a case.

    That happens where a change edits all cases of a unit, or brings an event of an earlier time.
    """
    approved = {unit for event in events if event.kind == "anchored" for unit in event.files}  # or not, by its line
    for unit in (new[0].units[key] for key in records if key in new[0].units):
        was, now = (_firsts(rules, ledger, unit) for rules, ledger in (old, new))
        has_anchor = bool(old[1].anchors(unit.key)) and not unit.traffic
        moved = sorted({now[case].digest for case in was.keys() & now.keys() if now[case].digest != was[case].digest})
        if has_anchor and not was and unit.key not in approved:
            yield (
                f"{unit.key}: no case of the anchor is left as it was: a record of this change would be the anchor of "
                "its cases"
            )
        elif moved and unit.key not in approved:
            yield f"{unit.key}: the anchor of its cases would be another record ({moved[0][:8]})"


def _firsts(rules: Rules, ledger: Ledger, unit: Unit) -> dict[str, Baseline]:
    """The record that is the anchor of each case of a unit."""
    return {case: each for each in first_records(rules.baselines, ledger, unit) for case in each.results}


def _earlier_records(new: Rules, ledger: Ledger, events: Sequence[Event], records: Mapping[str, str]) -> list[Baseline]:
    """Return the records of a change that its own later ones replace, on the cases whose anchor they would be."""
    brought = {(unit, sha) for event in events if event.kind == "serves" for unit, sha in event.files.items()}
    asked = [unit for unit in new.units.values() if unit.key in records]
    return anchors_among(new.baselines, ledger, asked, brought - set(records.items()))


def _is_other_configuration(was: Baseline, now: Baseline) -> bool:
    return (_model(was), dict(was.configuration)) != (_model(now), dict(now.configuration))


def _baseline_changes(was: Baseline, now: Baseline, name: Path) -> Iterator[str]:
    where = f"{was.unit}: its baseline ({name})"
    if was.subject != now.subject:
        yield f"{where} was recorded from another model"
    if differs := configuration_differences(was.configuration, now.configuration):
        yield f"{where} was recorded with {', '.join(differs)}"
    if was.engine != now.engine:
        parts = sorted(part for part in {*was.engine, *now.engine} if was.engine.get(part) != now.engine.get(part))
        yield f"{where} was recorded on another engine: {', '.join(parts)}"
    other = [case for case in sorted(was.results.keys() & now.results.keys())
             if was.results[case] != now.results[case]]  # fmt: skip
    if other:
        yield f"{where} holds other outputs or scores of {_cases(other)}"


def _disarmed(was: Baseline | None, now: Baseline, unit: Unit | None) -> Iterator[str]:
    """Critical cases of the older rules that do not count, as the baseline says, for the first time, that they flip."""
    known, said = (set(each.noise.flips if each and each.noise else ()) for each in (was, now))
    critical = {case.id for case in unit.cases if case.critical} if unit else set()
    if disarmed := sorted(critical & said - known):
        yield f"{now.unit}: {_cases(disarmed)}, critical, said to flip by themselves from now on, so not armed"


def _new_baselines(old: Rules, new: Rules) -> Iterator[str]:
    """What new baselines disarm, and those of a known model, by its digests, under another name that say otherwise."""
    there = _files(old.baselines)
    for name, path in _files(new.baselines).items():
        if name in there:
            continue
        unit = unit_of_file(name)
        with suppress(Refused):  # the decision says why
            now = read_baseline(path, unit)
            others = [old_path for old_name, old_path in there.items() if old_name.parts[1:] == name.parts[1:]]
            was = _same_model(now, others)
            yield from _baseline_changes(was, replace(now, subject=was.subject), name) if was else ()
            yield from _disarmed(was, now, old.units.get(unit))


def _same_model(baseline: Baseline, others: Sequence[Path]) -> Baseline | None:
    """Return the first of other baselines of the unit that is of the same configuration, by its digests."""
    # supplied outputs have no digest: their name, a setting, is all that there is
    if not baseline.subject.get("base"):
        return None
    for path in others:
        with suppress(Refused):  # the decision says why
            if not _is_other_configuration(found := read_baseline(path, baseline.unit), baseline):
                return found
    return None


def _model(baseline: Baseline) -> tuple[str | None, ...]:
    return *who(baseline.subject), baseline.subject.get("rung")


def _events(events: Iterable[Event]) -> Iterator[str]:
    """Yield the ledger events of the change that later candidates are compared by."""
    for event in events:
        if event.kind in COMPARED_BY and event.kind != "serves":  # a record has lines of its own
            yield f"the ledger: {render_event(event)}"


def _files(baselines: Path) -> dict[Path, Path]:
    """The baselines of all models, by their path from there; releases and the ledger have guards of their own."""
    found = {path.relative_to(baselines): path for path in sorted(baselines.glob("*/*/*.json"))}
    return {
        name: path for name, path in found.items()
        if not name.name.endswith(".released.json") and name.name != DIAGNOSIS and name.parts[0] != LEDGER
    }  # fmt: skip


def unit_of_file(name: Path) -> str:
    """Return the unit of a baseline, by its path in the folder of baselines."""
    return "/".join(name.with_suffix("").parts[1:])


def _added(old: Rules, new: Rules) -> Iterator[str]:
    known = {task.name for task in old.tasks}
    for task in new.tasks:
        if task.name not in known:
            yield f"{task.name}: new rules: a task of {len(task.units)} units, decided only by this change"
    for key, unit in new.units.items():
        if key not in old.units:
            if unit.task in known:
                yield f"{key}: a new unit of {len(unit.cases)} cases"
            continue
        more = sorted({case.id for case in unit.cases} - {case.id for case in old.units[key].cases})
        if more and not (unit.traffic and old.units[key].traffic):
            yield f"{key}: {_cases(more)} added"
        known = {case.id for case in unit.cases} - {*new.unrecorded.get(key, ())}
        if recorded := sorted(known & {*old.unrecorded.get(key, ())}):
            yield f"{key}: {_cases(recorded)} recorded for the first time"
        if ids := new.unrecorded.get(key):
            how = "left out until recorded, after the merge: tunegate record --added"
            yield f"{key}: {_cases(ids)} without a recorded output: {how}"
        yield from _marks(old.units[key], unit, looser=False)
        if terms := policy_changes(old.policies[key], new.policies[key], looser=False):
            yield f"{key}: task.yaml is stricter: {', '.join(terms)}"
    yield from (f"{unit_of_file(name)}: a new baseline ({name})" for name in _new_files(old, new))


def _other_files(old: Rules, new: Rules) -> list[Path]:
    """The baselines that only the new side has, or has otherwise."""
    there = _files(old.baselines)
    here = _files(new.baselines).items()
    return [name for name, path in here if name not in there or file_digest(there[name]) != file_digest(path)]


def _new_files(old: Rules, new: Rules) -> list[Path]:
    """The baselines that only the new side has."""
    return sorted(_files(new.baselines).keys() - _files(old.baselines))
