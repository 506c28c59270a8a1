"""The gate on a change: evaluated by its own rules and, under --policy-from, by those of the branch.

The author of a change could also change the rules of its evaluation. So the cases, policies, baselines and the
project's own checks are taken from the branch that it is to be merged into as well; the change's configuration (model,
prompts, decoding) is evaluated by those, and rule changes are listed first and block until a reviewer approves them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from tunegate.harness.baselines.store import Baseline, read_baseline
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import UnitConfiguration, read_configuration
from tunegate.harness.change.brought import batches, brought_records, untrue_records
from tunegate.harness.change.candidate import SETTINGS, configuration_changes, place_of
from tunegate.harness.change.code import code_of_model, file_of_model, holding_unchanged, runs_code
from tunegate.harness.change.decision import Decision, RulesVerdict
from tunegate.harness.change.leaks import leaks_in_prompts
from tunegate.harness.change.rules import (
    RuleChanges,
    Rules,
    approval_digest,
    has_new_code,
    has_new_model,
    new_project,
    rule_changes,
)
from tunegate.harness.change.sides import (
    complete_baselines,
    project_at,
    real_path,
    rules_of,
    settings_of,
    take_labels,
    without_new_outputs,
)
from tunegate.harness.change.templates import chat_template_text
from tunegate.harness.change.trees import check_inside, keep_importable, lay_work_tree, projects_at
from tunegate.harness.change.unrecorded import unrecorded
from tunegate.harness.checks.isolated import IsolatedChecks
from tunegate.harness.checks.registry import declared_checks, isolating_checks, own_file
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.git import check_repository, commit_of, git, holds_head
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import PROJECT, project_table
from tunegate.harness.evaluation.record import Record
from tunegate.harness.evaluation.runs import RUNS
from tunegate.harness.gate import rule as gate
from tunegate.harness.ledger.ledger_git import check_contains
from tunegate.harness.ledger.store import read_ledger
from tunegate.harness.models.adapter_reference import adapter_folder
from tunegate.harness.models.adapters import TRAINING, adapter_digest, training_record
from tunegate.harness.options.run import Branch, Options
from tunegate.harness.options.settings import standing
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.rows.near_cases import find_near_cases
from tunegate.harness.session.run import Session

HERE = "the rules of this change"
WAITS = "not evaluated: its checks need approval"
MODEL_WAITS = "not evaluated: its model is code that needs approval"
ELSEWHERE = "not evaluated: its model is at an address that the branch does not name; approve the rule change first"


def decide_change(
    options: Options, ref: str | None, approve: str | None, watch: Watch, tell: Callable[[Decision], None]
) -> Decision:
    """Evaluate what `options` name by the rules in the work tree and, with `ref`, by those of a branch or commit.

    `approve` is the digest of the rule changes that a reviewer approved; `tell` is called with all of them before
    anything is evaluated.

    Raises:
        UsageError: there is no such branch or commit.
        Refused: fixtures have mistakes, or the ledger lacks events of `ref`.
        CouldNotRun: a model failed.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        # both sides evaluate the same outputs
        options = replace(options, run=stack.enter_context(options.counting(notes)))
        checks = stack.enter_context(isolating_checks())
        if ref is None:
            decision = _alone(options, watch)
        else:
            folders = [Path(stack.enter_context(_folder())) for _ in range(3)]
            change = _Change(options, ref, approve, checks, watch, *folders)
            change.find_branch()
            change.lay_trees()
            change.compare_rules()
            change.check_base()
            change.hold_back()
            change.join_sides()
            decision = change.decide(watch, tell)
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
        yield from leaks_in_prompts(units, chat_template_text(options, options.root))


