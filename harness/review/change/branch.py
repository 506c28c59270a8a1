"""A change beside the branch that it comes from: both projects laid out, their rules compared, and no code run yet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from tunegate.harness.checks.isolated import IsolatedChecks
from tunegate.harness.checks.registry import declared_checks, own_file
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.git import check_repository, commit_of, git, holds_head
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import PROJECT, project_table
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.history.ledger.ledger_git import check_contains
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.adapter_reference import adapter_folder
from tunegate.harness.models.adapters import TRAINING, adapter_digest, training_record
from tunegate.harness.models.evaluation.runs import RUNS
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.settings import standing
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.review.change.candidate import SETTINGS, configuration_changes, place_of
from tunegate.harness.review.change.code import code_of_model, file_of_model
from tunegate.harness.review.change.rules import RuleChanges, Rules, approval_digest, new_project, rule_changes
from tunegate.harness.review.change.sides import project_at, real_path, rules_of, settings_of
from tunegate.harness.review.change.templates import chat_template_text
from tunegate.harness.review.change.trees import check_inside, keep_importable, lay_work_tree, projects_at
from tunegate.harness.review.change.unrecorded import unrecorded
from tunegate.harness.rows.near_cases import NearCases, find_near_cases


@dataclass(frozen=True)
class Trees:
    """The folders of a comparison.

    Attributes:
        root: the work tree.
        home: the branch's tree.
        copy: what the work tree's checks find around them.
        around: what a `python:` model of the work tree finds around it.
    """

    root: Path
    home: Path
    copy: Path
    around: Path

    @property
    def laid(self) -> list[Path]:
        """Those that are made for the comparison."""
        return [self.home, self.copy, self.around]


@contextmanager
def new_trees(root: Path) -> Iterator[Trees]:
    """Yield the folders beside a work tree, which are empty and deleted afterwards."""
    with ExitStack() as stack:
        made = (stack.enter_context(tempfile.TemporaryDirectory(prefix="tunegate-")) for _ in range(3))
        yield Trees(root, *(Path(each).resolve() for each in made))


@dataclass(frozen=True)
class PolicyBranch:
    """A branch or commit to compare with, by the name that was given, and the folders of the comparison."""

    ref: str
    commit: str
    trees: Trees


@dataclass(frozen=True)
class Runs:
    """The run in the work tree, and the same in the branch's tree; None where that has no fixtures."""

    here: Options
    there: Options | None


@dataclass(frozen=True)
class RuleSide:
    """A run in one of the trees, and the rules that it is decided by."""

    run: Options
    rules: Rules

    def without(self, unrecorded: Mapping[str, Sequence[str]]) -> RuleSide:
        """The side without the cases, by unit, of which no output is recorded yet."""
        return RuleSide(replace(self.run, unrecorded=unrecorded), replace(self.rules, unrecorded=unrecorded))


@dataclass(frozen=True)
class RuleComparison:
    """Both sides of a change, and what it does to the rules.

    Attributes:
        here: the change, with its own rules.
        there: the branch; None where it has no fixtures.
        digest: of the rule changes, which approves them.
    """

    branch: PolicyBranch
    here: RuleSide
    there: RuleSide | None
    changes: RuleChanges
    digest: str

    @cached_property
    def edited(self) -> tuple[EditedPart, ...]:
        """The edited parts of the configuration."""
        if self.there is None:
            return ()
        trees = self.branch.trees
        sides = (settings_of(each, SETTINGS) for each in (trees.home, trees.root))
        return tuple(configuration_changes(self.there.rules.tasks, self.here.rules.tasks, *sides))


def compare_with_branch(
    options: Options, ref: str, trees: Trees, checks: IsolatedChecks, watch: Watch
) -> RuleComparison:
    """Lay out both sides of a change, and compare their rules.

    Raises:
        UsageError: there is no such branch or commit.
        Refused: fixtures have mistakes, the ledger lacks events of `ref`, or `ref` already holds the change.
    """
    branch = _find_branch(options, ref, trees)
    runs = _find_runs(options, branch)
    code = _lay_model(runs.here, trees)  # first: of the branch's Python only that of its checks is kept
    _lay_checks(runs.here, trees, checks)
    runs = _run_copy(runs, trees)
    comparison = _compare_rules(branch, runs, code, watch)
    _check_base(comparison)
    return comparison


