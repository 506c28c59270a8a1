"""The gate on a change: evaluated by its own rules and, under --policy-from, by those of the branch.

The author of a change could also change the rules of its evaluation. So the cases, policies, baselines and the
project's own checks are taken from the branch that it is to be merged into as well; the change's configuration (model,
prompts, decoding) is evaluated by those, and rule changes are listed first and block until a reviewer approves them.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.json_lines import read_json_lines
from tunegate.harness.baselines.store import read_baseline
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.change.candidate import (
    SETTINGS,
    ConfigurationChange,
    address,
    configuration_changes,
    untrue_records,
)
from tunegate.harness.change.code import code_of_checks, holding_unchanged, runs_code
from tunegate.harness.change.leaks import chat_template_text, leaks_in_prompts
from tunegate.harness.change.rules import RuleChanges, Rules, approval_digest, has_new_code, new_project, rule_changes
from tunegate.harness.change.trees import check_inside, keep_importable, lay_work_tree, projects_at, tree_digest
from tunegate.harness.checks.isolated import IsolatedChecks
from tunegate.harness.checks.registry import declared_checks, isolating_checks, own_file
from tunegate.harness.core.errors import Problem, Refused, UsageError, show_path
from tunegate.harness.core.files import file_digest, write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.git import MOST_OF_A_FILE, check_repository, commit_of, git, write_tree
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import PROJECT, project_table
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.runs import RUNS
from tunegate.harness.gate import rule as gate
from tunegate.harness.ledger.ledger import Event, append, read_ledger
from tunegate.harness.ledger.ledger_git import check_contains
from tunegate.harness.models.model_options import REPLAY, is_server, split_replay
from tunegate.harness.options.anew import counting
from tunegate.harness.options.run import Branch, Options
from tunegate.harness.options.settings import standing
from tunegate.harness.session.run import Session

#: Settings that are rules: what is compared, how a model runs, and the ledger, which elsewhere has not counted the
#: evaluations of sealed cases. The model is one only if it is run in another way (see candidate.py).
RULES = (
    "cases", "baselines", "inconclusive", "model", "tokenizer",
    "device", "dtype", "attention", "quantization", "reasoning-tokens", "ledger-remote",
)  # fmt: skip
HERE = "the rules of this change"
WAITS = "not evaluated: its checks need approval"
ELSEWHERE = "not evaluated: its model is at an address that the branch does not name; approve the rule change first"


@dataclass(frozen=True)
class RulesVerdict:
    """The verdicts on one model by one set of rules, named if there are two, and the units and tasks that block."""

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
    """The decision of the gate.

    Attributes:
        by_rules: the verdicts, by each set of rules.
        changes: the rule changes.
        configuration: the parts of the configuration that the change edits.
        approved: whether a reviewer approved exactly these rule changes.
        untrue: the records of the change that are not what the gate finds; they block.
        notes: messages.
        refused: why something could not be evaluated; then nothing passes.
    """

    by_rules: tuple[RulesVerdict, ...] = ()
    changes: RuleChanges | None = None
    configuration: tuple[ConfigurationChange, ...] = ()
    approved: bool = False
    untrue: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""

    @property
    def is_modified(self) -> bool:
        """Whether there are rule changes that no reviewer approved."""
        return bool(self.changes and self.changes.modified) and not self.approved

    @property
    def passes(self) -> bool:
        """Whether nothing blocks."""
        return not (self.is_modified or self.refused or self.untrue or any(each.blocks for each in self.by_rules))

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        changes = self.changes or RuleChanges((), (), "")
        return {
            "passes": self.passes, "refused": self.refused, "modified": list(changes.modified),
            "added": list(changes.added), "approve": changes.approve, "approved": self.approved,
            "configuration": [each.as_dict() for each in self.configuration], "untrue": list(self.untrue),
            "by_rules": [each.as_dict() for each in self.by_rules], "notes": list(self.notes),
        }  # fmt: skip


def decide_change(
    options: Options, ref: str | None, approve: str | None, watch: Watch, tell: Callable[[Decision], None]
) -> Decision:
    """Evaluate what `options` name by the rules in the work tree and, with `ref`, by those of a branch or commit.

    Args:
        options: the run, against the baseline.
        ref: where the change comes from, such as origin/main; None where nothing but the work tree counts.
        approve: the digest of the rule changes that a reviewer approved.
        watch: shows progress.
        tell: is called with the rule changes before anything is evaluated.

    Raises:
        UsageError: there is no such branch or commit.
        Refused: fixtures have mistakes, or the ledger lacks events of `ref`.
        CouldNotRun: a model failed.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        # both sides evaluate the same outputs
        options = replace(options, run=stack.enter_context(counting(options, notes)))
        checks = stack.enter_context(isolating_checks())
        if ref is None:
            decision = _alone(options, watch)
        else:
            folders = [Path(stack.enter_context(_folder())) for _ in range(2)]
            decision = _Change(options, ref, approve, checks, *folders).decide(watch, tell)
        return replace(decision, notes=(*notes, *decision.notes, *checks.notes))


