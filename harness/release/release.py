"""Release an adapter: every output scored again, the verdict computed again, and only then the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined, UndefinedError

from tunegate.harness.baselines.diff import NAMES, question_differences
from tunegate.harness.baselines.journal import undo_cut_off
from tunegate.harness.baselines.ledger import opening_numbers, read_ledger, who
from tunegate.harness.baselines.lookup import baseline_references, engine_notes, release_notes
from tunegate.harness.baselines.recording import write_baselines
from tunegate.harness.baselines.releases import check_not_withdrawn, released_adapter
from tunegate.harness.baselines.repeats import check_repeats
from tunegate.harness.baselines.store import state
from tunegate.harness.core.errors import Refused, TunegateError, show_path
from tunegate.harness.core.escaping import shown, shown_in_json, shown_in_markdown
from tunegate.harness.core.files import json_text
from tunegate.harness.core.formatting import difference, level, listed, rates
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.eligibility import check_eligibility
from tunegate.harness.evaluation.engines import ask_here, is_elsewhere
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.evaluation.rescoring import rescored_units, score_again
from tunegate.harness.fixtures.loader import load_tasks
from tunegate.harness.fixtures.model import Task, Unit
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.adapters import (
    TRAINING,
    adapter_digest,
    check_named_base,
    training_record,
)
from tunegate.harness.models.api import Fingerprint, Model
from tunegate.harness.models.prompts import CONSTRAINED, TRAINED
from tunegate.harness.models.resolve import identify, resolve
from tunegate.harness.parity.result import read_artefacts, with_section
from tunegate.harness.release.asking import ask_again
from tunegate.harness.release.manifest import CARD, MANIFEST, RECORD, foreign_files, make_manifest

PARTS = ("base", "tokenizer", "template")  # of a model without an adapter
OpenModel = Callable[[Path | None], Model]


class Unproven(TunegateError):
    """Nothing is wrong with it, and no gain is proven: judged, and blocked."""

    exit_code = 1


@dataclass(frozen=True)
class Released:
    """What a release wrote; `notes` tell which outputs another version of a check had scored."""

    manifest: Path
    card: Path
    files: tuple[str, ...]
    record: Record
    notes: tuple[str, ...] = ()


def find_record(runs: Path, adapter: str) -> Record:
    """The newest complete run that judged this adapter (by digest) against its baseline.

    Raises:
        Refused: there is none.
    """
    for path in sorted(runs.glob("*.json"), reverse=True):
        record = _readable(path)
        if record and record.fingerprint["subject"].get("adapter") == adapter and _is_gated(record):
            return record
    raise Refused(
        f"expected a complete run of this adapter against its baseline under {show_path(runs)}, found none; "
        "run: pytest fixtures/ --tg-adapter=DIR --tg-against baseline"
    )


def _readable(path: Path) -> Record | None:
    try:
        return read_record(path)
    except Refused:
        return None  # an older version's: not what is looked for


def _is_gated(record: Record) -> bool:
    references = {verdict["reference"] for verdict in record.verdicts.values()}
    # one that was compared with a record shows nothing of the baseline
    return bool(references) and references <= {"baseline", "last release"} and not record.partial


def release_adapter(
    adapter: Path, record: Record, cases: Path, baselines: Path, watch: Watch, open_model: OpenModel
) -> Released:
    """Release `adapter` on the strength of `record` and of what it answers now; writes nothing unless all of it holds.

    Args:
        adapter: its folder, with nothing in it but what the trainer and an earlier release wrote.
        record: a complete run of it against the baseline.
        cases: the folder of fixtures.
        baselines: the folder of baselines.
        watch: shows the progress.
        open_model: the base that was judged, with an adapter or without one.

    Raises:
        Refused: names what is missing, what differs, or what blocks.
        Unproven: other adapters were asked the target's cases before.
        CouldNotRun: the model cannot be asked.
    """
    undo_cut_off(baselines)
    digest = adapter_digest(adapter)
    tasks = load_tasks(cases)
    _check_folder(adapter)
    _check_record(record, digest)
    training = _training(adapter, digest, record)
    _check_fixtures(record, tasks, training["task"])
    units = [unit for task in tasks for unit in task.units]
    # taken first: what another release writes while this one judges is then not overwritten
    seen = state(baselines, str(record.fingerprint["subject"]["model"]), units, released=True)
    fingerprint = Fingerprint(
        record.fingerprint["subject"], record.fingerprint["engine"], record.fingerprint.get("names", {})
    )
    model = training["recipe"]["model"]
    [trained] = (task for task in tasks if task.name == training["task"])
    check_eligibility(baselines, trained, record.fingerprint["subject"], training["diagnosis"], model)
    ledger = read_ledger(baselines)
    check_not_withdrawn(ledger, [task.name for task in tasks], record.fingerprint["subject"])
    references = baseline_references(baselines, tasks, units, fingerprint, model)
    check_repeats(references, units, record.repeats)
    # Scores and verdicts are only what files say, whichever side they are on: both are computed again. And how many
    # adapters were asked before this one, the ledger knows.
    numbers = opening_numbers(ledger, units, who(record.fingerprint["subject"]))
    again = score_again(units, replace(record, openings=numbers), _name(record), watch)
    scored = {name: score_again(units, each, f"the {name}", watch) for name, each in references.items()}
    compared = {name: each.record for name, each in scored.items()}
    compared, engines = _on_one_engine(record, compared, units, baselines, open_model, watch)
    decided = gate.compare(tasks, replace(again.record, engines=engines), compared, [training["task"]])
    _check_decision(decided, record, tasks)
    # And outputs are only what files say: both sides are asked again.
    sides = {"adapter": adapter, next(iter(references)): None}
    models = {name: open_model(folder) for name, folder in sides.items() if name not in engines}
    _check_models(models, fingerprint, _name(record))
    _check_base_name(adapter, model, models["adapter"].fingerprint)
    now, compared, asked = ask_again(tasks, again.record, compared, [training["task"]], models, watch)
    _check_decision(gate.compare(tasks, now, compared, [training["task"]]), None, tasks)
    _check_as_begun(adapter, digest, tasks, cases)
    decided = replace(decided, rescored=rescored_units({"run": again, **scored}))
    openings = [numbers[unit.key] for unit in units if unit.sealed]
    about = {"asked": asked.line(), "sealed": {"others": max(openings) - 1} if openings else {}}
    done = _write(adapter, digest, training, replace(decided, created=record.created), baselines, units, seen, about)
    notes = [
        *again.notes(_name(record)), *(line for name, each in scored.items() for line in each.notes(f"the {name}")),
        *engine_notes(references, fingerprint), *release_notes(references, record.fingerprint["subject"]),
    ]  # fmt: skip
    return replace(done, notes=(*notes, asked.line()))


def _on_one_engine(
    record: Record,
    references: Mapping[str, Record],
    units: Sequence[Unit],
    baselines: Path,
    open_model: OpenModel,
    watch: Watch,
) -> tuple[dict[str, Record], dict[str, Any]]:
    """The references, those of another engine asked again on that of the record: all their cases, past every cache."""
    expected, models = Fingerprint(record.fingerprint["subject"], record.fingerprint["engine"]), dict[str, Model]()
    for name, each in references.items():
        if is_elsewhere(each, expected):
            sha = each.fingerprint["subject"].get("adapter")
            models[name] = open_model(released_adapter(baselines, each, watch) if sha else None)
            same = replace(expected, subject={**expected.subject, "adapter": sha})
            _check_models({name: models[name]}, same, _name(record))
    return ask_here(references, models, units, watch, sealed=True)


def _check_folder(adapter: Path) -> None:
    """What is delivered is the folder, so nothing may be in it that the manifest does not list."""
    if foreign := foreign_files(adapter):
        raise Refused(
            f"{show_path(adapter)}: expected an adapter and what was written about it, found {listed(foreign)} too; "
            "move that elsewhere: what is released is the folder"
        )


def _check_models(models: Mapping[str, Model], expected: Fingerprint, name: str) -> None:
    """The models that are asked are those that were judged, by the same means."""
    for model in models.values():
        found, without = model.fingerprint, {"adapter"} if model.fingerprint.subject.get("adapter") is None else set()
        for part, ours, theirs in (
            ("model", found.subject, expected.subject), ("engine", found.engine, expected.engine)
        ):  # fmt: skip
            keys = {*ours, *theirs} - without
            if differ := sorted(key for key in keys if ours.get(key) != theirs.get(key)):
                raise Refused(
                    f"{name}: expected to ask the {part} that was judged, found another {', '.join(differ)}; name it "
                    "with --model, --device, --dtype and --chat-template, or judge again here"
                )


def _check_base_name(adapter: Path, name: str, asked: Fingerprint) -> None:
    """Who loads the adapter elsewhere finds its base by the name that it was trained on: it has to be the one asked."""
    check_named_base(adapter, name)
    if name == asked.names["model"]:
        return
    try:
        found = identify(name, resolve(name))
    except TunegateError as error:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which is not found here, and "
            f"{asked.names['model']} was asked; name the base as it does: --model={name}"
        ) from error
    if {part: getattr(found, part) for part in PARTS} != {part: asked.subject[part] for part in PARTS}:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which is another one than was judged; train it "
            "again on the right one"
        )


def _check_as_begun(adapter: Path, digest: str, tasks: Sequence[Task], cases: Path) -> None:
    """What was judged is what is released: nobody changed it while it was asked."""
    if adapter_digest(adapter) != digest or foreign_files(adapter):
        raise Refused(f"{show_path(adapter)}: it changed while it was judged; nothing is released, release it again")
    now = load_tasks(cases)
    if [(task.policies, [unit.questions for unit in task.units]) for task in tasks] != [
        (task.policies, [unit.questions for unit in task.units]) for task in now
    ]:
        raise Refused(f"{show_path(cases)}: the fixtures changed meanwhile; nothing is released, judge it again")


def _check_record(record: Record, digest: str) -> None:
    name, found = _name(record), record.fingerprint["subject"].get("adapter")
    if record.partial:
        raise Refused(f"{name}: expected a complete record, found a partial one; judge without -k")
    if record.is_supplied:
        raise Refused(f"{name}: its outputs were supplied, not generated: they are gated, and never released")
    if record.rung not in TRAINED:
        raise Refused(
            f"{name}: judged on the rung {record.rung}, and what is released is served with the prompt that it was "
            "trained on; judge it without --tg-rung, or with --tg-rung=constrained"
        )
    if found != digest:
        other = f"that of {str(found)[:8]}" if found else "that of a model without an adapter"
        raise Refused(f"{name}: expected the record of this adapter ({digest[:8]}), found {other}; judge this one")


def _name(record: Record) -> str:
    return show_path(record.path) if record.path else "the record"


def _training(adapter: Path, digest: str, record: Record) -> dict[str, Any]:
    training = training_record(adapter)
    where = show_path(adapter)
    if training is None:
        raise Refused(f"{where}: expected a training record ({TRAINING}), found none; tunegate train writes it")
    if training["adapter"] != digest:
        raise Refused(f"{where}: expected the adapter its training record describes, found another one; train it again")
    for part in PARTS:
        if training["model"].get(part) != record.fingerprint["subject"].get(part):
            name = NAMES.get(part, part)
            raise Refused(
                f"{where}: it was trained on another {name} than the one that was judged; judge it on its own"
            )
    return training


def _check_fixtures(record: Record, tasks: Sequence[Task], trained: str) -> None:
    name = _name(record)
    if trained not in {task.name for task in tasks}:
        raise Refused(f"{trained}: expected the task it was trained for among the fixtures, found none of that name")
    if gone := sorted(record.units.keys() - {unit.key for task in tasks for unit in task.units}):
        raise Refused(f"{name}: {', '.join(gone)} is not among the fixtures (deleted? renamed?); judge it again")
    for task in tasks:
        if not task.policy.declared:
            raise Refused(
                f"{task.name}: expected a task.yaml that names its targets, found none; nothing to release for"
            )
        for unit in task.units:
            if unit.sealed and not record.sealed:
                raise Refused(f"{unit.key}: sealed units must be judged before a release; run again with --tg-sealed")
            if differs := question_differences(
                record.questions.get(unit.key, {}), unit.questions, unit, record.of_unit(unit.key)
            ):
                what = ", ".join(differs)
                raise Refused(f"{unit.key}: the fixtures changed since {name} was judged ({what}); judge it again")
        for key, policy in task.policies.items():
            if record.policies.get(key) != policy:
                raise Refused(f"{key}: task.yaml changed since {name} was judged; judge it again")


def _check_decision(decided: Record, record: Record | None, tasks: Sequence[Task]) -> None:
    for name in dict.fromkeys([*(task.name for task in tasks), *decided.tasks]):
        decision = decided.tasks.get(name)
        if decision is None or decision["decision"] != "release":
            asked = "" if record else "Asked again: "
            why = decision["reason"] if decision else "It could not be decided."
            error = Unproven if decision and decision["decision"] == "unproven" else Refused
            raise error(f"{name}: not released. {asked}{why}")
    if record is None:
        return
    verdicts = [{key: each["verdict"] for key, each in every.verdicts.items()} for every in (decided, record)]
    differ = sorted(key for key in verdicts[0] | verdicts[1] if verdicts[0].get(key) != verdicts[1].get(key))
    if differ:
        raise Refused(
            f"computed again, the verdicts of {', '.join(differ)} are not those of {_name(record)}: "
            "a baseline or a task.yaml changed since; judge it again"
        )


def _write(
    adapter: Path,
    digest: str,
    training: Mapping[str, Any],
    decided: Record,
    baselines: Path,
    units: Sequence[Unit],
    seen: Mapping[str, str | None],
    about: Mapping[str, Any],
) -> Released:
    artefacts = read_artefacts(adapter, digest, decided)
    card = with_section(_card(adapter.resolve().name, training, decided, about), artefacts)
    record = json_text(decided.as_dict())
    folder = adapter.resolve()
    manifest = json_text(make_manifest(adapter, digest, training, decided, {RECORD: record, CARD: card}))
    texts = {folder / RECORD: record, folder / CARD: card, folder / MANIFEST: manifest}
    slug = str(decided.fingerprint["subject"]["model"])
    notes = write_baselines(baselines, slug, decided, units, seen, released=folder, more=texts)
    return Released(adapter / MANIFEST, adapter / CARD, tuple(notes), replace(decided, path=adapter / RECORD))


def _card(name: str, training: Mapping[str, Any], decided: Record, about: Mapping[str, Any]) -> str:
    environment = Environment(  # noqa: S701  (Markdown, not HTML: every value goes through `_in_card`)
        loader=PackageLoader(__package__), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
        finalize=_in_card,
    )  # fmt: skip
    environment.filters |= {"level": level, "json": _in_head, "metric_args": _metric_args}
    environment.globals |= {"difference": _difference, "rates": rates}
    try:
        return environment.get_template("model_card.md.j2").render(
            name=name, training=training, task=training["task"], model=training["model"], units=decided.units,
            verdicts=decided.verdicts, reason=decided.tasks[training["task"]]["reason"],
            constrained=decided.rung in CONSTRAINED, **about,
        )  # fmt: skip
    except UndefinedError as error:
        raise Refused(
            f"{TRAINING}: expected a training record that the model card can tell of, found {error}"
        ) from None


class _AsItIs(str):
    """A text that stands in the card as it is."""

    __slots__ = ()


def _in_head(value: Any) -> _AsItIs:
    """A value of the card's head, which is YAML: JSON is, too."""
    return _AsItIs(shown_in_json(json.dumps(value)))


def _metric_args(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What the head of the card says of a verdict, beside the score."""
    return {key: verdict[key] for key in ("verdict", "reference", "base", "difference", "interval", "margin")}


def _difference(*numbers: Any) -> _AsItIs:
    return _AsItIs(difference(*numbers))  # its brackets are no links


def _in_card(value: Any) -> Any:
    """What stands in the card for a value of the template."""
    if isinstance(value, Undefined | _AsItIs):
        return value
    return shown_in_markdown(str(value))