@dataclass
class _Change:
    """A change beside the branch that it comes from; each step uses the results of the steps before it.

    Attributes:
        options: the run in the work tree.
        checks: where the checks of both sides run.
        home: a folder for the branch's tree.
        copy: a folder for what the work tree's checks find around them.
        around: a folder for what a `python:` model of the work tree finds around it.
        before: the run in the branch's tree; None where it has no fixtures.
        waits: why the change's own rules are not applied yet; empty if they are.
    """

    options: Options
    ref: str
    approve: str | None
    checks: IsolatedChecks
    watch: Watch
    home: Path
    copy: Path
    around: Path

    commit: str = field(init=False)
    before: Options | None = field(init=False)
    code: Mapping[str, str] = field(init=False)  # of the `python:` model, as the branch has it
    older: Rules | None = field(init=False)
    newer: Rules = field(init=False)
    changes: RuleChanges = field(init=False)
    digest: str = field(init=False)  # of the rule changes
    approved: bool = field(init=False)
    waits: str = field(init=False)

    def find_branch(self) -> None:
        """Lay out the branch's project, and check that this ledger has all its events."""
        options, root = self.options, self.options.root
        check_repository(root, "the project")
        self.commit = commit_of(root, self.ref, "--policy-from")
        named = {"cases": options.cases, "baselines": options.baselines, "checks": own_file(root)}
        check_inside(root, **named, settings=root / PROJECT)
        self.before = project_at(options, self.commit, self.home)
        if options.ledger_remote == standing(root)["ledger-remote"]:  # to tell it something is to trust it
            self.options = options = replace(options, ledger_remote=standing(self.home)["ledger-remote"])
        check_contains(options.baselines, read_ledger(options.baselines), self.ref, "--policy-from")

    def lay_trees(self) -> None:
        """Lay out what the checks of both sides, and the model, find around them, before any of them runs."""
        options, root = self.options, self.options.root
        but = [real_path(path) for path in (*options.adapters, *(path for _, path in options.reads))]
        but += [real_path(options.baselines), root / RUNS.parts[0]]
        if (file := own_file(root)) and file.is_file():
            lay_work_tree(root, self.copy, file, but)
            self.checks.copies[root] = self.copy
        self.code = code_of_model(options.model, root, self.home) if self._is_named_by_branch() else {}
        if name := file_of_model(options.model, root):
            lay_work_tree(root, self.around, root / name, but)
            self._run_copy(root / name, self.around / name)
        if (file := own_file(self.home)) and file.is_file():
            keep_importable(self.home, file)

    def _is_named_by_branch(self) -> bool:
        """Whether the model is at a place that the branch names, or the command line, which no change edits."""
        root = self.options.root
        if standing(root)["model"] != self.options.model:
            return True
        here, there = (str(project_table(each).get("model", "")) for each in (root, self.home))
        return place_of(here) == place_of(there)

    def _run_copy(self, file: Path, copy: Path) -> None:
        """Let a `python:` model run from a copy, which holds what is digested and no other Python."""
        if not copy.is_file():
            raise Refused(f"{show_path(file)}: expected a file that git does not ignore, found one that it does")
        opened = replace(self.options.opened, code=copy)
        self.options = replace(self.options, opened=opened)
        self.before = self.before and replace(self.before, opened=opened)

    def compare_rules(self) -> None:
        """Compare the rules of both sides while none of their code runs."""
        with declared_checks():
            self.older = self._rules(self.before) if self.before else None
            self.newer = self._with_near(self._rules(self.options, self.copy))
        if self.older:
            self._leave_out(self.older)
            changes = rule_changes(self.older, self.newer)
        else:
            root = self.options.root
            prefix = git(root, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").strip()
            here, there = prefix.rstrip("/") or ".", projects_at(root, self.commit)
            changes = new_project(self.newer, here, [] if here in there else there)
        self.digest = approval_digest(changes.modified, self.newer)
        self.approved = self.approve == self.digest
        self.changes = self._named(changes)

    def _leave_out(self, older: Rules) -> None:
        """Leave out the cases of both sides of which no output is recorded yet."""
        both, read = (older.baselines, self.newer.baselines), cache(read_baseline)
        here = unrecorded(self.newer.units, older.units, both, read)
        there = unrecorded(older.units, older.units, both[:1], read)
        self.newer, self.older = replace(self.newer, unrecorded=here), replace(older, unrecorded=there)
        self.options = replace(self.options, unrecorded=here)
        self.before = self.before and replace(self.before, unrecorded=there)

    def check_base(self) -> None:
        """Refuse a branch that already holds the change: what is here would be compared with itself."""
        options, root = self.options, self.options.root
        is_named = bool(options.adapters or options.replays) or standing(root)["model"] != options.model
        differs = bool(self.changes.modified or self.changes.added or self._edited())
        if self.before and not is_named and not differs and holds_head(root, self.commit):
            raise Refused(
                f"--policy-from={self.ref}: expected the branch as it was before this change, found that {self.ref} "
                "already holds all that is here, which would be compared with itself; name the branch that the change "
                "is to be merged into or, after a merge or a push, the commit before it: --policy-from=HEAD^1; or "
                "leave the option out: tunegate gate then compares with what is in service and with the anchor"
            )

    def _edited(self) -> tuple[EditedPart, ...]:
        """The edited parts of the configuration."""
        if self.older is None:
            return ()
        sides = (settings_of(each, SETTINGS) for each in (self.home, self.options.root))
        return tuple(configuration_changes(self.older.tasks, self.newer.tasks, *sides))

    def _rules(self, options: Options, copy: Path | None = None) -> Rules:
        """The rules of a side, with its model's code and template; `copy` is the tree around its own checks."""
        opened, root = self.options.opened, self.options.root
        tree = self.around if opened.code else root
        code = code_of_model(self.options.model, root, tree) if options is self.options else self.code
        template = chat_template_text(self.options, options.root)
        return replace(rules_of(options, copy), model=code, chat_template=template)

    def _with_near(self, rules: Rules) -> Rules:
        """The rules with what is known of the near cases of adapters whose training record the branch does not have."""
        adapters = {show_path(given): adapter_folder(given, self.watch) for given in self.options.adapters}
        near = {
            name: find_near_cases(folder, rules.tasks, self.watch, self.options.fresh)
            for name, folder in adapters.items()
            if not self._has_record(folder)
        }
        return replace(rules, near=near)

    def _has_record(self, adapter: Path) -> bool:
        """Whether the branch has an adapter's training record, in the same place and with the same bytes."""
        try:
            place = real_path(adapter).relative_to(real_path(self.options.root))
            same = (self.home / place / TRAINING).read_bytes() == (adapter / TRAINING).read_bytes()
        except (ValueError, OSError):
            return False
        # of other weights it says nothing
        return same and (training_record(adapter) or {}).get("adapter") == adapter_digest(adapter)

    def _named(self, changes: RuleChanges) -> RuleChanges:
        return replace(changes, approve=self.digest if changes.modified else "")

    def hold_back(self) -> None:
        """Decide whether the change's own rules have to wait for an approval."""
        self.waits = ""
        if not self.approved:
            self.waits = WAITS if has_new_code(self.older, self.newer) else ""
            if self.before and self._is_elsewhere():
                self.waits = ELSEWHERE
            if has_new_model(self.older, self.newer):
                self.waits = MODEL_WAITS

    def join_sides(self) -> None:
        """Give the branch's run the change's configuration, and both runs the branch's baselines to compare with."""
        if self.before and self.older:
            complete_baselines(self.older, self.options.baselines)
            if self.approved:
                take_labels(self.older, self.newer)
            before = without_new_outputs(self.before, self.older)
            branch = Branch(before.baselines, _configurations(self.older))
            self.before = replace(before, configurations=_configurations(self.newer), branch=branch)
            self.options = replace(self.options, branch=branch)

    def decide(self, watch: Watch, tell: Callable[[Decision], None]) -> Decision:
        """Decide by each set of rules whose code is approved, with the code of both sides held unchanged."""
        runs = [each for each in (self.options, self.before) if each]
        has_code = bool(self.newer.model or self.newer.checks or (self.older and self.older.checks))
        with holding_unchanged(runs, [self.home, self.copy, self.around], has_code):
            if self.before and self.older and self.newer.checks and not self.waits:
                # once more, now with what the code of the checks itself says of its references
                newer = self._rules(self.options, self.copy)
                newer = replace(newer, near=self.newer.near, unrecorded=self.newer.unrecorded)
                older = replace(self._rules(self.before), unrecorded=self.older.unrecorded)
                again = rule_changes(older, newer)
                self.changes = self._named(again)
            decision = self._announced()
            tell(decision)
            decision = self._by_own_rules(decision, watch)
            if self.before and self.waits not in (ELSEWHERE, MODEL_WAITS):
                decision = self._by_rules_of_the_branch(decision, self.before, watch)
            return decision

    def _is_elsewhere(self) -> bool:
        """Whether the change itself names an address for its model that the branch does not: no input is sent there."""
        model, here, there = self.options.model, project_table(self.options.root), standing(self.home)
        has_moved = place_of(model) != place_of(there["model"])
        return here.get("model") == model and self.options.backend.is_hosted and has_moved

    def _announced(self) -> Decision:
        """The decision before any evaluation: rule changes and edits."""
        notes = () if self.before else (f"{self.ref} has no fixtures: all rules are this change's own",)
        edited = self._edited()
        return Decision(changes=self.changes, approved=self.approved, notes=notes, configuration=edited)

    def _by_own_rules(self, decision: Decision, watch: Watch) -> Decision:
        # before those of the branch: evaluations of sealed cases are then counted in the ledger that stays
        if self.waits:
            return replace(decision, notes=(*decision.notes, f"by {HERE}: {self.waits}"))
        decision = _decided_by(decision, self.options, HERE, watch)
        if decision.refused or decision.changes is None:
            return decision
        brought, lost = brought_records(self.options.baselines, decision.changes)
        earlier = [each for each in decision.changes.earlier if not each.is_supplied]
        if self.older is None:  # of a new project, what it ran before its first change is compared with nothing
            models = {each.record.fingerprint["subject"]["model"] for each in decision.by_rules}
            earlier = [each for each in earlier if each.subject["model"] in models]
            brought = [each for each in brought if each.subject["model"] in models]
        if not (brought or earlier):
            return replace(decision, untrue=tuple(lost))
        evaluated = [each.record for each in decision.by_rules]
        if self.options.adapters:  # the records are of the base, which no adapter's evaluation shows
            base = _decided_by(Decision(), replace(self.options, adapters=(), sealed=False, out=None), HERE, watch)
            if base.refused:
                return replace(decision, refused=base.refused)
            evaluated += [each.record for each in base.by_rules]
        evaluated += [_run_as(self.options, batch, watch) for batch in batches(earlier)]
        run_again = partial(_run_as, replace(self.options, fresh=True, run=None), watch=watch)
        read = load_tasks(self.options.cases, project=self.options.root)  # of `newer`, no check runs
        tasks = [task.without(self.options.unrecorded) for task in read]
        found = untrue_records([*brought, *earlier], evaluated, tasks, run_again, watch)
        return replace(decision, untrue=(*lost, *found))

    def _by_rules_of_the_branch(self, decision: Decision, before: Options, watch: Watch) -> Decision:
        # the branch's ledger may know of fewer tries, and each try draws another sample
        numbers = {each.record.adapter: each.record.sealed_evaluations for each in decision.by_rules}
        there = _decided_by(Decision(), replace(before, tries=numbers), f"the rules of {self.ref}", watch)
        gone = [replace(each, record=replace(each.record, path=None)) for each in there.by_rules]  # with its folder
        refused = there.refused.replace(f"{before.root}/", f"{self.ref}:")
        if refused and self.options.replays and decision.approved:
            # a file holds the outputs of one set of questions: the approval covers the edited ones
            return replace(decision, notes=(*decision.notes, f"approved, so not evaluated {refused}"))
        every = "\n".join(each for each in (refused, decision.refused) if each)
        return replace(decision, by_rules=(*gone, *decision.by_rules), refused=every)


def _configurations(rules: Rules) -> dict[str, UnitConfiguration]:
    return {unit.key: unit.configuration for unit in rules.units.values()}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tunegate-") as made:
        yield Path(made).resolve()


def _decided_by(decision: Decision, options: Options, rules: str, watch: Watch) -> Decision:
    try:
        session = Session(options)
        session.selection.select([], session.selection.units())
        session.execute(watch)
    except Refused as error:
        return replace(decision, refused=f"by {rules}: {error}" if rules else str(error))
    evaluated = tuple(RulesVerdict(rules, record, blocking(session, record)) for record in session.records)
    return replace(decision, by_rules=evaluated, notes=(*decision.notes, *session.notes))


def _run_as(options: Options, records: Sequence[Baseline], watch: Watch) -> Record:
    """Evaluate the cases of records with their configurations, one record of each unit; with the model of `options`."""
    put = {each.unit: read_configuration(each.configuration) for each in records}
    cases = {(each.unit, case) for each in records for case in each.results}
    session = Session(replace(options, against=None, adapters=(), sealed=False, out=None, configurations=put))
    session.selection.select(
        [each for unit in session.selection.units() for each in unit.cases if (unit.key, each.id) in cases], []
    )
    session.execute(watch)
    return session.records[0]


def blocking(session: Session, record: Record) -> tuple[str, ...]:
    """What fails the gate: units and tasks that block, and every one that has no verdict."""
    soft = gate.exempted(record, session.options.inconclusive)
    units = [unit.key for unit in session.selection.units()]
    verdicts = record.verdicts
    blocking = [key for key in units if key not in verdicts or gate.unit_blocked(key, verdicts[key], soft)]
    tasks = [task.name for task in session.selection.tasks if session.selection.units(task=task.name)]
    vanished = [key for key, verdict in record.verdicts.items() if key not in units and verdict.blocks]
    undecided = [name for name in tasks if name not in record.tasks or gate.task_blocked(record.tasks[name], soft)]
    return (*blocking, *vanished, *undecided)
