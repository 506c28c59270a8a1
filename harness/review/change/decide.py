"""The gate on a change: evaluated by its own rules and, under --policy-from, by those of the branch.

The author of a change could also change the rules of its evaluation. So the cases, policies, baselines and the
project's own checks are taken from the branch that it is to be merged into as well; the change's configuration (model,
prompts, decoding) is evaluated by those, and rule changes are listed first and block until a reviewer approves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import UnitConfiguration, read_configuration
from tunegate.harness.checks.registry import declared_checks, isolating_checks
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import project_table
from tunegate.harness.gate import rule as gate
from tunegate.harness.history.baselines.store import Baseline
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.options.run import Branch, Options
from tunegate.harness.models.options.settings import standing
from tunegate.harness.review.change.branch import RuleComparison, Trees, compare_with_branch, new_trees, with_code
from tunegate.harness.review.change.brought import batches, brought_records, untrue_records
from tunegate.harness.review.change.candidate import place_of
from tunegate.harness.review.change.code import holding_unchanged, runs_code
from tunegate.harness.review.change.decision import Decision, RulesVerdict
from tunegate.harness.review.change.leaks import leaks_in_prompts
from tunegate.harness.review.change.rules import Rules, has_new_code, has_new_model
from tunegate.harness.review.change.sides import complete_baselines, take_labels, without_new_outputs
from tunegate.harness.review.change.templates import chat_template_text
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
    with options.counting(notes) as run, isolating_checks() as checks:
        options = replace(options, run=run)  # both sides evaluate the same outputs
        if ref is None:
            decision = _alone(options, watch)
        else:
            with new_trees(options.root) as trees:
                comparison = compare_with_branch(options, ref, trees, checks, watch)
                decision = _beside_branch(comparison, approve, watch, tell)
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


def _beside_branch(
    comparison: RuleComparison, approve: str | None, watch: Watch, tell: Callable[[Decision], None]
) -> Decision:
    """Decide by each set of rules whose code is approved, with the code of both sides held unchanged."""
    approved = approve == comparison.digest
    waits = "" if approved else _waits(comparison)
    comparison = _join_sides(comparison, approved)
    here, there = comparison.here, comparison.there
    runs = [each.run for each in (here, there) if each]
    has_code = bool(here.rules.model or here.rules.checks or (there and there.rules.checks))
    with holding_unchanged(runs, comparison.branch.trees.laid, has_code):
        if here.rules.checks and not waits:
            comparison = with_code(comparison)
        decision = _announced(comparison, approved)
        tell(decision)
        # first: evaluations of sealed cases are then counted in the ledger that stays
        decision = _by_own_rules(decision, comparison, waits, watch)
        if there and waits not in (ELSEWHERE, MODEL_WAITS):
            decision = _by_rules_of_the_branch(decision, comparison.branch.ref, there.run, watch)
        return decision


def _waits(comparison: RuleComparison) -> str:
    """Why the change's own rules have to wait for an approval; empty if they do not."""
    here, there = comparison.here, comparison.there
    older = there.rules if there else None
    if has_new_model(older, here.rules):
        return MODEL_WAITS
    if there and _is_elsewhere(here.run, comparison.branch.trees):
        return ELSEWHERE
    return WAITS if has_new_code(older, here.rules) else ""


def _is_elsewhere(options: Options, trees: Trees) -> bool:
    """Whether the change itself names an address for its model that the branch does not: no input is sent there."""
    here, there = project_table(trees.root), standing(trees.home)
    has_moved = place_of(options.model) != place_of(there["model"])
    return here.get("model") == options.model and options.backend.is_hosted and has_moved


def _join_sides(comparison: RuleComparison, approved: bool) -> RuleComparison:
    """Give the branch's run the change's configuration, and both runs the branch's baselines to compare with."""
    here, there = comparison.here, comparison.there
    if there is None:
        return comparison
    complete_baselines(there.rules, here.run.baselines)
    if approved:
        take_labels(there.rules, here.rules)
    run = without_new_outputs(there.run, there.rules)
    branch = Branch(run.baselines, _configurations(there.rules))
    run = replace(run, configurations=_configurations(here.rules), branch=branch)
    return replace(
        comparison,
        here=replace(here, run=replace(here.run, branch=branch)),
        there=replace(there, run=run),
    )


def _announced(comparison: RuleComparison, approved: bool) -> Decision:
    """The decision before any evaluation: rule changes and edits."""
    ref = comparison.branch.ref
    notes = () if comparison.there else (f"{ref} has no fixtures: all rules are this change's own",)
    return Decision(changes=comparison.changes, approved=approved, notes=notes, configuration=comparison.edited)


def _by_own_rules(decision: Decision, comparison: RuleComparison, waits: str, watch: Watch) -> Decision:
    if waits:
        return replace(decision, notes=(*decision.notes, f"by {HERE}: {waits}"))
    options = comparison.here.run
    decision = _decided_by(decision, options, HERE, watch)
    if decision.refused:
        return decision
    brought, lost = brought_records(options.baselines, comparison.changes)
    earlier = [each for each in comparison.changes.earlier if not each.is_supplied]
    if comparison.there is None:  # of a new project, what it ran before its first change is compared with nothing
        models = {each.record.fingerprint["subject"]["model"] for each in decision.by_rules}
        earlier = [each for each in earlier if each.subject["model"] in models]
        brought = [each for each in brought if each.subject["model"] in models]
    if not (brought or earlier):
        return replace(decision, untrue=tuple(lost))
    evaluated = [each.record for each in decision.by_rules]
    if options.adapters:  # the records are of the base, which no adapter's evaluation shows
        base = _decided_by(Decision(), replace(options, adapters=(), sealed=False, out=None), HERE, watch)
        if base.refused:
            return replace(decision, refused=base.refused)
        evaluated += [each.record for each in base.by_rules]
    evaluated += [_run_as(options, batch, watch) for batch in batches(earlier)]
    run_again = partial(_run_as, replace(options, fresh=True, run=None), watch=watch)
    read = load_tasks(options.cases, project=options.root)  # of the rules, no check runs
    tasks = [task.without(options.unrecorded) for task in read]
    found = untrue_records([*brought, *earlier], evaluated, tasks, run_again, watch)
    return replace(decision, untrue=(*lost, *found))


def _by_rules_of_the_branch(decision: Decision, ref: str, before: Options, watch: Watch) -> Decision:
    # the branch's ledger may know of fewer tries, and each try draws another sample
    numbers = {each.record.adapter: each.record.sealed_evaluations for each in decision.by_rules}
    there = _decided_by(Decision(), replace(before, tries=numbers), f"the rules of {ref}", watch)
    gone = [replace(each, record=replace(each.record, path=None)) for each in there.by_rules]  # with its folder
    refused = there.refused.replace(f"{before.root}/", f"{ref}:")
    if refused and before.replays and decision.approved:
        # a file holds the outputs of one set of questions: the approval covers the edited ones
        return replace(decision, notes=(*decision.notes, f"approved, so not evaluated {refused}"))
    every = "\n".join(each for each in (refused, decision.refused) if each)
    return replace(decision, by_rules=(*gone, *decision.by_rules), refused=every)


def _configurations(rules: Rules) -> dict[str, UnitConfiguration]:
    return {unit.key: unit.configuration for unit in rules.units.values()}


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
