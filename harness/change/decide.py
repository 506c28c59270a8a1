"""The gate on a change: judged by the rules it brings and, under --policy-from, by those that it comes from.

Whoever makes a change could also change what it is judged by. So the fixtures, the policy, the baselines and the
project's own checks are taken from the branch that it is to be merged into as well, the same model is judged by those,
and what the change alters of them is told first and blocks until somebody permits it.
"""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.json_lines import read_json_lines
from tunegate.harness.baselines.ledger import Event, append, read_ledger
from tunegate.harness.baselines.ledger_git import check_contains
from tunegate.harness.baselines.store import read_baseline
from tunegate.harness.checks.registry import own_file
from tunegate.harness.core.errors import Problem, Refused, UsageError, show_path
from tunegate.harness.core.files import file_digest, write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.git import MOST_OF_A_FILE, check_repository, commit_of, write_tree
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import project_table
from tunegate.harness.evaluation.record import Record
from tunegate.harness.fixtures.loader import load_tasks
from tunegate.harness.gate import rule as gate
from tunegate.harness.change.rules import RuleChanges, Rules, rule_changes
from tunegate.harness.models.model_options import REPLAY, split_replay
from tunegate.harness.options.run import Options
from tunegate.harness.options.settings import standing
from tunegate.harness.session import Session

#: Settings that decide. So do the model and how it is computed: one that is called otherwise, or computed otherwise, is
#: held to a baseline that the change brings; and a ledger elsewhere has not seen what was opened here.
RULES = (
    "cases", "baselines", "checks", "inconclusive", "model", "chat-template", "tokenizer",
    "device", "dtype", "attention", "quantization", "ledger-remote",
)  # fmt: skip
HERE = "the rules of this change"