def _alone(options: Options, watch: Watch) -> Decision:
    """Return the decision by the rules of the work tree only."""
    with holding_unchanged([options], [], runs_code(options)):
        decision = _decided_by(Decision(), options, "", watch)
        return replace(decision, notes=(*decision.notes, *_leak_notes(options)))


def _leak_notes(options: Options) -> Iterator[str]:
    """Notes on prompts that hold expected outputs; without a branch no reviewer has approved them."""
    with declared_checks(), suppress(Refused):  # the decision says what is wrong with the fixtures
        units = {unit.key: unit for task in load_tasks(options.cases, project=options.root) for unit in task.units}
        yield from leaks_in_prompts(units, chat_template_text(options.root))


class _Change:
    """A change beside the branch that it comes from: `home` and `copy` are folders for the trees of the two."""

    def __init__(
        self, options: Options, ref: str, approve: str | None, checks: IsolatedChecks, home: Path, copy: Path
    ) -> None:
        self._options, self._ref, self._approve, self._checks = options, ref, approve, checks
        self._home, self._copy = home, copy

    def decide(self, watch: Watch, tell: Callable[[Decision], None]) -> Decision:
        """Compare the rules of both while none of their code runs, then decide by each whose code is approved."""
        options, root = self._options, self._options.root
        check_repository(root, "the project")
        commit = commit_of(root, self._ref, "--policy-from")
        named = {"cases": options.cases, "baselines": options.baselines, "checks": own_file(root)}
        check_inside(root, **named, settings=root / PROJECT)
        before = _project_at(options, commit, self._home)
        if options.ledger_remote == standing(root)["ledger-remote"]:  # to tell it something is to trust it
            self._options = options = replace(options, ledger_remote=standing(self._home)["ledger-remote"])
        check_contains(options.baselines, read_ledger(options.baselines), self._ref, "--policy-from")
        self._lay()
        with declared_checks():
            older, newer = _rules(before) if before else None, _rules(options, self._copy)
        changes, name = self._compared(older, newer, commit)
        approved = bool(name) and self._approve == name
        waits = "" if approved else WAITS if has_new_code(older, newer) else ""
        if before and not approved and self._is_elsewhere():
            waits = ELSEWHERE
        if before and older:
            _complete_baselines(older, options.baselines)
            before = _asked_before(before, older)
            put = {unit.key: unit.configuration for unit in newer.units.values()}
            branch = Branch(before.baselines, {unit.key: unit.configuration for unit in older.units.values()})
            before = replace(before, configurations=put, branch=branch)
            self._options = options = replace(options, branch=branch)
        runs = [each for each in (options, before) if each]
        with holding_unchanged(runs, [self._home, self._copy], bool(newer.checks or (older and older.checks))):
            if before and older and newer.checks and not waits:  # what the code itself says of its references
                changes = rule_changes(_rules(before), _rules(options, self._copy))
            decision = Decision(changes=replace(changes, approve=name if changes.modified else ""), approved=approved)
            if older:
                sides = (_settings(each, SETTINGS) for each in (self._home, options.root))
                edited = configuration_changes(older.tasks, newer.tasks, *sides)
                decision = replace(decision, configuration=tuple(edited))
            if not before:
                decision = replace(decision, notes=(f"{self._ref} has no fixtures: all rules are this change's own",))
            tell(decision)
            return self._decided(decision, before, newer, waits, watch)

    def _is_elsewhere(self) -> bool:
        """Whether the change itself names an address for its model that the branch does not: no input is sent there."""
        model, here, there = self._options.model, project_table(self._options.root), standing(self._home)
        return here.get("model") == model and is_server(model) and address(model) != address(there["model"])

    def _lay(self) -> None:
        """Lay out what the checks of both sides find around them, before any of them runs."""
        options, root = self._options, self._options.root
        if (file := own_file(root)) and file.is_file():
            but = [_real(path) for path in (*options.adapters, *(path for _, path in options.reads))]
            lay_work_tree(root, self._copy, file, [*but, _real(options.baselines), root / RUNS.parts[0]])
            self._checks.copies[root] = self._copy
        if (file := own_file(self._home)) and file.is_file():
            keep_importable(self._home, file)

    def _compared(self, older: Rules | None, newer: Rules, commit: str) -> tuple[RuleChanges, str]:
        """What the change does to the rules, and the digest by which that is approved."""
        if older:
            changes = rule_changes(older, newer)
        else:
            here, there = _place_of(self._options.root), projects_at(self._options.root, commit)
            changes = new_project(newer, here, [] if here in there else there)
        return changes, approval_digest(changes.modified, newer)

    def _decided(self, decision: Decision, before: Options | None, newer: Rules, waits: str, watch: Watch) -> Decision:
        # the change's own rules first: evaluations of sealed cases are then counted in the ledger that stays
        if waits:
            decision = replace(decision, notes=(*decision.notes, f"by {HERE}: {waits}"))
        else:
            decision = _decided_by(decision, self._options, HERE, watch)
            decision = replace(decision, untrue=tuple(self._untrue(decision, newer)))
        if before is None or waits == ELSEWHERE:
            return decision
        there = _decided_by(Decision(), before, f"the rules of {self._ref}", watch)
        gone = [replace(each, record=replace(each.record, path=None)) for each in there.by_rules]  # with its folder
        refused = there.refused.replace(f"{before.root}/", f"{self._ref}:")
        if refused and self._options.replays and decision.approved:
            # a file holds the outputs of one set of questions: the approval covers the edited ones
            return replace(decision, notes=(*decision.notes, f"approved, so not evaluated {refused}"))
        every = "\n".join(each for each in (refused, decision.refused) if each)
        return replace(decision, by_rules=(*gone, *decision.by_rules), refused=every)

    def _untrue(self, decision: Decision, newer: Rules) -> Iterator[str]:
        """The records that the change puts in service and that are not what was just evaluated."""
        if decision.refused or decision.changes is None or not decision.changes.records:
            return
        evaluated = [each.record for each in decision.by_rules]
        root = self._options.baselines
        yield from untrue_records(root, read_ledger(root), decision.changes.records, evaluated, newer.tasks)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made:
        yield Path(made).resolve()


