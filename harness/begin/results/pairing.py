"""Two result files of one tool, paired by id: what is compared, what blocks a metric, and what a reader has to know."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tunegate.harness.begin.results.directions import BY_NAME, HIGHER, LOWER, Better, better_by_name
from tunegate.harness.begin.results.observations import Observations, grouped, has_groups, observations_of
from tunegate.harness.begin.results.samples import MOST_ID, ResultFile, ScoredSample, some_ids
from tunegate.harness.begin.results.settings import Settings
from tunegate.harness.checks.base import Kind
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.core.escaping import shown

ROUNDED = 1e-6  # of a score: a cosine of 1 is often a little more
OLD, NEW = "OLD", "NEW"
INSERTED = "its ids are places, so that what is inserted moves those behind it; add new ones at the end"
ByMetric = dict[str, list[float | None]]


@dataclass(frozen=True)
class PairedFiles:
    """Two files and what they are held to. The rest follows from these."""

    old: ResultFile
    new: ResultFile
    settings: Settings

    @cached_property
    def before(self) -> dict[str, list[ScoredSample]]:
        """The samples of OLD by id."""
        return self.old.by_id

    @cached_property
    def after(self) -> dict[str, list[ScoredSample]]:
        """The samples of NEW by id, of the ids that OLD has."""
        return {name: samples for name, samples in self.new.by_id.items() if name in self.before}

    def ids_of(self, metric: str) -> list[str]:
        """The ids of OLD that a metric is of."""
        only = self.old.only.get(metric)
        return [name for name in self.before if only is None or name in only]

    @cached_property
    def observations(self) -> Observations:
        """The observation of each id, as OLD has them: NEW is grouped alike.

        Raises:
            Refused: the ids of OLD may be repeats or may not.
        """
        return observations_of(self.old)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are compared: those of OLD with a score, of which none repeats another."""
        known = [name for name in self.old.metrics if any(sample.scores.get(name) is not None for sample in self._both)]
        repeated = {name for name, _ in self._repeated(known)}
        return tuple(name for name in known if name not in repeated)

    @property
    def _both(self) -> Iterator[ScoredSample]:
        yield from self.old.samples
        yield from self.new.samples

    @cached_property
    def scores(self) -> ByMetric:
        """The scores of both files by metric, for whatever is in a file."""
        names = dict.fromkeys((*self.old.metrics, *self.new.metrics))
        return {name: [sample.scores.get(name) for sample in self._both] for name in names}

    def _repeated(self, known: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The derived metrics that say what another one says of every sample, each with that one."""
        left = list(known)
        for name in (each for each in self.old.derived if each not in self.settings.named):
            others = [each for each in left if each != name and self.scores[each] == self.scores[name]]
            if name in left and others:
                left.remove(name)
                yield name, others[0]

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each metric that is compared: from 0 to 1 in OLD it is a share, unless it is an amount."""
        # by OLD only: one score of 1.5 in NEW would take its margin from a metric
        return {
            name: "pass/fail" if name not in self.old.amounts and not _outside(self.old.samples, name) else "continuous"
            for name in self.metrics
        }

    @cached_property
    def lower(self) -> dict[str, str]:
        """The metrics of which less is better, each with how that is known."""
        known = {name: self._better(self.old, name) for name in self.metrics}
        return {name: why for name, (better, why) in known.items() if better == LOWER}

    def _better(self, file: ResultFile, metric: str) -> tuple[Better | None, str]:
        """Whether more or less of a metric is better, and how that is known: declared, by its file or by its name."""
        if metric in self.settings.better:
            return self.settings.better[metric], "as declared"
        if metric in file.lower:
            return LOWER, file.lower[metric]
        if metric in file.higher:
            return HIGHER, file.higher[metric]
        return better_by_name(metric), BY_NAME

    @property
    def unknown(self) -> list[str]:
        """The metrics that are gated, and of which nothing says whether more or less is better."""
        gated = [name for name, kind in self.kinds.items() if kind == "pass/fail" or name in self.settings.named]
        return [name for name in gated if self._better(self.old, name)[0] is None]

    @cached_property
    def problems(self) -> dict[str, str]:
        """By metric, why it cannot be compared; nothing of one that can."""
        shared = [*self._missing(), *self._other_questions(), *self._other_groups(), *self._other_counts()]
        found = {name: "; ".join([*shared, *self._unscored(name), *self._other_scale(name)]) for name in self.metrics}
        return {name: why for name, why in found.items() if why}

    def _missing(self) -> Iterator[str]:
        if gone := [name for name in self.before if name not in self.after]:
            yield _about_ids(gone, "id of OLD is missing in NEW", "ids of OLD are missing in NEW")

    def _other_questions(self) -> Iterator[str]:
        changed = [
            name
            for name, samples in self.after.items()
            if self.before[name][0].question not in ("", samples[0].question)
        ]
        if changed:
            hint = f" ({INSERTED})" if self.old.by_place else ""
            differ = _about_ids(changed, "id differ", "ids differ")
            yield f"the questions changed: the inputs, expected outputs or groups of {differ}{hint}"

    def _other_groups(self) -> Iterator[str]:
        """Ids that NEW says to be one observation and OLD does not, where OLD has no inputs to see it by."""
        if has_groups(self.old) or not has_groups(self.new):
            return
        new = grouped(self.new)
        pairs = {(new[name], self.observations.of[name]) for name in self.after}
        questions = {one for one, _ in pairs}
        if len(pairs) > len(questions):
            asked = f"{len(questions):,} questions under {len(self.after):,} ids"
            yield f"NEW has {asked}, and OLD does not say so: name its inputs or groups, too"

    def _other_counts(self) -> Iterator[str]:
        """Ids of which NEW has more or fewer samples than OLD, unless it has as many of each."""
        # one more sample of an id that fails would raise its mean, one that is gone would hide it
        counts = {name: len(samples) for name, samples in self.after.items()}
        odd = [name for name, count in counts.items() if count != len(self.before[name])]
        if odd and len(set(counts.values())) > 1:
            other = "another number of samples in NEW than in OLD"
            yield _about_ids(odd, f"id has {other}", f"ids have {other}")

    def _unscored(self, metric: str) -> Iterator[str]:
        if metric not in self.new.metrics:
            yield "NEW does not have this metric"
            return
        for side, samples in ((OLD, self.before), (NEW, self.after)):
            asked = {name: samples[name] for name in self.ids_of(metric) if name in samples}
            unscored = [name for name, each in asked.items() if any(one.scores.get(metric) is None for one in each)]
            if unscored:
                error = self._error(samples[unscored[0]])
                yield f"{side} has no score of {_about_ids(unscored, 'id', 'ids')}{error}"

    def _other_scale(self, metric: str) -> Iterator[str]:
        """What NEW says of a metric that OLD does not, and that would turn its verdict."""
        if self.kinds[metric] == "pass/fail" and (odd := _outside(self.new.samples, metric)):
            yield f"the scores of OLD lie from 0 to 1, and NEW has others: {some_ids(odd)}"
        (old, _), (new, why) = (self._better(file, metric) for file in (self.old, self.new))
        if None not in (old, new) and old != new:
            less = "less" if new == LOWER else "more"
            yield f"NEW says that {less} is better ({why}) and OLD does not: use --better {shown(metric)}={new}"

    def _error(self, samples: Sequence[ScoredSample]) -> str:
        """What the tool says of the first error, in brackets; empty where it says nothing."""
        said = next((text for one in samples for text in one.reasons.values() if text), "")
        line = next(iter(said.strip().splitlines()), "")
        return f" ({shown(line[:MOST_ID])})" if line else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know beside the verdicts, a line each."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        yield from self._which_are_compared()
        for name, why in self.lower.items():
            turned = "its negative" if self.kinds[name] == "continuous" else "1 minus it"
            yield f"{shown(name)}: less is better ({why}), so {turned} is compared"
        for name, kind in self.kinds.items():
            if kind == "continuous" and name not in self.settings.margins and name not in self.problems:
                yield f"{shown(name)}: shown and not gated, since it has no bounds and no margin"
        if added := [name for name in self.new.by_id if name not in self.before]:
            only = "only in NEW and not compared"
            yield _about_ids(added, f"id is {only}", f"ids are {only}")
        counts = {name: max(len(samples), len(self.after.get(name, ()))) for name, samples in self.before.items()}
        if repeats := [name for name, count in counts.items() if count > 1]:
            verb = "ids have" if len(repeats) > 1 else "id has"
            yield f"{len(repeats):,} {verb} several samples ({some_ids(repeats)}): they are one case, with their mean"
        if (count := self.observations.count) < len(self.before):
            asked = f"{len(self.before):,} ids, {count:,} question{'s' if count > 1 else ''}"
            yield f"{asked}: ids {self.observations.why} are one observation, with their mean"
        yield from self._which_files()

    def _which_files(self) -> Iterator[str]:
        """What says little of the files, and what makes it doubtful that they belong together."""
        if self.old.task != self.new.task:
            yield f"the tasks have two names: {shown(self.old.task) or 'none'} and {shown(self.new.task) or 'none'}"
        sides = (OLD, self.old), (NEW, self.new)
        if without := [side for side, file in sides if not any(sample.question for sample in file.samples)]:
            yield f"no inputs in {' and '.join(without)}: whether the questions are the same cannot be checked"
        if self.old.made and self.new.made and self.new.made < self.old.made:
            yield f"NEW was made before OLD ({shown(self.new.made)}, {shown(self.old.made)}): are they swapped?"
        if self.old.samples == self.new.samples:
            yield "both files hold the same samples"
        yield from (f"{side}: {shown(note)}" for side, file in sides for note in file.notes)

    def _which_are_compared(self) -> Iterator[str]:
        for name, other in self._repeated(self.old.metrics):
            yield f"{shown(name)} is left out: it says of every sample what {shown(other)} says"
        left_out = {**self.new.left_out, **self.old.left_out}
        for why in dict.fromkeys(left_out.values()):
            names = [shown(name) for name, said in left_out.items() if said == why]
            yield f"not compared: {', '.join(names)} ({shown(why)})"
        if added := [shown(name) for name in self.new.metrics if name not in {*self.old.metrics, *left_out}]:
            yield f"only in NEW and not compared: {', '.join(added)}"


def _outside(samples: Sequence[ScoredSample], metric: str) -> list[str]:
    """The ids whose score lies outside 0 to 1, by more than rounding makes of it."""
    found = ((sample.id, sample.scores.get(metric)) for sample in samples)
    return [name for name, score in found if score is not None and not -ROUNDED <= score <= 1 + ROUNDED]


def _about_ids(ids: Sequence[str], one: str, several: str) -> str:
    """Something said of ids: their number, the words for one or several of them, and a few of them."""
    return f"{len(ids):,} {several if len(ids) > 1 else one}: {some_ids(ids)}"


def pair_files(old: ResultFile, new: ResultFile, settings: Settings) -> PairedFiles:
    """Pair two result files.

    Raises:
        Refused: they are of two tools, share no id, have nothing to compare, one id asks several questions, or it is
            not clear which ids ask the same one.
        UsageError: an option does not fit the files, or nothing says whether more or less of a metric is better.
        AuthoringError: the policy file does not.
    """
    if old.tool != new.tool:
        raise Refused(f"{new.name}: expected results of {old.tool}, as {old.name} holds, found those of {new.tool}")
    for file in (old, new):
        _check_questions(file)
    paired = PairedFiles(old, new, settings)
    if not paired.after:
        found = f"{some_ids(list(paired.before))} and {some_ids(list(new.by_id))}"
        raise Refused(f"{new.name}: expected ids of {old.name}, found none of them: {found}")
    if not paired.metrics:
        raise Refused(
            "\n".join([f"{old.name}: expected a metric with a score for each sample, found none", *paired.notes])
        )
    _ = paired.observations  # refused here, where nothing was written yet
    known = list(dict.fromkeys((*paired.metrics, *paired.old.metrics, *paired.new.metrics)))
    settings.check(paired.kinds, paired.lower, known)
    _check_directions(paired)
    return paired


def _check_directions(paired: PairedFiles) -> None:
    """See that it is known of each metric that may block whether more or less of it is better.

    Raises:
        UsageError: of some it is not.
    """
    if unknown := [shown(name) for name in paired.unknown]:
        names, found = ", ".join(unknown), "which neither its file nor its name says"
        options = " ".join(f"--better {shlex.quote(f'{name}={HIGHER}|{LOWER}')}" for name in unknown)
        raise UsageError(
            f"{paired.old.name}: expected to know whether more or less of {names} is better, {found}; add {options}"
        )


def _check_questions(file: ResultFile) -> None:
    """See that samples of one id ask one question.

    Raises:
        Refused: they do not, so that they are no repeats of one case.
    """
    torn = [name for name, samples in file.by_id.items() if len({each.question for each in samples}) > 1]
    if torn:
        raise Refused(
            f"{file.name}: expected one input for each id, found several of {some_ids(torn)}; give each its own id"
        )


def safe_names(raw: Mapping[str, None] | Sequence[str]) -> dict[str, str]:
    """Ids as a record can hold them: on one line, without a slash, and two that differ stay two."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for each in raw:
        name = base = shown(each).replace("/", "\u2215") or "(empty)"
        number = 1
        while name in taken:
            number += 1
            name = f"{base} ({number})"
        taken.add(name)
        found[each] = name
    return found
