"""Configurations of promptfoo: `promptfooconfig.yaml` with the data files beside it, or its CSV of tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.promptfoo_results import plain_variables
from tunegate.harness.begin.results.samples import text_of
from tunegate.harness.cases.template import has_placeholder, misspelt
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import NotJson, parse_foreign_json
from tunegate.harness.imports.model import (
    MOST_CASES,
    AskedPrompt,
    Imported,
    ImportedCase,
    LeftOut,
    RunnerUnit,
    Tally,
    prompt_of,
    too_many,
)
from tunegate.harness.imports.nearby import DATA, FILE, SCRIPTS, TEXTS, Nearby
from tunegate.harness.imports.promptfoo_checks import Checks, Reader
from tunegate.harness.imports.promptfoo_scored import files_of, question_of_case, runner_case, runner_cases
from tunegate.harness.imports.promptfoo_tests import AFFIXES, MAGIC, PromptfooTest, TestReader, as_list, test_of_row
from tunegate.harness.imports.templates import filled_template, recorded_output, template_fields

TOOL = "promptfoo"
CONFIGS = ("promptfooconfig.yaml", "promptfooconfig.yml", "promptfooconfig.json")
KEYS = frozenset({"prompts", "tests", "providers", "scenarios", "defaultTest", "targets"})
PROMPT = "__prompt"  # the variable with the prompt, in a CSV of tests without one
RECORDED = "providerOutput"  # the model's name of outputs that tests hold
MOST_NAME = 300  # characters of a prompt that may be the name of a file
_PROMPT_SPLIT = re.compile(r"^[^\S\n]*---[^\S\n]*$", re.MULTILINE)
_HANDLED = {"transform", "postprocess", "disableVarExpansion", "disableDefaultAsserts"}
_READ = {"vars", "assert", "description", "options", "metadata", "threshold", "prompts", "providerOutput"}


def is_config(value: Any) -> bool:
    """Whether a YAML or JSON value is a configuration."""
    if not isinstance(value, Mapping) or ("redteam" in value and not {"tests", "scenarios"} & value.keys()):
        return False
    return len(KEYS & value.keys()) >= 2 and bool({"prompts", "tests"} & value.keys())


def is_tests(rows: Any) -> bool:
    """Whether the rows of a CSV are tests."""
    return bool(rows) and isinstance(rows[0], Mapping) and any(str(key).startswith(MAGIC) for key in rows[0])


@dataclass(frozen=True)
class _Prompt:
    """One prompt: its text or messages, still with variables, and its name."""

    said: Any
    label: str


def read_config(path: Path, config: Mapping[str, Any], root: Path | None = None) -> Imported:
    """Import a configuration, with the files beside it, or below `root`.

    Raises:
        Refused: it names no prompt or test that can be used, or too many.
    """
    return _Reading(path, config, root=root).imported()


def read_tests(path: Path, rows: Sequence[Mapping[str, str]], column: str | None) -> Imported:
    """Import a CSV of tests without a prompt: one column is the prompt.

    Raises:
        UsageError: it has several columns of variables, and none is named.
    """
    columns = [key for key in rows[0] if not key.startswith(MAGIC)]
    if column is None and len(columns) != 1:
        there = ", ".join(map(shown, columns)) or "none"
        raise UsageError(
            f"--input: expected the column of {show_path(path)} with the prompt ({there}), found none; or import the "
            "promptfooconfig.yaml that names this file"
        )
    if (name := column or columns[0]) not in columns:
        raise UsageError(f"--input {shown(name)}: expected a column of {show_path(path)}, found no such column")
    tests = [test_of_row(row) for row in rows]
    for test, row in zip(tests, rows, strict=True):
        test["vars"][PROMPT] = row[name]
    reading = _Reading(path, {"prompts": [f"{{{{{PROMPT}}}}}"], "tests": tests})
    if others := [each for each in columns if each != name]:
        reading.tally.left["column", f"not in a prompt: {', '.join(map(shown, others))}"] += len(others)
    return reading.imported()


@dataclass
class _Reading:
    """The reading of one configuration."""

    path: Path
    config: Mapping[str, Any]
    tally: Tally = field(default_factory=Tally)
    templates: dict[str, str] = field(default_factory=dict)
    root: Path | None = None

    @cached_property
    def nearby(self) -> Nearby:
        return Nearby(self.path.parent, root=self.root)

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.nearby, self.tally, self.config)

    def imported(self) -> Imported:
        cases = tuple(self.cases())
        scored = self._scored(cases)
        if scored and len(self.templates) > 1:  # an output in a result file is of one prompt
            cases = ()
        return Imported(TOOL, self.path, cases, self.tally, self.templates, scored=scored)

    @cached_property
    def tests(self) -> list[PromptfooTest]:
        read = TestReader(self.path, self.config, self.nearby, self.tally).read()
        return [replace(each, raw={**each.raw, "assert": self.reader.resolved(each.raw)}) for each in read]

    def _scored(self, cases: Sequence[ImportedCase]) -> RunnerUnit | None:
        """The tests as promptfoo scores them; None if the checks of all cases say the same."""
        left = runner_cases((runner_case(plain_variables(each.values), each.raw) for each in self.tests), cases)
        files = files_of([each.raw for each in self.tests], self.nearby)
        return RunnerUnit(TOOL, left, files=files) if left else None

    def cases(self) -> Iterator[ImportedCase]:
        """Each test with each prompt, if it has a check."""
        self._unused()
        prompts, tests = list(self._prompts()), self.tests
        if len(prompts) * len(tests) > MOST_CASES:
            raise too_many(self.path)
        if not prompts and not any(test.raw["assert"] for test in tests):
            raise Refused(f"{show_path(self.path)}: expected a prompt that can be filled, {self._without_prompt()}")
        checked = [(test, self._checks(test)) for test in tests]
        for number, prompt in enumerate(prompts, start=1):
            name = f"prompt-{number}" if len(prompts) > 1 else ""
            used = [(test, checks) for test, checks in checked if checks and self._uses(test, prompt)]
            template = self._template(prompt, [test for test, _ in used])
            self.templates[name] = template or "{input}"
            for test, checks in used:
                if case := self._case(prompt, test, checks, bool(template), name):
                    yield case

    def _without_prompt(self) -> str:
        left = [shown(f"{kind} ({why})") for (kind, why) in self.tally.left if kind.startswith("prompt")]
        return f"found none; left out: {', '.join(left)}" if left else "found none"

    def _unused(self) -> None:
        """Count the parts of a configuration that say how to run it."""
        providers = self.config.get("providers", self.config.get("targets"))
        if providers:
            count = len(providers) if isinstance(providers, list) else 1
            self.tally.left["provider", "name a model with --tg-model"] += count
        known = KEYS | {"description", "tags", "assertionTemplates", "$schema", "providers"}
        self.tally.unused("setting {}", self.config.keys() - known, "not of a test")

    def _prompts(self) -> Iterator[_Prompt]:
        said = self.config.get("prompts")
        entries = said if isinstance(said, list) else list(said) if isinstance(said, Mapping) else [said]
        for entry in filter(None, entries):
            label = ""
            if isinstance(entry, Mapping) and not isinstance(entry.get("role"), str):
                label = text_of(entry.get("label") or entry.get("id"), 100)
                entry = entry.get("raw") or entry.get("id")
            try:
                for found in self._prompt_texts(entry):
                    _check_fields(found)
                    self.tally.taken["prompt"] += 1
                    yield _Prompt(found, label or text_of(entry, 100))
            except (LeftOut, Refused) as error:
                self.tally.left[f"prompt {shown(text_of(entry, 40))!r}", str(error)] += 1

    def _prompt_texts(self, entry: Any) -> list[Any]:
        """The prompts that an entry holds or names."""
        if not isinstance(entry, str):
            return [entry]
        if entry.startswith("exec:"):
            raise LeftOut("a script, which is not run")
        # without file://, a word with such an ending names a file too, and `prompts.py:make` a function
        said = entry.removeprefix(FILE).strip()
        kinds = {Path(name).suffix.lower() for name in (said, said.partition(":")[0])}
        is_name = len(said) < MOST_NAME and not set(" \n") & set(said)
        is_file = entry.startswith(FILE) or (is_name and bool(kinds & {*TEXTS, *DATA, *SCRIPTS}))
        if not is_file:
            return [prompt_messages(entry)]
        return [each for path in self.nearby.glob(entry) for each in self._prompt_file(path)]

    def _prompt_file(self, path: Path) -> list[Any]:
        kind = path.suffix.lower()
        if kind == ".csv":
            rows = self.nearby.rows(path)
            return [row.get("prompt") or next(iter(row.values()), "") for row in rows]
        if kind == ".jsonl":
            return [prompt_messages(line) for line in self.nearby.text(path).split("\n") if line.strip()]
        if kind not in (*TEXTS, *DATA):
            raise LeftOut(f"a prompt in a file of kind {kind or 'none'}")
        if kind in (".yaml", ".yml"):
            return [self.nearby.data(path)]
        text = self.nearby.text(path)
        # promptfoo also trims them
        parts = [each.strip() for each in _PROMPT_SPLIT.split(text)] if kind == ".txt" else [text]
        return [prompt_messages(each) for each in parts if each.strip()]

    def _checks(self, test: PromptfooTest) -> Checks | None:
        """The checks of a test; None if it has none."""
        checks = self.reader.read(test.raw, test.values)
        threshold = test.raw.get("threshold")
        self.tally.unused("{} of a test", test.raw.keys() - _READ)
        self.tally.unused("option {} of a test", test.options.keys() - AFFIXES - _HANDLED)
        if checks.is_empty:
            why = "none of its assertions has a home" if test.raw.get("assert") else "without an assertion"
            self.tally.left["test", why] += 1
            return None
        if threshold is not None and str(threshold) not in ("1", "1.0"):
            self.tally.changed["threshold", "every check must hold"] += 1
        return checks

    def _uses(self, test: PromptfooTest, prompt: _Prompt) -> bool:
        named = test.raw.get("prompts")
        return not named or any(prompt.label == each or prompt.label.startswith(f"{each}:") for each in as_list(named))

    def _template(self, prompt: _Prompt, tests: Sequence[PromptfooTest]) -> str:
        """The user's message around `{input}`, if the prompt is one text with one variable; otherwise empty."""
        if not isinstance(prompt.said, str) or any(AFFIXES & test.options.keys() for test in tests):
            return ""
        names = template_fields(prompt.said)
        values = [test.values.get(names[0]) for test in tests] if len(names) == 1 else [None]
        if not all(isinstance(value, str) and value.strip() and "{{" not in value for value in values):
            return ""
        if has_placeholder(prompt.said):
            return ""
        made = filled_template(prompt.said, {names[0]: "{input}"}, Tally())
        return made if made.count("{input}") == 1 and not misspelt(Document(self.path, None, {}), made, ()) else ""

    def _case(
        self, prompt: _Prompt, test: PromptfooTest, checks: Checks, is_plain: bool, name: str
    ) -> ImportedCase | None:
        try:
            asked = self._asked(prompt, test, is_plain)
        except LeftOut as error:
            self.tally.left["test", error.why] += 1
            return None
        outputs = recorded_output(RECORDED, test.raw.get("providerOutput"))
        question = question_of_case(plain_variables(test.values), test.raw)
        return checks.case(asked, test.raw, outputs=outputs, set_name=name, question=question)

    def _asked(self, prompt: _Prompt, test: PromptfooTest, is_plain: bool) -> AskedPrompt:
        if is_plain:
            return AskedPrompt(None, (), str(test.values[template_fields(prompt.said)[0]]))
        asked = prompt_of(_filled_all(prompt.said, test.values, self.tally), self.tally)
        before, after = (_affix(test, key, self.tally) for key in ("prefix", "suffix"))
        return replace(asked, text=f"{before}{asked.text}{after}")


def _affix(test: PromptfooTest, key: str, tally: Tally) -> str:
    said = test.options.get(key)
    return filled_template(said, test.values, tally) if isinstance(said, str) else ""


def prompt_messages(text: str) -> Any:
    """The messages that a prompt of JSON holds; any other prompt is its text."""
    if not text.lstrip().startswith("["):
        return text
    try:
        found = parse_foreign_json(text)
    except NotJson:
        return text
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else text


def _check_fields(said: Any) -> None:
    """Look for what cannot be filled.

    Raises:
        LeftOut: names it.
    """
    if isinstance(said, str):
        template_fields(said)
    elif isinstance(said, Mapping | list):
        for each in said.values() if isinstance(said, Mapping) else said:
            _check_fields(each)


def _filled_all(said: Any, values: Mapping[str, Any], tally: Tally) -> Any:
    if isinstance(said, str):
        return filled_template(said, values, tally)
    if isinstance(said, list):
        return [_filled_all(each, values, tally) for each in said]
    if isinstance(said, Mapping):
        return {key: _filled_all(value, values, tally) for key, value in said.items()}
    return said