def _find_branch(options: Options, ref: str, trees: Trees) -> PolicyBranch:
    root = trees.root
    check_repository(root, "the project")
    commit = commit_of(root, ref, "--policy-from")
    named = {"cases": options.cases, "baselines": options.baselines, "checks": own_file(root)}
    check_inside(root, **named, settings=root / PROJECT)
    return PolicyBranch(ref, commit, trees)


def _find_runs(options: Options, branch: PolicyBranch) -> Runs:
    """Lay out the branch's project, and check that this ledger has all its events."""
    root, home = branch.trees.root, branch.trees.home
    there = project_at(options, branch.commit, home)
    if options.ledger_remote == standing(root)["ledger-remote"]:  # to tell it something is to trust it
        options = replace(options, ledger_remote=standing(home)["ledger-remote"])
    check_contains(options.baselines, read_ledger(options.baselines), branch.ref, "--policy-from")
    return Runs(options, there)


def _outside_of_rules(options: Options, root: Path) -> list[Path]:
    """What is evaluated, and is no rule: adapters, outputs, baselines and runs."""
    read = (*options.adapters, *(path for _, path in options.reads), options.baselines)
    return [*map(real_path, read), root / RUNS.parts[0]]


def _lay_checks(options: Options, trees: Trees, checks: IsolatedChecks) -> None:
    """Lay out what the checks of both sides find around them, before any of them runs."""
    root = trees.root
    if (file := own_file(root)) and file.is_file():
        lay_work_tree(root, trees.copy, file, _outside_of_rules(options, root))
        checks.copies[root] = trees.copy
    if (file := own_file(trees.home)) and file.is_file():
        keep_importable(trees.home, file)


def _lay_model(options: Options, trees: Trees) -> Mapping[str, str]:
    """Lay out what a `python:` model finds around it.

    Returns:
        The digest of its code as the branch has it, by its name; empty for another model.
    """
    root = trees.root
    if name := file_of_model(options.model, root):
        lay_work_tree(root, trees.around, root / name, _outside_of_rules(options, root))
    return code_of_model(options.model, root, trees.home) if _is_named_by_branch(options, trees) else {}


def _is_named_by_branch(options: Options, trees: Trees) -> bool:
    """Whether the model is at a place that the branch names, or the command line, which no change edits."""
    if standing(trees.root)["model"] != options.model:
        return True
    here, there = (str(project_table(each).get("model", "")) for each in (trees.root, trees.home))
    return place_of(here) == place_of(there)


def _run_copy(runs: Runs, trees: Trees) -> Runs:
    """Let a `python:` model run from its copy, which holds what is digested and no other Python."""
    name = file_of_model(runs.here.model, trees.root)
    if not name:
        return runs
    file, copy = trees.root / name, trees.around / name
    if not copy.is_file():
        raise Refused(f"{show_path(file)}: expected a file that git does not ignore, found one that it does")
    opened = replace(runs.here.opened, code=copy)
    return Runs(replace(runs.here, opened=opened), runs.there and replace(runs.there, opened=opened))


def _compare_rules(branch: PolicyBranch, runs: Runs, code: Mapping[str, str], watch: Watch) -> RuleComparison:
    """Compare the rules of both sides while none of their code runs."""
    with declared_checks():
        there = RuleSide(runs.there, _older_rules(runs.here, runs.there, code)) if runs.there else None
        newer = _newer_rules(runs.here, branch.trees)
        near = _near_cases(runs.here, newer, branch.trees, watch)
    here = RuleSide(runs.here, replace(newer, near=near))
    if there:
        here, there = _without_unrecorded(here, there)
    changes = rule_changes(there.rules, here.rules) if there else _new_project(branch, here.rules)
    digest = approval_digest(changes.modified, here.rules)
    return RuleComparison(branch, here, there, _with_approval(changes, digest), digest)


