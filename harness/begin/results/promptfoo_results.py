"""Results of promptfoo: `promptfoo eval -o results.json`, or a line for each result in `.jsonl`.

`pass` is what promptfoo's `success` says, `score` its weighted score. Beside them stand named metrics,
`latency` (in ms) and `cost`. A test has the number of its place; with several prompts or providers, of its column, too:
these and repeats of a test are one observation. One provider, or one prompt, can be read by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.directions import is_amount
from tunegate.harness.begin.results.samples import (
    MOST_REASON,
    ResultFile,
    ScoredSample,
    brief,
    groups_of,
    mapping_at,
    question_of,
    score_of,
    text_of,
)
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.formatting import listed

TOOL = "promptfoo"
A_FILE = "results of promptfoo (version 3 or later)"
PASS, SCORE, LATENCY, COST = "pass", "score", "latency", "cost"
ERROR = 2  # the `failureReason` of a result that has no output to be scored
KEYS = frozenset({"testIdx", "promptIdx", "vars", "success", "score"})


def is_result(value: Any) -> bool:
    """Whether a JSON value is one result, as a line of JSONL holds it."""
    if not isinstance(value, dict) or not value.keys() >= KEYS:
        return False
    return isinstance(value["testIdx"], int) and isinstance(value["promptIdx"], int)


def is_results(value: Any) -> bool:
    """Whether a JSON value is what `promptfoo eval -o` writes."""
    results = mapping_at(value, "results")
    return isinstance(results.get("results"), list) and "stats" in results


def read_results_object(path: Path, value: Mapping[str, Any], column: str = "") -> ResultFile:
    """Read results in JSON, which `value` holds; with `column`, those of the provider or prompt of that name.

    Raises:
        Unreadable: they are of an older version, fewer than the file counts, or none of that name.
    """
    results = value["results"]
    rows = [(1, row) for row in results["results"]]
    counted = [mapping_at(results, "stats").get(name) for name in ("successes", "failures", "errors")]
    total = sum(each for each in counted if isinstance(each, int))
    if len(rows) < total:
        raise Unreadable(path, f"{A_FILE}: the {total:,} that it counts", f"{len(rows):,}")
    return read_result_rows(path, rows, column, version_of(value), text_of(results.get("timestamp"), 40))


def version_of(value: Mapping[str, Any]) -> str:
    """The version of promptfoo that wrote results."""
    return text_of(mapping_at(value, "metadata").get("promptfooVersion"), 40)


def read_result_rows(
    path: Path, rows: Iterable[tuple[int, Any]], column: str = "", version: str = "", made: str = ""
) -> ResultFile:
    """Read results, each with its line; with `column`, those of the provider or prompt of that name.

    Raises:
        Unreadable: one of them is none, or none has that name.
    """
    found = list(rows)
    for line, row in found:
        if not is_result(row):
            expected = f"{A_FILE}: each with {', '.join(sorted(KEYS))}"
            raise Unreadable(path, expected, brief(row), "run it again with a newer promptfoo", line)
    names = column_names(row for _, row in found)
    found = _of_column(path, found, column) if column else found
    places = {each: place for place, each in enumerate(sorted({row["promptIdx"] for _, row in found}))}
    prompts = _filled_prompts(found)
    samples = tuple(_sample(row, places, prompts, line) for line, row in found)
    metrics = list(dict.fromkeys(name for sample in samples for name in sample.scores))
    return ResultFile(
        path, TOOL, samples, version, "", ", ".join(dict.fromkeys(_provider(row)[0] for _, row in found)), made,
        dict.fromkeys((LATENCY, COST), "promptfoo measures it"),
        dict.fromkeys((PASS, SCORE), "as promptfoo says") | dict.fromkeys(_asserted(found), "assertions pass above"),
        frozenset({LATENCY, COST, *filter(is_amount, metrics)}), (SCORE, PASS), by_place=True,
        notes=tuple(_notes(found)), column=column, columns=names,
    )  # fmt: skip


def column_names(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names that set the columns of a file apart: of providers, or of the prompts of a single one.

    None where there is one column.
    """
    given = sorted(rows, key=lambda row: int(row["promptIdx"]))
    providers = dict.fromkeys(map(_provider, given))
    labels = [label or name for name, label in providers]
    names = labels if len(set(labels)) == len(labels) else [name for name, _ in providers]
    found = names if len(providers) > 1 else list(dict.fromkeys(map(_label, given)))
    return tuple(found) if len(found) > 1 else ()