def _place_of(root: Path) -> str:
    """A folder, from the top of its repository."""
    return git(root, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").strip().rstrip("/") or "."


def _asked_before(before: Options, rules: Rules) -> Options:
    """The older run, without the outputs of cases that only the change has: nothing asks for them there."""
    if not before.replays:
        return before
    name, path = split_replay(before.model)
    known = {case.key for unit in rules.units.values() for case in unit.cases}
    problems: list[Problem] = []
    lines = [line.data for line in read_json_lines(path, "outputs", problems)]
    if problems:
        return before  # the reader of the outputs reports what is wrong
    kept = [line for line in lines if not (isinstance(line, dict) and str(line.get("case")) not in known)]
    target = before.root / path.name
    write_atomically(target, (f"{json.dumps(line)}\n" for line in kept))
    return replace(before, model=f"{REPLAY}{name}{'=' if name else ''}{target}")


def _decided_by(decision: Decision, options: Options, rules: str, watch: Watch) -> Decision:
    """The decision with what these rules make of it."""
    try:
        session = Session(options)
        session.selection.select([], session.selection.units())
        session.execute(watch)
    except Refused as error:
        return replace(decision, refused=f"by {rules}: {error}" if rules else str(error))
    evaluated = tuple(RulesVerdict(rules, record, blocking(session, record)) for record in session.records)
    return replace(decision, by_rules=evaluated, notes=(*decision.notes, *session.notes))


def blocking(session: Session, record: Record) -> tuple[str, ...]:
    """What fails the gate: units and tasks that block, and every one that has no verdict."""
    soft = gate.exempted(record, session.options.inconclusive)
    units = [unit.key for unit in session.selection.units()]
    verdicts = record.verdicts
    blocking = [key for key in units if key not in verdicts or gate.unit_blocked(key, verdicts[key], soft)]
    tasks = [task.name for task in session.selection.tasks if session.selection.units(task=task.name)]
    vanished = [key for key, verdict in record.verdicts.items() if key not in units and verdict["blocks"]]
    undecided = [name for name in tasks if name not in record.tasks or gate.task_blocked(record.tasks[name], soft)]
    return (*blocking, *vanished, *undecided)


def _rules(options: Options, copy: Path | None = None) -> Rules:
    """Return the rules of a project; `copy` is the tree around its own checks."""
    tasks = load_tasks(options.cases, project=options.root)
    code = code_of_checks(options.root, tasks)
    data = tree_digest(copy) if copy and code else ""
    return Rules(tasks, options.baselines, _settings(options.root, RULES), code, data, chat_template_text(options.root))


def _settings(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Return settings of a project as texts, a chat template with the digest of its file."""
    table = project_table(root)
    settings = {name: str(table[name]) for name in names if name in table}
    if template := settings.get("chat-template"):  # 32 digits: with 8, another file could be made to match
        path = root / template
        settings["chat-template"] += f" ({file_digest(path)[:32] if path.is_file() else 'no file'})"
    return settings


def _project_at(options: Options, commit: str, home: Path) -> Options | None:
    """The same run in the project as it was at a commit, in a folder of its own; None where it had no fixtures."""
    left = [home / path for path in write_tree(options.root, commit, home)]
    before = _moved(options, home)
    # a missing file would look like one that the change adds, which the older rules do not evaluate
    if odd := [path for path in left if any(path in (rule, *rule.parents) or rule in path.parents
                                            for rule in (before.cases, before.baselines))]:  # fmt: skip
        names = listed([path.relative_to(home).as_posix() for path in odd])
        raise Refused(
            f"--policy-from: expected fixtures and baselines that are files of at most "
            f"{MOST_OF_A_FILE // 2**20} MB at that commit, found links, submodules or larger ones: {names}"
        )
    return before if before.cases.is_dir() else None


def _moved(options: Options, home: Path) -> Options:
    """The run with the rules of the project in another folder: its settings, where the command line is silent."""
    here, there = standing(options.root), standing(home)
    moved: dict[str, Any] = {}
    for name in ("cases", "baselines"):
        given: Path = getattr(options, name)
        stands = _real(given) == _real(here[name])
        moved[name] = there[name] if stands else _below(options.root, given, home)
    inconclusive = there["inconclusive"] if options.inconclusive == here["inconclusive"] else options.inconclusive
    return replace(options, root=home, out=None, ledger_remote=None, inconclusive=inconclusive, **moved)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # also for links in a circle, which their reader reports


def _below(root: Path, path: Path, home: Path) -> Path:
    try:
        return home / _real(path).relative_to(_real(root))
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
