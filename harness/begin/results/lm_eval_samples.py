"""Samples of lm-evaluation-harness: `samples_TASK_DATE.jsonl`, a line for each document and filter.

What the harness keeps as a list (bleu, word_perplexity, f1, brier_score) has no score for each sample: it makes one
number of the whole file, and is left out here. `results_DATE.json` beside it says of which metrics less is better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.directions import BY_NAME, HIGHER, better_by_name, is_amount
from tunegate.harness.begin.results.foreign_json import lines_of, parse_file
from tunegate.harness.begin.results.samples import (
    ResultFile,
    ScoredSample,
    brief,
    groups_of,
    id_text,
    is_scalar,
    mapping_at,
    question_of,
    score_of,
    text_of,
)
from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.reading import read_bytes

TOOL = "lm-evaluation-harness"
A_FILE = "samples of lm-evaluation-harness (samples_*.jsonl)"
KEYS = frozenset({"doc_id", "doc", "metrics", "resps"})
NO_FILTER = "none"
#: By sample the harness keeps the log-likelihood under this name, of which more is better.
LOG_LIKELIHOOD = "perplexity"
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")


def is_sample(value: Any) -> bool:
    """Whether a JSON value is a line of such a file."""
    return isinstance(value, dict) and value.keys() >= KEYS


def samples_in(folder: Path) -> dict[str, Path]:
    """Return the newest file of samples of each task in a folder that `--output_path` named, or in one below it."""
    found = [*folder.glob("samples_*.jsonl"), *folder.glob("*/samples_*.jsonl")]
    named = [(name, path) for path in found if (name := _NAME.fullmatch(path.name))]
    return {name["task"]: path for name, path in sorted(named, key=lambda each: each[0]["date"])}


def is_aggregate(value: Any) -> bool:
    """Whether a JSON value is what `results_*.json` holds, which has no samples."""
    return isinstance(value, dict) and {"results", "configs", "versions", "n-shot"} <= value.keys()


@dataclass
class _Document:
    """What the lines of one document say: one for each filter."""

    line: int
    raw: Mapping[str, Any]
    scores: dict[str, float | None] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


def read_samples(path: Path) -> ResultFile:
    """Read a file of samples.

    Raises:
        Unreadable: a line is cut off or none of a sample, or there are fewer than `results_*.json` beside it counts.
    """
    documents: dict[tuple[str, int], _Document] = {}
    seen: dict[tuple[str, str], int] = {}
    left_out: dict[str, str] = {}
    for number, raw in lines_of(path, A_FILE):
        if not is_sample(raw) or not isinstance(raw["metrics"], list):
            raise Unreadable(path, f"{A_FILE}, each line with doc_id, doc, resps and metrics", brief(raw), "", number)
        name, chosen = id_text(raw["doc_id"]), str(raw.get("filter", NO_FILTER))
        repeat = seen[name, chosen] = seen.get((name, chosen), -1) + 1
        document = documents.setdefault((name, repeat), _Document(number, raw))
        document.outputs[chosen] = raw.get("filtered_resps")
        for metric, value in _metrics(raw, chosen):
            if is_scalar(value):
                document.scores[metric] = score_of(value)
            else:
                left_out[metric] = "the harness keeps no score of it for each sample, and makes one of the whole file"
    samples = tuple(_sample(name, each) for (name, _), each in documents.items())
    return _with_results(ResultFile(path, TOOL, samples, left_out=left_out), len({name for name, _ in documents}))


def _metrics(raw: Mapping[str, Any], chosen: str) -> Iterator[tuple[str, Any]]:
    """The metrics of a line, each with its filter behind a comma, as the harness names them."""
    behind = "" if chosen == NO_FILTER else f",{chosen}"
    names = [metric for metric in raw["metrics"] if isinstance(metric, str)]
    yield from ((f"{metric}{behind}", raw.get(metric)) for metric in names)


def _sample(name: str, document: _Document) -> ScoredSample:
    raw = document.raw
    question = question_of(raw["doc"], raw.get("target"))
    outputs = list(document.outputs.values())
    output = outputs[0] if all(each == outputs[0] for each in outputs) else document.outputs
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    return ScoredSample(
        name, document.scores, question, _prompt(raw), text_of(raw.get("target")), text_of(output),
        # a document with an id of its own in it asks what it asks
        groups=groups_of(question_of(raw["doc"]), question_of(raw.get("arguments"))), line=document.line,
    )  # fmt: skip


def _prompt(raw: Mapping[str, Any]) -> str:
    first = mapping_at(raw, "arguments", "gen_args_0")
    return text_of(first.get("arg_0") if first else raw["doc"])


def _with_results(found: ResultFile, documents: int) -> ResultFile:
    """The file with what the results beside it say: directions, the model, how many documents there are."""
    named = _NAME.fullmatch(found.path.name)
    beside = found.path.with_name(f"results_{named['date']}.json") if named else None
    results: Any = {}
    if beside is not None and beside.is_file():
        results = parse_file(beside, read_bytes(beside), "results of lm-evaluation-harness")
    task = named["task"] if named else ""
    _check_documents(found.path, mapping_at(results, "n-samples", task), documents)
    better = mapping_at(results, "higher_is_better", task)
    return ResultFile(
        found.path, TOOL, found.samples, text_of(mapping_at(results).get("lm_eval_version"), 40), task,
        text_of(mapping_at(results).get("model_name"), 200), named["date"] if named else "",
        lower=dict(_directions(found, better, beside.name if beside else "", False)),
        higher=dict(_directions(found, better, beside.name if beside else "", True)),
        amounts=frozenset(name for name in found.metrics if is_amount(name.partition(",")[0])),
        left_out=found.left_out, notes=tuple(_notes(found)),
    )  # fmt: skip


def _check_documents(path: Path, counted: Mapping[str, Any], found: int) -> None:
    expected = counted.get("effective")
    if isinstance(expected, int) and found < expected:
        raise Unreadable(
            path, f"the {expected:,} documents that the results beside it count", f"{found:,}", "was the file cut off?"
        )


def _directions(found: ResultFile, better: Mapping[str, Any], where: str, higher: bool) -> Iterator[tuple[str, str]]:
    """The metrics of which more is better, or less, each with how that is known: by the results, or by its name."""
    for metric in found.metrics:
        name = metric.partition(",")[0]
        if name == LOG_LIKELIHOOD:
            if higher:
                yield metric, "a log-likelihood"
        elif isinstance(better.get(name), bool):
            if better[name] is higher:
                yield metric, f"{where} says higher_is_better: {str(higher).lower()}"
        elif (named := better_by_name(name)) and (named == HIGHER) is higher:
            yield metric, BY_NAME


def _notes(found: ResultFile) -> Iterator[str]:
    for metric in found.metrics:
        if metric.partition(",")[0] == LOG_LIKELIHOOD:
            yield f"{metric}: for each sample the harness keeps the log-likelihood, of which more is better"