def _older_rules(here: Options, there: Options, code: Mapping[str, str]) -> Rules:
    """The branch's rules, for the model of the change; `code` is the digest of its code there, by its name."""
    return replace(rules_of(there), model=code, chat_template=chat_template_text(here, there.root))


def _newer_rules(here: Options, trees: Trees) -> Rules:
    """The change's own rules, without near cases."""
    code = code_of_model(here.model, trees.root, trees.around if here.opened.code else trees.root)
    return replace(rules_of(here, trees.copy), model=code, chat_template=chat_template_text(here, trees.root))


def with_code(comparison: RuleComparison) -> RuleComparison:
    """Compare the rules once more, now with what the code of the checks itself says of its references.

    The digest stays: it is of what a reviewer was shown.
    """
    here, there = comparison.here, comparison.there
    if there is None:
        return comparison
    newer = _newer_rules(here.run, comparison.branch.trees)
    newer = replace(newer, near=here.rules.near, unrecorded=here.rules.unrecorded)
    older = replace(_older_rules(here.run, there.run, there.rules.model), unrecorded=there.rules.unrecorded)
    return replace(comparison, changes=_with_approval(rule_changes(older, newer), comparison.digest))


def _with_approval(changes: RuleChanges, digest: str) -> RuleChanges:
    return replace(changes, approve=digest if changes.modified else "")


def _new_project(branch: PolicyBranch, newer: Rules) -> RuleChanges:
    """The rule changes of a change that brings a project to a folder where the branch has none."""
    root = branch.trees.root
    prefix = git(root, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").strip()
    here, there = prefix.rstrip("/") or ".", projects_at(root, branch.commit)
    return new_project(newer, here, [] if here in there else there)


def _without_unrecorded(here: RuleSide, there: RuleSide) -> tuple[RuleSide, RuleSide]:
    """Both sides without the cases of which no output is recorded yet."""
    older, newer = there.rules, here.rules
    both, read = (older.baselines, newer.baselines), cache(read_baseline)
    left_here = unrecorded(newer.units, older.units, both, read)
    left_there = unrecorded(older.units, older.units, both[:1], read)
    return here.without(left_here), there.without(left_there)


def _near_cases(options: Options, rules: Rules, trees: Trees, watch: Watch) -> dict[str, NearCases]:
    """What is known of the near cases of adapters whose training record the branch does not have."""
    adapters = {show_path(given): adapter_folder(given, watch) for given in options.adapters}
    return {
        name: find_near_cases(folder, rules.tasks, watch, options.fresh)
        for name, folder in adapters.items()
        if not _has_record(trees, folder)
    }


def _has_record(trees: Trees, adapter: Path) -> bool:
    """Whether the branch has an adapter's training record, in the same place and with the same bytes."""
    try:
        place = real_path(adapter).relative_to(real_path(trees.root))
        same = (trees.home / place / TRAINING).read_bytes() == (adapter / TRAINING).read_bytes()
    except (ValueError, OSError):
        return False
    # of other weights it says nothing
    return same and (training_record(adapter) or {}).get("adapter") == adapter_digest(adapter)


def _check_base(comparison: RuleComparison) -> None:
    """Refuse a branch that already holds the change: what is here would be compared with itself."""
    options, branch = comparison.here.run, comparison.branch
    root = branch.trees.root
    is_named = bool(options.adapters or options.replays) or standing(root)["model"] != options.model
    differs = bool(comparison.changes.modified or comparison.changes.added or comparison.edited)
    if comparison.there and not is_named and not differs and holds_head(root, branch.commit):
        raise Refused(
            f"--policy-from={branch.ref}: expected the branch as it was before this change, found that {branch.ref} "
            "already holds all that is here, which would be compared with itself; name the branch that the change "
            "is to be merged into or, after a merge or a push, the commit before it: --policy-from=HEAD^1; or "
            "leave the option out: tunegate gate then compares with what is in service and with the anchor"
        )
