"""Recorded baselines: one file per unit, one case per line, stable text, committed and reviewed like snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import file_digest, is_as_stamped
from tunegate.harness.core.reading import read_json
from tunegate.harness.core.typed import read_as
from tunegate.harness.models.api import ITSELF, SERVED, SUPPLIED, Completion
from tunegate.harness.models.evaluation.record import (
    Noise,
    Record,
    Result,
    Summary,
    odd_noise,
    odd_scores,
)

A_BASELINE = "a baseline"


@dataclass(frozen=True)
class Baseline:
    """One unit's recorded results: the model, the questions, the engine, and its `policy` at the time.

    `scorer` holds the versions of the scorers; `noise` is the measured noise, None if unmeasured. For a release,
    `adapter_at` is the adapter's path relative to the folder of baselines. `hosted` is the name of a hosted model
    (`openai:URL#MODEL`), `served` the version that an alias led to. `case_questions` are the digests of what each case
    asks (`Unit.case_questions`). `shared` are the unit's cases of now that a part of a record has; None if it has all.
    """

    unit: str
    subject: Mapping[str, str | None]
    engine: Mapping[str, str]
    questions: Mapping[str, str]
    configuration: Mapping[str, Any]
    scorer: Mapping[str, str]
    policy: Mapping[str, Any]
    summary: Summary
    results: Mapping[str, Result]
    path: Path
    digest: str = ""  # of the content, as in the ledger
    noise: Noise | None = None
    adapter_at: str = ""
    served: str = ""
    hosted: str = ""
    case_questions: Mapping[str, str] = field(default_factory=dict)
    shared: frozenset[str] | None = None

    @property
    def is_supplied(self) -> bool:
        """Whether outputs were made elsewhere and supplied, not generated."""
        return self.engine.get("backend") == SUPPLIED

    @property
    def completions(self) -> dict[str, Completion]:
        """Its outputs by generation digest, for reuse while their determinants are unchanged."""
        return {
            each.generation: each.as_completion(f"{self.unit}/{case}")
            for case, result in self.results.items()
            for each in (result.repeats or (result,))
            if each.generation and each.score is not None
        }


def baseline_path(root: Path, slug: str, unit: str, released: bool = False) -> Path:
    """Return the path of a unit's baseline (or last release): `<root>/<model>-<digest8>/<task>/<unit>.json`."""
    return root / slug / f"{unit}{'.released' if released else ''}.json"


def read_baseline(path: Path, unit: str) -> Baseline:
    """Read one unit's file.

    Raises:
        Refused: the file is missing, damaged, or another unit's.
    """
    name = show_path(path)
    try:
        data = read_json(path, A_BASELINE, published_schema("baseline"))
        summary = read_as(data["summary"], Summary, path, A_BASELINE)
        results = read_as(data["cases"], dict[str, Result], path, A_BASELINE)
        noise = read_as(data["noise"], Noise, path, A_BASELINE) if "noise" in data else None
    except Unreadable as error:
        found = "none" if error.is_missing else f"a damaged file ({error.found})"
        raise Refused(f"{unit}: expected a baseline at {name}, found {found}") from error
    if not is_as_stamped(data):
        raise Refused(f"{unit}: expected the baseline at {name} as it was recorded, found it edited")
    if data["unit"] != unit:
        raise Refused(f"{unit}: expected its baseline at {name}, found that of {data['unit']!r}")
    if odd := [*odd_scores(unit, summary, results), *(odd_noise(unit, noise, results) if noise else ())]:
        raise Refused(f"{unit}: expected a baseline at {name}, found a damaged file ({odd[0]})")
    return Baseline(
        unit, data["subject"], data["engine"], data["questions"], data["configuration"], data["scorer"], data["policy"],
        summary, results,
        path, data["digest"], noise, data.get("adapter_at", ""), data.get(SERVED, ""),
        data.get("hosted", ""), {case: raw["question"] for case, raw in data["cases"].items()},
    )  # fmt: skip


def state(root: Path, slug: str, units: Iterable[Unit], released: bool = False) -> dict[str, str | None]:
    """Return the digest of each unit's file, None if there is none, as the state when a writer begins."""
    paths = {unit.key: baseline_path(root, slug, unit.key, released) for unit in units}
    return {unit: file_digest(path) if path.is_file() else None for unit, path in paths.items()}


def as_reference(
    baselines: Sequence[Baseline], engine: Mapping[str, str] | None = None, created: str = ""
) -> Record:  # fmt: skip
    """Return baselines of several units as one record to compare with, `created` when the last of them was recorded.

    Its engine is theirs; if some were recorded on another one than `engine`, it is that of the first of these.
    """
    first = next((each for each in baselines if engine and each.engine != engine), baselines[0])
    place = next((each.adapter_at for each in baselines if each.adapter_at), "")
    names = {"model": "baseline"} | ({"adapter_at": place} if place else {})
    versions = sorted({each.served or ITSELF for each in baselines})
    names |= {"hosted": first.hosted} if first.hosted else {}
    names |= {SERVED: ", ".join(versions)} if versions != [ITSELF] else {}
    return Record(
        partial=False,
        fingerprint={"subject": first.subject, "engine": first.engine, "names": names},
        questions={each.unit: each.questions for each in baselines},
        configurations={each.unit: each.configuration for each in baselines},
        cases={f"{each.unit}/{case}": result for each in baselines for case, result in each.results.items()},
        units={each.unit: each.summary for each in baselines},
        policies={each.unit: each.policy for each in baselines},
        scorers={each.unit: each.scorer for each in baselines},
        noise={each.unit: each.noise for each in baselines if each.noise},
        shared={each.unit: each.shared for each in baselines if each.shared is not None},
        created=created,
        path=first.path.parent.parent,
    )


def digests(baselines: Sequence[Baseline]) -> dict[str, str]:
    """Return the digest of each baseline file, for a training record."""
    return {each.unit: file_digest(each.path) for each in baselines}