def provider_name(row: Mapping[str, Any]) -> str:
    """What the provider of a result is called: its label, or otherwise its id."""
    name, label = _provider(row)
    return label or name


def _provider(row: Mapping[str, Any]) -> tuple[str, str]:
    """Who gave an output: its id, and its label or nothing."""
    given = row.get("provider")
    if isinstance(given, dict):
        return text_of(given.get("id"), 200), text_of(given.get("label"), 200)
    return text_of(given, 200), ""


def _label(row: Mapping[str, Any]) -> str:
    """What promptfoo calls the prompt of a result."""
    prompt = mapping_at(row, "prompt")
    return text_of(prompt.get("label") or prompt.get("raw"), 200)


def _of_column(
    path: Path, rows: Sequence[tuple[int, Mapping[str, Any]]], name: str
) -> list[tuple[int, Mapping[str, Any]]]:
    """The results of the provider of that name, by its label or id, or otherwise those of the prompt.

    Raises:
        Unreadable: there is none, or there are several.
    """
    expected = f"one provider or prompt {name!r} in it"
    of_provider = [each for each in rows if name in _provider(each[1])]
    if len(several := {_provider(row) for _, row in of_provider}) > 1:
        raise Unreadable(path, expected, f"{len(several)} providers of that name")
    found = of_provider or [each for each in rows if name == _label(each[1])]
    if not found:
        names = column_names(row for _, row in rows) or list(dict.fromkeys(_provider(row)[0] for _, row in rows))
        raise Unreadable(path, expected, listed([brief(each) for each in names]), did_you_mean(name, names))
    return found


