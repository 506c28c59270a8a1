"""Tasks of lm-evaluation-harness: YAML with data files beside it, and templates that only name fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.imports.model import (
    AskedPrompt,
    Imported,
    ImportedCase,
    LeftOut,
    Tally,
    case_name,
    counted_cases,
    objects_of,
    prompt_of,
    tag_text,
)
from tunegate.harness.imports.nearby import Nearby
from tunegate.harness.imports.rules import WHITE, Rule, any_of
from tunegate.harness.imports.targets import BY_LETTER, by_letter, targets_of
from tunegate.harness.imports.templates import as_template_text, filled_template
from tunegate.harness.results.samples import text_of

TOOL = "lm-evaluation-harness"
LOADERS = frozenset({"json", "csv", "text"})
MOST_INCLUDED = 5
SPLITS = ("test_split", "validation_split", "training_split")
GENERATE, CHOICE = "generate_until", "multiple_choice"
_KEYS = frozenset({"dataset_path", "doc_to_text", "doc_to_target", "output_type", "include", "metric_list"})
_FUNCTIONS = ("process_docs", "process_results", "custom_dataset", "class")
_USED = frozenset({
    "task", "dataset_path", "dataset_kwargs", "test_split", "validation_split", "training_split", "output_type",
    "doc_to_text", "doc_to_target", "doc_to_choice", "metric_list", "include", "tag", "group", "metadata",
    "description", "dataset_name", "target_delimiter", "task_alias", "filter_list",
})  # fmt: skip
_PLAIN = frozenset({"metric", "aggregation", "higher_is_better", "ignore_case"})


def is_task(value: Any) -> bool:
    """Whether a YAML value is a task or a group of tasks."""
    return isinstance(value, Mapping) and bool(
        ("task" in value and (_KEYS & value.keys() or "group" in value)) or len(_KEYS & value.keys()) > 2
    )


def read_lm_eval_task(path: Path, task: Mapping[str, Any]) -> Imported:
    """Import a task whose data lie beside it: exact matches of generated text, and choices by their letters.

    Raises:
        Refused: its data are elsewhere, code makes its prompts, or it is scored in a way without a home here.
    """
    nearby, tally = Nearby(path.parent), Tally()
    task = _whole(nearby, path, task)
    _check_form(path, task)
    ignores_case, white = _metrics(path, task, tally), _white(path, task)
    for key in sorted(key for key in task.keys() - _USED if task[key] not in (None, 0, 1, "", [], {})):
        tally.left[f"key {shown(text_of(key, 40))}", "not used"] += 1
    cases = []
    for doc in _docs(nearby, path, task, tally):
        try:
            cases.append(_case(task, doc, ignores_case, white, tally))
            tally.taken["doc"] += 1
        except LeftOut as error:
            tally.left["doc", error.why] += 1
    templates = {"": BY_LETTER} if task.get("output_type") == CHOICE else {}
    return Imported(TOOL, path, counted_cases(cases, path), tally, templates)


def _whole(nearby: Nearby, path: Path, task: Mapping[str, Any], level: int = 0) -> Mapping[str, Any]:
    """The task with what it includes."""
    names = [each for each in _listed(task.get("include")) if isinstance(each, str)]
    if not names:
        return task
    if level == MOST_INCLUDED:
        raise Refused(f"{show_path(path)}: expected at most {MOST_INCLUDED} files that include one another, found more")
    whole: dict[str, Any] = {}
    for name in names:
        file = nearby.find(name, path.parent)
        other = nearby.yaml(file)
        if not isinstance(other, Mapping):
            raise Refused(f"{show_path(path)}: include: expected a task, found {text_of(other, 40)!r}")
        whole |= _whole(nearby, file, other, level + 1)
    return whole | dict(task)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_form(path: Path, task: Mapping[str, Any]) -> None:
    if isinstance(task.get("task"), list):
        raise _no(path, "task", "one task", "a group of tasks", "import its tasks one by one")
    for key in (*_FUNCTIONS, *(f"doc_to_{each}" for each in ("text", "target", "choice"))):
        said = task.get(key)
        if said is not None and (key in _FUNCTIONS or (isinstance(said, str) and said.startswith("!function"))):
            raise _no(path, key, "a template", "code, which is not run", "")
    if (kind := task.get("output_type", GENERATE)) not in (GENERATE, CHOICE):
        raise _no(path, "output_type", f"{GENERATE} or {CHOICE}", text_of(kind, 40), "no suite scores it from a file")
    loader = task.get("dataset_path")
    if not isinstance(loader, str) or loader not in LOADERS:
        hint = "save its rows as .jsonl beside the task, with dataset_path: json and data_files"
        raise _no(path, "dataset_path", "local data (json, csv)", text_of(loader, 60) or "none", hint)
    for key in ("doc_to_text", "doc_to_target"):
        if key not in task:
            raise _no(path, key, "a template", "none", "")
    if kind == CHOICE and "doc_to_choice" not in task:
        raise _no(path, "doc_to_choice", "the choices", "none", "")


def _no(path: Path, key: str, expected: str, found: str, hint: str) -> Refused:
    return Refused(f"{show_path(path)}: {key}: expected {expected}, found {shown(found)}{hint and f'; {hint}'}")


def _metrics(path: Path, task: Mapping[str, Any], tally: Tally) -> bool:
    """Whether letter case is ignored; the other metrics are left out.

    Raises:
        Refused: no metric has a home.
    """
    listed = task.get("metric_list")
    metrics = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    home = "exact_match" if task.get("output_type", GENERATE) == GENERATE else "acc"
    mine = [each for each in metrics if each.get("metric") == home and not _odd_options(each)]
    for each in metrics:
        if each not in mine:
            odd = _odd_options(each) if each.get("metric") == home else ""
            why = f"{odd} changes the texts that it compares" if odd else "no check here scores it"
            tally.left[f"metric {shown(text_of(each.get('metric'), 40))}", why] += 1
    if metrics and not mine:
        names = ", ".join(filter(None, (f"{text_of(each.get('metric'), 40)} {_odd_options(each)}" for each in metrics)))
        raise _no(path, "metric_list", f"{home} of whole texts", names.strip(), "no check here scores it")
    tally.taken[home] += 1
    return any(each.get("ignore_case") is True for each in mine)


def _odd_options(metric: Mapping[str, Any]) -> str:
    """The first option of a metric that changes the texts which it compares."""
    return next((shown(text_of(key, 40)) for key in sorted(metric.keys() - _PLAIN) if metric[key]), "")


def _white(path: Path, task: Mapping[str, Any]) -> str:
    """The pattern of white space that the filters remove around an output.

    Raises:
        Refused: they change it in another way.
    """
    filters = [each for each in _listed(task.get("filter_list")) if isinstance(each, Mapping)]
    steps = [step for each in filters for step in _listed(each.get("filter")) if isinstance(step, Mapping)]
    names = [text_of(step.get("function"), 40) for step in steps]
    if others := [name for name in names if name not in ("take_first", "remove_whitespace")]:
        raise _no(path, "filter_list", "take_first or remove_whitespace", others[0], "the check sees the whole output")
    return WHITE if "remove_whitespace" in names else ""


def _docs(nearby: Nearby, path: Path, task: Mapping[str, Any], tally: Tally) -> Iterator[Mapping[str, Any]]:
    """The rows of the split that is evaluated."""
    options = task.get("dataset_kwargs")
    files = options.get("data_files") if isinstance(options, Mapping) else None
    split = next((task[key] for key in SPLITS if isinstance(task.get(key), str)), "")
    found = files.get(split) if isinstance(files, Mapping) else files
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise _no(path, "dataset_kwargs.data_files", f"files of the split {text_of(split, 40) or 'test'!r}", "none", "")
    for name in names:
        for file in nearby.glob(name):
            if not file.exists():
                hint = "copy it there, and name it relative to the task"
                raise _no(path, "dataset_kwargs.data_files", "a file below the task's folder", text_of(name, 100), hint)
            rows = nearby.data(file) if file.suffix.lower() != ".txt" else _text_rows(nearby, file)
            yield from objects_of(_rows(rows, options), tally)


def _text_rows(nearby: Nearby, file: Path) -> list[dict[str, str]]:
    return [{"text": line} for line in nearby.text(file).split("\n") if line]


def _rows(data: Any, options: Any) -> list[Any]:
    field = options.get("field") if isinstance(options, Mapping) else None
    found = data.get(field) if isinstance(field, str) and isinstance(data, Mapping) else data
    return found if isinstance(found, list) else []


def _case(
    task: Mapping[str, Any], doc: Mapping[str, Any], ignores_case: bool, white: str, tally: Tally
) -> ImportedCase:
    text = _of_doc(task["doc_to_text"], doc, tally)
    description = task.get("description")
    if isinstance(description, str):
        text = f"{filled_template(description, doc, tally)}{text}"
    asked, target = prompt_of(text, tally), _of_doc(task["doc_to_target"], doc, tally)
    rule: Rule
    if task.get("output_type") == CHOICE:
        asked, rule = _by_choice(task, doc, asked, target, tally)
    else:
        rule = any_of(targets_of(target), f"^{white}", f"{white}$", ignores_case)
    return ImportedCase(asked, case_name(doc.get("id")), (rule,))


def _of_doc(said: Any, doc: Mapping[str, Any], tally: Tally) -> Any:
    """The value of a template, or of the field that it names."""
    if isinstance(said, str) and said in doc:
        return doc[said]
    return filled_template(said, doc, tally) if isinstance(said, str) else said


def _by_choice(
    task: Mapping[str, Any], doc: Mapping[str, Any], asked: AskedPrompt, target: Any, tally: Tally
) -> tuple[AskedPrompt, Rule]:
    said = task["doc_to_choice"]
    choices = [_of_doc(each, doc, tally) for each in said] if isinstance(said, list) else _of_doc(said, doc, tally)
    if not isinstance(choices, list):
        raise LeftOut("choices that are no list")
    texts = [as_template_text(each) for each in choices]
    if isinstance(target, str) and target in texts:
        right = texts.index(target)
    elif tag_text(target).isdigit() and int(target) < len(texts):
        right = int(target)
    else:
        raise LeftOut("a target that is none of its choices")
    return by_letter(asked, texts, [right], tally)