@dataclass(frozen=True)
class RulesVerdict:
    """One model by one set of rules, which has a name where there are two, and which of its units and tasks block."""

    rules: str
    record: Record
    blocks: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        record = self.record
        return {
            "rules": self.rules, "blocks": list(self.blocks), "adapter": record.adapter,
            "model": record.fingerprint["subject"].get("model"),
            "record": show_path(record.path) if record.path else None,
            "digest": file_digest(record.path) if record.path else None, "partial": record.partial,
            "verdicts": {key: verdict["verdict"] for key, verdict in record.verdicts.items()},
            "tasks": {key: dict(decision) for key, decision in record.tasks.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What the gate came to. `permitted` says whether somebody permitted the very alterations that there are.

    `refused` says why something could not be judged; then nothing passes.
    """

    by_rules: tuple[RulesVerdict, ...] = ()
    changes: RuleChanges | None = None
    permitted: bool = False
    notes: tuple[str, ...] = ()
    refused: str = ""

    @property
    def is_altered(self) -> bool:
        """Whether rules were altered, and nobody permitted it."""
        return bool(self.changes and self.changes.altered) and not self.permitted

    @property
    def passes(self) -> bool:
        """Whether nothing blocks."""
        return not (self.is_altered or self.refused or any(each.blocks for each in self.by_rules))

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        changes = self.changes or RuleChanges((), (), "")
        return {
            "passes": self.passes, "refused": self.refused, "altered": list(changes.altered),
            "added": list(changes.added), "permit": changes.permit, "permitted": self.permitted,
            "by_rules": [each.as_dict() for each in self.by_rules], "notes": list(self.notes),
        }  # fmt: skip


def decide_change(
    options: Options, ref: str | None, permit: str | None, watch: Watch, tell: Callable[[Decision], None]
) -> Decision:
    """Judge what `options` name by the rules in the work tree and, with `ref`, by those of a branch or commit as well.

    Args:
        options: the run, against the baseline.
        ref: where the change comes from, such as origin/main; None where nothing but the work tree counts.
        permit: the name of the alterations that somebody has permitted.
        watch: shows progress.
        tell: is given what the change does to the rules, before anything is judged.

    Raises:
        UsageError: there is no such branch or commit.
        Refused: fixtures have mistakes, or the ledger lacks events of `ref`.
        CouldNotRun: a model could not answer.
    """
    if ref is None:
        return _decided_by(Decision(), options, "", watch)
    root = options.root
    check_repository(root, "the project")
    with _project_at(options, commit_of(root, ref, "--policy-from")) as before:
        check_contains(options.baselines, read_ledger(options.baselines), ref)
        if before is None:
            note = f"{ref} has no fixtures: all rules are this change's own"
            return _decided_by(Decision(notes=(note,)), options, HERE, watch)
        older = _rules(before)
        changes = rule_changes(older, _rules(options))
        decision = Decision(changes=changes, permitted=bool(permit) and permit == changes.permit)
        tell(decision)
        _complete_baselines(older, options.baselines)
        # what the change brings first: an opening of sealed cases is then told to the ledger that stays
        decision = _decided_by(decision, options, HERE, watch)
        there = _decided_by(Decision(), _asked_before(before, older), f"the rules of {ref}", watch)
        gone = [replace(each, record=replace(each.record, path=None)) for each in there.by_rules]  # with its folder
        refused = there.refused.replace(f"{before.root}/", f"{ref}:")
        if refused and options.replays and decision.permitted:
            # a file answers one set of questions: whoever permitted the others has seen what is asked now
            return replace(decision, notes=(*decision.notes, f"permitted, so not judged {refused}"))
        every = "\n".join(each for each in (refused, decision.refused) if each)
        return replace(decision, by_rules=(*gone, *decision.by_rules), refused=every)


def _asked_before(before: Options, rules: Rules) -> Options:
    """The older run, without the outputs of cases that only the change has: nothing asks for them there."""
    if not before.replays:
        return before
    name, path = split_replay(before.model)
    known = {case.key for unit in rules.units.values() for case in unit.cases}
    problems: list[Problem] = []
    lines = [line.data for line in read_json_lines(path, "outputs", problems)]
    if problems:
        return before  # whoever reads them says what is wrong
    kept = [line for line in lines if not (isinstance(line, dict) and str(line.get("case")) not in known)]
    target = before.root / path.name
    write_atomically(target, (f"{json.dumps(line)}\n" for line in kept))
    return replace(before, model=f"{REPLAY}{name}{'=' if name else ''}{target}")


def _decided_by(decision: Decision, options: Options, rules: str, watch: Watch) -> Decision:
    """The decision with what these rules make of it."""
    try:
        session = Session(options)
        session.select([], session.units())
        session.execute(watch)
    except Refused as error:
        return replace(decision, refused=f"by {rules}: {error}" if rules else str(error))
    evaluated = tuple(RulesVerdict(rules, record, blocking(session, record)) for record in session.records)
    return replace(decision, by_rules=evaluated, notes=(*decision.notes, *session.notes))


def blocking(session: Session, record: Record) -> tuple[str, ...]:
    """What fails the gate: units and tasks that block, and every one that has no verdict."""
    soft = gate.excused(record, session.options.inconclusive)
    units = [unit.key for unit in session.units()]
    verdicts = record.verdicts
    blocking = [key for key in units if key not in verdicts or gate.unit_blocked(key, verdicts[key], soft)]
    tasks = [task.name for task in session.tasks if session.units(task=task.name)]
    vanished = [key for key, verdict in record.verdicts.items() if key not in units and verdict["blocks"]]
    undecided = [name for name in tasks if name not in record.tasks or gate.task_blocked(record.tasks[name], soft)]
    return (*blocking, *vanished, *undecided)


def _rules(options: Options) -> Rules:
    table = project_table(options.root)
    settings = {name: str(table[name]) for name in RULES if name in table}
    if template := settings.get("chat-template"):  # what it says decides; of 8 digits one could find another
        path = options.root / template
        settings["chat-template"] += f" ({file_digest(path)[:32] if path.is_file() else 'no file'})"
    return Rules(load_tasks(options.cases), options.baselines, settings, own_file(options.cases))


@contextmanager
def _project_at(options: Options, commit: str) -> Iterator[Options | None]:
    """The same run in the project as it was at a commit, in a folder of its own; None where it had no fixtures."""
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made:
        home = Path(made).resolve()
        left = [home / path for path in write_tree(options.root, commit, home)]
        before = _moved(options, home)
        # what is not there would pass for what the change adds, and that is not judged by the older rules
        if odd := [path for path in left if any(path in (rule, *rule.parents) or rule in path.parents
                                                for rule in (before.cases, before.baselines))]:  # fmt: skip
            names = listed([path.relative_to(home).as_posix() for path in odd])
            raise Refused(
                f"--policy-from: expected fixtures and baselines that are files of at most "
                f"{MOST_OF_A_FILE // 2**20} MB at that commit, found links, submodules or larger ones: {names}"
            )
        yield before if before.cases.is_dir() else None


def _moved(options: Options, home: Path) -> Options:
    """The run with the rules of the project in another folder: its settings, where the command line is silent."""
    here, there = standing(options.root), standing(home)
    moved: dict[str, Any] = {}
    for name in ("cases", "baselines"):
        given: Path = getattr(options, name)
        stands = given.resolve() == here[name].resolve()
        moved[name] = there[name] if stands else _below(options.root, given, home)
    inconclusive = there["inconclusive"] if options.inconclusive == here["inconclusive"] else options.inconclusive
    return replace(options, root=home, out=None, ledger_remote=None, inconclusive=inconclusive, **moved)


def _below(root: Path, path: Path, home: Path) -> Path:
    try:
        return home / path.resolve().relative_to(root.resolve())
    except ValueError:
        raise UsageError(
            f"{show_path(path)}: expected it in the project, {show_path(root)}, so that --policy-from finds it at that "
            "commit, found it elsewhere"
        ) from None


def _complete_baselines(rules: Rules, now: Path) -> None:
    """Give the older rules the baselines that they lack: of a new base model, or of a unit that had none."""
    for key, unit in rules.units.items():
        for path in sorted(now.glob(f"*/{glob.escape(key)}.json")):
            target = rules.baselines / path.relative_to(now)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                found = read_baseline(target, key)
                append(rules.baselines, Event("recorded", unit.task, found.subject, files={key: found.digest}))
