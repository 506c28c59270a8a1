"""Tests of promptfoo that promptfoo itself scores: what each asks, and which assertions and scripts decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.promptfoo_results import question_of_test, scorer_of
from tunegate.harness.begin.results.samples import mapping_at, question_of, text_of
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.imports.model import ImportedCase, RunnerCase, case_name
from tunegate.harness.imports.nearby import FILE, Nearby

MOST_COMMENT = 100  # characters of an assertion


def question_of_case(values: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """What results of a test are found by: see `ScoredSample.whole_question`."""
    return question_of(question_of_test(values, test), scorer_of(test))


def runner_case(values: Mapping[str, Any], test: Mapping[str, Any], prompt: str = "") -> RunnerCase | None:
    """A test as promptfoo scores it; None if nothing is asserted. `prompt` is what it sent, where that is known."""
    asserted = test.get("assert")
    if not isinstance(asserted, list) or not asserted:
        return None
    said = next(iter(values.values())) if len(values) == 1 else values
    text = text_of(said or prompt or case_name(test.get("description")) or "(no variables)")
    comments = tuple(shown(_comment(each)) for each in asserted)
    name = case_name(test.get("description"))
    group = question_of(prompt) if prompt else ""
    return RunnerCase(name, text if text.strip() else repr(text), question_of_case(values, test), comments, group)


def _comment(assertion: Any) -> str:
    found = mapping_at(assertion)
    return ": ".join(filter(None, [text_of(found.get("type"), 60), text_of(found.get("value"), MOST_COMMENT)]))


def runner_cases(found: Iterable[RunnerCase | None], cases: Iterable[ImportedCase]) -> tuple[RunnerCase, ...]:
    """The cases, each question once; none where the checks of `cases` say all that their assertions say."""
    known = {each.question: each for each in reversed([each for each in found if each])}
    whole = {case.question for case in cases if not case.comments}
    return tuple(reversed(known.values())) if known.keys() - whole else ()


def files_of(tests: Iterable[Mapping[str, Any]], nearby: Nearby) -> tuple[Path, ...]:
    """The files that assertions name, scripts too: they are not run or read here, but they decide."""
    names = dict.fromkeys(name for test in tests for name in _names(test.get("assert")))
    return tuple(dict.fromkeys(path for name in names for path in _inside(nearby, name)))


def _names(assertions: Any) -> Iterator[str]:
    for each in assertions if isinstance(assertions, list) else []:
        found = mapping_at(each)
        yield from (str(value) for value in found.values() if isinstance(value, str) and value.startswith(FILE))
        yield from _names(found.get("assert"))


def _inside(nearby: Nearby, name: str) -> Iterator[Path]:
    said = name.removeprefix(FILE)
    for each in (said, said.rpartition(":")[0]):  # `check.js:function`
        try:
            path = nearby.inside(nearby.folder / each, name)
            if each and path.is_file():
                yield path
                return
        except (Refused, ValueError, OSError):
            return