def _filled_prompts(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> bool:
    """Whether tests fill a prompt in: otherwise it says nothing of what one of them asks."""
    filled: dict[int, set[str]] = {}
    for _, row in rows:
        filled.setdefault(row["promptIdx"], set()).add(_prompt(row))
    return any(len(prompts) > 1 for prompts in filled.values())


def _prompt(row: Mapping[str, Any]) -> str:
    """A digest of the prompt with the variables in it."""
    return question_of(mapping_at(row, "prompt").get("raw"))


def _sample(row: Mapping[str, Any], places: Mapping[int, int], prompts: bool, line: int) -> ScoredSample:
    asked, checks = variables_of(row), mapping_at(row, "testCase").get("assert")
    grading = row.get("gradingResult")
    reason = grading.get("reason") if isinstance(grading, dict) else row.get("error")
    scores = dict.fromkeys(_names(row), None) if _is_error(row) else dict(_scores(row))
    return ScoredSample(
        f"{row['testIdx']}-{places[row['promptIdx']]}" if len(places) > 1 else str(row["testIdx"]), scores,
        question_of_test(asked, mapping_at(row, "testCase")), text_of(asked), _expected(checks), _output(row),
        reasons={"": text_of(reason, MOST_REASON)} if not row["success"] else {},
        # a variable that is in no prompt, such as an id, makes no other question
        groups=groups_of(question_of(asked), _prompt(row) if prompts or not asked else ""),
        scorer=scorer_of(mapping_at(row, "testCase")), line=line,
    )  # fmt: skip


def _is_error(row: Mapping[str, Any]) -> bool:
    """Whether a result is an error, not a failed assertion; files without the reason have no grading then."""
    if "failureReason" in row:
        return bool(row["failureReason"] == ERROR)
    return bool(row.get("error")) and not row.get("gradingResult")


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (PASS, SCORE, LATENCY)
    if "cost" in row:
        yield COST


def _scores(row: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    yield PASS, score_of(row["success"])
    yield SCORE, score_of(row["score"])
    for name, value in mapping_at(row, "namedScores").items():
        yield _named(name), score_of(value)
    yield LATENCY, score_of(row.get("latencyMs"))
    if "cost" in row:
        yield COST, score_of(row["cost"])


def _named(metric: str) -> str:
    """A named score beside those that promptfoo gives itself."""
    return f"metric {metric}" if metric in {PASS, SCORE, LATENCY, COST} else metric


def _asserted(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> set[str]:
    """The named scores that assertions give, and of which more is better: all that passed lie above all that failed.

    A script may give any score, or pass whatever it counts: of such ones promptfoo does not know what is better.
    """
    found: dict[str, tuple[list[float], list[float]]] = {}
    for name, passed, score in (each for _, row in rows if not _is_error(row) for each in _assertions(row)):
        if score is not None:
            found.setdefault(name, ([], []))[not passed].append(score)
    return {_named(name) for name, (passing, failing) in found.items() if _is_higher(passing, failing)}


def _is_higher(passing: Sequence[float], failing: Sequence[float]) -> bool:
    if passing and failing:
        return min(passing) > max(failing)
    # of one kind only: some pass with all of it, or fail with nothing
    return min(passing) > 0 and max(passing) >= 1 if passing else max(failing) < 1 and min(failing) <= 0


def _assertions(row: Mapping[str, Any]) -> Iterator[tuple[str, bool, float | None]]:
    """The metric of each assertion, with whether it passed and its score; None where the file does not say."""
    parts = mapping_at(row, "gradingResult").get("componentResults")
    if isinstance(parts, list) and parts:
        given = [
            (mapping_at(each, "assertion"), each.get("pass"), each.get("score")) for each in map(mapping_at, parts)
        ]
    else:
        checks = mapping_at(row, "testCase").get("assert")
        scores = mapping_at(row, "namedScores") if row["success"] else {}
        given = [(each, row["success"], scores.get(str(each.get("metric")))) for each in map(mapping_at, _list(checks))]
    yield from ((each["metric"], bool(passed), score_of(score)) for each, passed, score in given
                if isinstance(each.get("metric"), str))  # fmt: skip


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def variables_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a test, without those of the run itself."""
    return plain_variables(mapping_at(row, "vars"))


def plain_variables(given: Mapping[str, Any]) -> dict[str, Any]:
    """Variables without those of the run itself."""
    return {name: value for name, value in given.items() if not name.startswith("__") and name != "sessionId"}


def _plain_checks(checks: Any) -> list[Any]:
    """What each assertion holds an output to."""
    kept = ("type", "value", "threshold", "weight", "metric")
    return [
        {key: each[key] for key in kept if key in each} if isinstance(each, dict) else each for each in _list(checks)
    ]


def question_of_test(variables: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """A digest of what a test asks and holds an output to."""
    return question_of(dict(variables), _plain_checks(test.get("assert")))


def scorer_of(test: Mapping[str, Any]) -> str:
    """A digest of all that scores a test: its assertions whole, its threshold, and who grades what, by what prompt."""
    options = mapping_at(test, "options")
    graded = {key: options[key] for key in ("transform", "postprocess", "provider", "rubricPrompt") if key in options}
    return question_of(_list(test.get("assert")), test.get("threshold"), graded)


def _expected(checks: Any) -> str:
    """What the assertions expect, as one text."""
    values = [f"{each.get('type')}: {text_of(each.get('value'))}" for each in _plain_checks(checks)
              if isinstance(each, dict)]  # fmt: skip
    return text_of("\n".join(values))


def _output(row: Mapping[str, Any]) -> str | None:
    output = mapping_at(row, "response").get("output")
    return None if output is None else text_of(output)


def _notes(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
    responses = [mapping_at(row, "response") for _, row in rows]
    if cached := sum(each.get("cached") is True for each in responses):
        yield f"{cached} of {len(responses)} outputs came from promptfoo's cache: their latency says little"
