"""Draw the examples that become cases, those that are set aside for few-shot, and training rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunegate.harness.begin.scaffold.drafts import Draft, Drafts
from tunegate.harness.begin.scaffold.infer import EACH
from tunegate.harness.begin.scaffold.suites import KeyLabel, SuiteDraft
from tunegate.harness.checks.text.traces import Passage, Rarity, plain_words
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed

MOST_TRIED, MOST_SHOWN = 4, 6  # examples that may become shots for each expectation, and expectations
MOST_COMPARED = 500  # inputs that each of them is compared with
SHOTS = ((20, 3), (6, 1))  # from this many examples on, this many become `shots`
FEW = 5  # cases of a label; with fewer, a model may lose it unseen (docs/write-cases.md)


@dataclass(frozen=True)
class Drawn:
    """The examples by what they become; those that are left become nothing."""

    cases: list[Draft]
    shots: list[Draft]
    rows: list[Draft]


def draw(drafts: Drafts, suite: SuiteDraft, limit: int, rows: int = 0) -> Drawn:
    """Draw the examples that become cases, at most `limit`, the few that become `shots`, and so many training `rows`.

    Each label is among the cases, and with its share of the rows. Within a label a digest of the input decides, so the
    draw does not depend on the order of rows, and a new row moves few others. What is not scored whole is only a case.

    Raises:
        Refused: no example would be left for a case, or too few for the training rows.
    """
    mixed = sorted(drafts.all, key=lambda each: hashlib.sha256(each.text.encode()).hexdigest())
    spared = next((count for least, count in SHOTS if len(mixed) >= least), 0) if suite.model_output else 0
    shots = _shots(mixed, _spare(mixed, suite), spared)
    taken = {each.line for each in shots}
    rest = _each_label_with_its_share([each for each in mixed if each.line not in taken], suite)
    whole = [each for each in rest if suite.is_whole(each)]
    if rows and (rows >= len(rest) or rows > len(whole)):
        left = f"{len(rest)} rows besides the worked examples"
        also = f", of which {len(whole)} have all expected values" if len(whole) < len(rest) else ""
        raise Refused(
            f"{drafts.table.name}: --rows {rows}: expected fewer than the {left}{also}, so that cases are left"
        )
    kept = whole[len(whole) - rows :]
    trained = {each.line for each in kept}
    cases = sorted([each for each in rest if each.line not in trained][:limit], key=lambda each: each.line)
    width = max(3, len(str(len(cases))))
    named = [replace(each, name=each.name or f"case-{number:0{width}}") for number, each in enumerate(cases, start=1)]
    return Drawn(named, shots, sorted(kept, key=lambda each: each.line))


def few_of_a_label(drafts: Drafts, suite: SuiteDraft, cases: Sequence[Draft]) -> str:
    """The labels of which there are few cases, with their numbers; empty if there are none."""
    counts = Counter(label for each in cases for label in suite.labels(each))
    known = dict.fromkeys(label for each in drafts.all for label in suite.labels(each))
    few = sorted((counts[label], label) for label in known if counts[label] < FEW)
    by_key: dict[str, list[str]] = {}
    for count, label in few:
        by_key.setdefault(label.key, []).append(f"{label.value} ({count})")
    return "; ".join(f"{key}: {listed(values)}" for key, values in by_key.items())


def _each_label_with_its_share(mixed: Sequence[Draft], suite: SuiteDraft) -> list[Draft]:
    """Examples ordered so that, of any number of the first, each label has its share, and at least one.

    The nth of m with a label stands at n/m of the whole, the first of them at the front; an example with several labels
    stands where the first of them puts it.
    """
    labels = {each.line: suite.labels(each) or (None,) for each in mixed}
    counts = Counter(label for each in labels.values() for label in each)
    seen: Counter[KeyLabel | None] = Counter()
    place: dict[int, float] = {}
    for each in mixed:
        seen.update(labels[each.line])
        place[each.line] = min(
            0.0 if seen[label] == 1 else seen[label] / counts[label] for label in labels[each.line]
        )  # fmt: skip
    return sorted(mixed, key=lambda each: place[each.line])


def _spare(mixed: Sequence[Draft], suite: SuiteDraft) -> list[Draft]:
    """The examples that may become shots: whole ones, of labels that have others."""
    counts = Counter(label for each in mixed for label in suite.labels(each))
    return [
        each for each in mixed
        if suite.is_whole(each) and all(counts[label] >= EACH for label in suite.labels(each))
    ]  # fmt: skip


def _shots(mixed: Sequence[Draft], spare: Sequence[Draft], count: int) -> list[Draft]:
    """Examples with different expectations, for a prompt; short ones, which cost fewer tokens.

    Those whose input is least like any other: a shot like a case would show the case's output.
    """
    if not count:
        return []
    middle = sorted(len(each.text) for each in mixed)[len(mixed) // 2]
    tried: dict[str, list[Draft]] = {}
    for each in spare:
        if len(each.text) <= middle and len(of_one := tried.setdefault(canonical(each.expected), [])) < MOST_TRIED:
            of_one.append(each)
    others = [(each.line, plain_words(each.text)) for each in mixed[:MOST_COMPARED]]
    rarity = Rarity.of([words for _, words in others])

    def likeness(draft: Draft) -> float:
        """The evidence that a prompt with this example holds another one, as lint reckons it, in nats."""
        shown = Passage(plain_words(draft.text))
        traces = (shown.traces(words, rarity) for line, words in others if line != draft.line and words)
        return max((each.evidence for found in traces for each in found), default=0.0)

    found = [min(of_one, key=likeness) for of_one in [*tried.values()][:MOST_SHOWN]]
    return sorted(found, key=likeness)[:count]
