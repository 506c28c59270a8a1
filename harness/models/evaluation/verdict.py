"""What the gate finds, as it stands in a record: verdicts on units, with the numbers they rest on, and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tunegate.harness.cases.policy import Role
from tunegate.harness.cases.traffic.units import JudgeUse
from tunegate.harness.checks.base import Kind
from tunegate.harness.core.typed import OPTIONAL, Amount, Count, Number, Positive, Share, as_data
from tunegate.harness.models.evaluation.remarks import Remark, as_sentences, one_by_one, remarks_text

Verdict = Literal["regressed", "inconclusive", "held", "cannot fall", "improved", "ungated"]
Level = Annotated[Positive, Meta(le=1)]
Decided = Literal["release", "unproven", "block"]
ClaimOutcome = Literal["proved", "quality regressed", "quality inconclusive", "cost not lower", "not comparable"]

HEADS: Mapping[str, str] = {"block": "Blocked", "unproven": "Unproven"}  # of the causes of a decision

PartialRate = tuple[float, Number]  # a rate, and the number of its cases


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """A part of a unit's pass rule compared with the reference: its rate among the `n` cases that ask for it.

    Attributes:
        label: its name in messages; `named` is its name in task.yaml.
        margin: None if the part is not gated.
        difference: the mean over its `observations`, with the `interval` at the level of its unit.
        p_worse: the p-value of "worse", before correction.
        fell: it fell, which blocks.
        whole: its scores equal those of the whole unit.
        base_only, mean_only: the rate in each record on its own, if that has fewer cases that ask for the part.
    """

    name: str
    label: str
    n: Number
    base: float
    mean: float
    margin: float | None = None
    interval: tuple[float, float] | None = None
    p_worse: Share | None = None
    declared: str = ""
    fell: bool = False
    named: str = ""
    observations: Count = 0
    difference: float = 0.0
    whole: bool = False
    base_only: PartialRate | None = None
    mean_only: PartialRate | None = None


@dataclass(frozen=True, slots=True)
class NeverRight:
    """A field value that `n` cases expect and no output has right; the reference has it right in `base` of them.

    `value` is JSON. It is empty for sealed units, as it would reveal what their cases expect. If it is `lost`,
    significantly many cases lost it, and the unit is regressed.
    """

    field: str
    value: str
    n: Number
    base: Count
    lost: bool = False


@dataclass(frozen=True, slots=True)
class ValueFall:
    """A field value that `n` cases expect, of which the reference has `base` right, and the candidate `mean`.

    `value` is JSON. It is empty for sealed units.
    """

    field: str
    value: str
    n: Number
    base: Count
    mean: Count


def value_stratum(name: str, value: str) -> str:
    """Return the words for the cases that expect a value of a field."""
    return f"where '{name}' is {value}"


def tag_stratum(tag: str) -> str:
    """Return the words for the cases of a tag."""
    return f"in {tag}"


@dataclass(frozen=True, slots=True)
class LossPlace:
    """Where a loss is that the verdict has shown: of what was right in the reference, `fell` of `could` observations.

    Attributes:
        what: whether most of the loss is a loss of the form, of one field, or of neither.
        label: the name of the field or of the form in messages.
        stratum: the cases in which the loss is concentrated beyond chance, in words; empty if in none. Then `fell` and
            `could` are theirs, and `elsewhere` and `could_elsewhere` those of the others.
    """

    what: Literal["form", "field", "cases"]
    label: str
    fell: Count
    could: Count
    stratum: str = ""
    elsewhere: Count = 0
    could_elsewhere: Count = 0


@dataclass(frozen=True, slots=True)
class Alike:
    """How little the outputs of `n` cases depend on their inputs.

    Attributes:
        same: so many are the same, and most of these are wrong; otherwise 0.
        output: what these are; empty if it is long, and for sealed units.
        constant: so many cases expect the same, as many as the candidate passes or more; otherwise 0.
        expected: what they expect, as JSON; empty if it is long, and for sealed units.
    """

    n: Count = 0
    same: Count = 0
    constant: Count = 0
    expected: str = ""
    output: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Proof:
    """The mean `difference` of so many `observations`, and its lower bound (`least`) at the level of the verdict."""

    observations: Count
    difference: float
    least: float


@dataclass(frozen=True, slots=True)
class NearScores:
    """The `n` cases of a unit that training rows come near, whose gains prove nothing, and the `clean` others.

    Attributes:
        near, others: means over their observations, before and now; None for the others if there are none.
        gain, hold: what is left as a proof of a gain, and of no loss as large as the margin. Their observations are
            balanced: the reference has as much of them right as of all.
    """

    n: Number
    clean: Count
    near: tuple[float, float] | None
    others: tuple[float, float] | None
    gain: Proof
    hold: Proof


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """With labels: how many of the `inputs` have `differing` outputs, and what labels say of a `sample` of them.

    Attributes:
        snapshot: the digest (hex) of the traffic; empty of cases.
        better, worse: inputs of the sample where the candidate's output is better or worse.
        missing: inputs of the sample without labels of both outputs.
        number: the number of the try on this snapshot, which decides the sample and the level.
        topics: how many topics of one size the inputs are worth; None if their words show none.
        judge: what a judge's verdicts are used for, if there is one and not all that differs is labelled.
    """

    snapshot: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]
    inputs: Count
    differing: Count
    sample: Count
    better: Count
    worse: Count
    missing: Count
    number: Number
    topics: float | None = None
    judge: JudgeUse | None = None


@dataclass(frozen=True)
class UnitVerdict:
    """The verdict on one unit against one reference. Differences are tuned minus base, in the score's own unit.

    A guard whose reference passes nothing "cannot fall".

    Attributes:
        base, mean: means over the `observations`, which with groups are fewer than the cases.
        cases: how many the unit has, if the reference has only `n` of them unchanged; otherwise 0.
        interval: of the difference, each end one-sided at the `level` of the verdict.
        p_worse: the p-value of "worse", before correction for the number of `tests` of the run.
        declared: the reason given in task.yaml.
        margin: the tolerated loss.
        already_failing: critical cases that the reference failed.
        unstable: critical cases declared unstable, of which one output failed; two are needed to count.
        by_themselves: cases that flip when the base is re-run; the critical ones among them are `disarmed`.
        before: the reference's outputs for the regressed cases, unless the unit is sealed.
        worse_slices: slices that got worse.
        skipped: tags that are not slices.
        winsorised: observations that changed by the span or more, for scores without a bound.
        span: for continuous scores, the largest counted change of one observation.
        bounded: no change can exceed the span.
        collapsed: observations that fell by the span or more.
        collapse_bound: the upper bound of the share of cases that do; None if none can fall further.
        target_score: the score that a target must reach beside its gain.
        score_bound: the lower bound of the score, if there is a target score; `reached` if it is shown to reach that.
        lower: the unit is significantly worse.
        gained: a guard is significantly better, before correction.
        proven_by: for an open unit, its sealed counterpart that was evaluated in the same run.
        topics: what the topics come from between which the change differs; empty if it does not.
        effective: the number of independent cases that these are worth.
        together: the guards that it is held together with.
        below_service: how far it scores below the adapter in service, or 0, in the score's own unit; significantly if
            `is_below_shown`.
        run: for an open guard that is held at a late run of its cases, the number of that run; otherwise 1.
        near: the cases that training rows come near. They count in every number and in every test that may block; a
            gain, and that no loss is as large as the margin, must be shown without their gains, too.
        labelled: of traffic with labels, what the verdict rests on; regressed and fixed cases are of the sample, and no
            mean is known.
        loss_place: of a unit that is significantly worse, what fell and in which of its cases.
    """

    unit: str
    reference: str
    verdict: Verdict
    remarks: tuple[Remark, ...]
    role: Role
    kind: Kind
    n: Count
    base: float | None
    mean: float | None
    observations: Count = 0
    cases: Count = field(default=0, metadata=OPTIONAL)
    difference: float | None = None
    interval: tuple[float, float] | None = None
    level: Level | None = None
    p_worse: Share | None = None
    tests: Count = 0
    declared: str = ""
    margin: float | None = None
    regressed_cases: tuple[str, ...] = ()
    fixed_cases: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    already_failing: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()
    disarmed: tuple[str, ...] = ()
    by_themselves: tuple[str, ...] = ()
    before: Mapping[str, str | None] = field(default_factory=dict)
    worse_slices: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    winsorised: Count = 0
    span: Positive | None = None
    bounded: bool = True
    collapsed: Count = 0
    collapse_bound: Share | None = None
    target_score: float | None = None
    score_bound: float | None = None
    reached: bool = False
    lower: bool = False
    gained: bool = False
    sealed: bool = False
    proven_by: str = ""
    blocks: bool = False
    base_rates: Mapping[str, float] = field(default_factory=dict)
    topics: str = ""
    effective: Positive | None = None
    together: tuple[str, ...] = ()
    below_service: Amount = 0.0
    is_below_shown: bool = False
    run: Number = 1
    parts: tuple[PartVerdict, ...] = ()
    never_right: tuple[NeverRight, ...] = ()
    near: NearScores | None = None
    labelled: LabelledSample | None = field(default=None, metadata=OPTIONAL)
    falls: tuple[ValueFall, ...] = ()
    alike: Alike = Alike()
    loss_place: LossPlace | None = field(default=None, metadata=OPTIONAL)

    @property
    def is_unsettled(self) -> bool:
        """Whether it was compared, and the cases are too few to decide."""
        return self.verdict == "inconclusive" and self.difference is not None

    @property
    def reason(self) -> str:
        """Its remarks as a text."""
        return remarks_text(as_sentences(self.verdict.capitalize(), self.remarks))


@dataclass(frozen=True, slots=True)
class TaskDecision:
    """The decision on one task, by the verdicts on its units.

    Attributes:
        blocking: the units that block.
        short: targets that show no gain.
        no_target: the adapter was trained for this task, which declares no target.
        reused: open targets without a sealed unit, whose cases other adapters were evaluated on before.
        rewarded: the improved targets, if the adapter's reward saw the gain of each.
    """

    decision: Decided
    remarks: tuple[Remark, ...]
    blocking: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    no_target: bool = False
    reused: tuple[str, ...] = ()
    rewarded: tuple[str, ...] = field(default=(), metadata=OPTIONAL)

    @property
    def said(self) -> tuple[Remark, ...]:
        """Its remarks as sentences, one a reason."""
        return tuple(one_by_one(HEADS.get(self.decision, ""), self.remarks))

    @property
    def reason(self) -> str:
        """Its remarks as a text."""
        return remarks_text(self.said)

    def with_reason(self) -> dict[str, Any]:
        """Return its form for other programs, which print the text."""
        return {**as_data(self), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Claim:
    """The outcome of the claim for a `unit`; prices are means per call, in `currency`.

    `p` is the one-sided p-value of "cost lower", before correction for the number of claims.
    """

    unit: str
    outcome: ClaimOutcome
    reason: str
    currency: str
    before: float | None = None
    now: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
