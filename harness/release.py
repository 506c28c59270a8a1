"""Release an adapter: every output judged again, the verdict computed again, and only then the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness import gate
from harness.adapters import CONFIG, TRAINING, WEIGHTS, adapter_digest, training_record
from harness.baselines import as_reference, baseline_path, matching, read_baseline, write_baselines
from harness.cases import Task, Unit, load_tasks
from harness.errors import Refused, show_path
from harness.files import file_digest, write_atomically, write_json
from harness.judge import judge
from harness.progress import Watch
from harness.record import Record, read_record, results_of
from harness.replay import Replay
from harness.subject import Answer, Identity
from harness.words import percent, points

MANIFEST, RECORD, CARD = "release.json", "record.json", "README.md"
RELEASED = (WEIGHTS, CONFIG, TRAINING, RECORD, CARD)


@dataclass(frozen=True)
class Released:
    """What a release wrote."""

    manifest: Path
    card: Path
    files: tuple[str, ...]
    record: Record


def find_record(runs: Path, adapter: str) -> Record:
    """The newest complete run that judged this adapter (by digest) against its baseline.

    Raises:
        Refused: there is none.
    """
    for path in sorted(runs.glob("*.json"), reverse=True):
        record = read_record(path)
        if record.identity["subject"].get("adapter") == adapter and record.verdicts and not record.partial:
            return record
    raise Refused(
        f"expected a complete run of this adapter against its baseline under {show_path(runs)}, found none; "
        "run: pytest suites/ --adapter=DIR --against baseline"
    )


def release(adapter: Path, record: Record, cases: Path, baselines: Path, watch: Watch) -> Released:
    """Release `adapter` on the strength of `record`; writes nothing unless everything holds.

    Raises:
        Refused: names what is missing, what differs, or what blocks.
    """
    digest = adapter_digest(adapter)
    training = _training(adapter, digest, record)
    tasks = load_tasks(cases)
    _check_complete(record, digest, tasks)
    units = [unit for task in tasks for unit in task.units]
    again = _judge_again(record, units, watch)
    decided = gate.compare(tasks, again, _references(record, baselines, units), [training["task"]])
    _check_decision(decided, record, tasks, training["task"])
    return _write(adapter, digest, training, record, decided, baselines, units)


def _training(adapter: Path, digest: str, record: Record) -> dict[str, Any]:
    training = training_record(adapter)
    if training is None:
        raise Refused(
            f"{show_path(adapter)}: expected a training record ({TRAINING}), found none; tunegate train writes it"
        )
    if training.get("adapter") != digest:
        raise Refused(f"{show_path(adapter)}: expected the adapter its training record describes, found another one")
    for part in ("base", "tokenizer", "template"):
        if training["model"][part] != record.identity["subject"].get(part):
            raise Refused(f"{show_path(adapter)}: it was trained on another {part} than the one that was judged")
    return training


def _check_complete(record: Record, digest: str, tasks: Sequence[Task]) -> None:
    name = show_path(record.path) if record.path else "the record"
    if record.partial:
        raise Refused(f"{name}: expected a complete record, found a partial one; judge without -k")
    if record.identity["subject"].get("adapter") != digest:
        raise Refused(
            f"{name}: expected the record of this adapter ({digest[:8]}), found another one's; judge it again"
        )
    for task in tasks:
        if not task.policy.declared:
            raise Refused(
                f"{task.name}: expected a task.yaml that names its targets, found none; nothing to release for"
            )
        for unit in task.units:
            if unit.sealed and not record.sealed:
                raise Refused(f"{unit.key}: sealed units must be judged before a release; run again with --sealed")
            if record.questions.get(unit.key) != unit.questions:
                raise Refused(f"{unit.key}: the fixtures changed since {name} was judged; judge it again")


def _judge_again(record: Record, units: Sequence[Unit], watch: Watch) -> Record:
    answers = {
        (key, repeat): Answer(key, each.output, each.tokens_in, each.tokens_out, None,
                              "length" if each.finish == "length" else "stop", repeat, each.generation)
        for key, repeat, each in results_of(record)
    }  # fmt: skip
    identity = Identity(record.identity["subject"], record.identity["engine"], record.identity.get("names", {}))
    repeats = max((repeat for _, repeat in answers), default=0) + 1
    again = judge(units, Replay(answers, identity), watch, repeats, sealed=record.sealed)
    differ = [key for key, result in again.cases.items() if result.score != record.cases[key].score]
    if differ:
        raise Refused(
            f"judged again, {len(differ)} cases score otherwise than the record says ({', '.join(differ[:3])})"
        )
    return again


def _references(record: Record, baselines: Path, units: Sequence[Unit]) -> dict[str, Record]:
    subject, engine = record.identity["subject"], record.identity["engine"]
    slug = str(subject["model"])
    found = matching(baselines, slug, units, subject, engine)
    paths = {unit.key: baseline_path(baselines, slug, unit.key, released=True) for unit in units}
    last = [read_baseline(path, key) for key, path in paths.items() if path.exists()]
    last = [each for each in last if each.subject.get("adapter") != subject.get("adapter")]
    return {"baseline": as_reference(found)} | ({"last release": as_reference(last)} if last else {})


def _check_decision(decided: Record, record: Record, tasks: Sequence[Task], task: str) -> None:
    for name in (each.name for each in tasks):
        decision = decided.tasks.get(name)
        if decision is None or decision["decision"] != "release":
            raise Refused(f"{name}: not released. {decision['reason'] if decision else 'It could not be decided.'}")
    if task not in decided.tasks:
        raise Refused(f"{task}: the task it was trained for is not among the fixtures")
    if {key: each["verdict"] for key, each in decided.verdicts.items()} != {
        key: each["verdict"] for key, each in record.verdicts.items()
    }:
        raise Refused(
            "computed again, the verdicts differ from the record's: baseline or policy changed; judge it again"
        )


def _write(
    adapter: Path,
    digest: str,
    training: Mapping[str, Any],
    record: Record,
    decided: Record,
    baselines: Path,
    units: Sequence[Unit],
) -> Released:
    replace(decided, created=record.created).write(adapter / RECORD)
    write_atomically(adapter / CARD, _card(adapter.name, training, decided))
    slug = str(record.identity["subject"]["model"])
    notes = write_baselines(baselines, slug, replace(decided, adapter=None), units, released=True)
    manifest = {
        "schema_version": 1,
        "adapter": digest,
        "model": training["model"],
        "task": training["task"],
        "decision": dict(decided.tasks[training["task"]]),
        "verdicts": {unit: verdict["verdict"] for unit, verdict in decided.verdicts.items()},
        "files": {name: file_digest(adapter / name) for name in RELEASED},
    }
    write_json(adapter / MANIFEST, manifest)
    return Released(adapter / MANIFEST, adapter / CARD, tuple(notes), decided)


def _card(name: str, training: Mapping[str, Any], decided: Record) -> str:
    environment = Environment(  # noqa: S701  (Markdown, not HTML)
        loader=PackageLoader("harness"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"percent": percent, "points": points}
    task = training["task"]
    return environment.get_template("model_card.md.j2").render(
        name=name, training=training, task=task, model=training["model"], units=decided.units,
        verdicts=decided.verdicts, reason=decided.tasks[task]["reason"],
    )  # fmt: skip


def verify(adapter: Path) -> list[str]:
    """Check a released adapter's digests again, on any machine, without torch; a line for each thing checked.

    Raises:
        Refused: no manifest, or anything differs from it.
    """
    path = adapter / MANIFEST
    if not path.is_file():
        raise Refused(f"{show_path(path)}: expected a release manifest, found none; release it with tunegate release")
    manifest = _manifest(path)
    wrong = [name for name, sha in manifest["files"].items() if not _is(adapter / name, sha)]
    missing = sorted(set(RELEASED) - set(manifest["files"]))
    if wrong or missing:
        raise Refused(f"{show_path(adapter)}: expected the released files, found others: {', '.join(wrong + missing)}")
    record, training = read_record(adapter / RECORD), training_record(adapter) or {}
    for name, found in (
        ("adapter", adapter_digest(adapter)),
        ("record", record.identity["subject"].get("adapter")),
        ("training record", training.get("adapter")),
    ):
        if found != manifest["adapter"]:
            raise Refused(f"{show_path(adapter)}: the {name} is another adapter's than the manifest's")
    if record.tasks.get(manifest["task"], {}).get("decision") != "release":
        raise Refused(f"{show_path(adapter)}: its record does not say release")
    lines = [f"{name}: {sha[:12]} as released" for name, sha in manifest["files"].items()]
    return [
        *lines,
        f"adapter {manifest['adapter'][:12]} on {manifest['model']['name']}: released for {manifest['task']}",
    ]


def _manifest(path: Path) -> dict[str, Any]:
    import json

    try:
        manifest = dict(json.loads(path.read_text("utf-8")))
        manifest["files"], manifest["adapter"], manifest["model"]["name"], manifest["task"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{show_path(path)}: expected a release manifest, found a damaged file ({error!r})") from error
    return manifest


def _is(path: Path, sha: str) -> bool:
    return path.is_file() and file_digest(path) == sha
