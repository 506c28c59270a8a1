"""One fixture file, read: its cases with their checks loaded, and every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.checks.outcome import Check, CheckKind
from harness.checks.table import CHECKS, measures, row_name
from harness.document import Document, Where, show_value
from harness.errors import AuthoringError, Problem, show_path
from harness.files import canonical
from harness.placeholders import misspelt, unfilled
from harness.published import loader_shape
from harness.shape import check_shape, did_you_mean
from harness.units import Case, Decoding, Prompt
from harness.yamlfile import read_yaml

POLICY = "task.yaml"
UNIQUE = "an id that is unique in its unit"


class collecting:  # noqa: N801  (reads as a statement)
    """Put the problems of an `AuthoringError` in a list and go on."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, AuthoringError):
            self.problems += error.problems
            return True
        return False


@dataclass(frozen=True)
class Part:
    """One fixture file, parsed; several may make up a unit. `ids` holds the index of each id in the file.

    `of` names the unit of the same task that it rereads; it then has no cases.
    """

    document: Document
    name: str
    suite: str
    measure: str
    sealed: bool
    shots: tuple[tuple[str, str], ...]
    cases: list[Case] = field(default_factory=list)
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    checks: dict[str, Check | AuthoringError] = field(default_factory=dict)
    of: str = ""

    @property
    def row(self) -> CheckKind:
        """Its row in the table of checks."""
        return CHECKS[row_name(self.suite, self.measure)]

    def place(self, case_id: str) -> Where:
        """Where the case's id stands."""
        return ("cases", self.ids[case_id], "id")


def read_part(path: Path, problems: list[Problem]) -> Part:
    """Read one fixture file; what is wrong with single cases is added to `problems`, and the others are read."""
    if path.stem == Path(POLICY).stem:
        raise AuthoringError([Problem(show_path(path), 1, "", f"the name {POLICY}", path.name, "rename it")])
    document = read_yaml(path)
    shape = check_shape(document, loader_shape())
    inside = [_CASE.match(problem.where) for problem in shape]
    if not all(inside):
        raise AuthoringError(shape)
    problems += shape
    data, misshapen = document.data, {int(found[1]) for found in inside if found}
    shots = tuple((shot["input"], shot["output"]) for shot in data.get("shots", []))
    suite = data["suite"]
    part = Part(document, data.get("unit", suite), suite, _measure(document), data.get("sealed", False), shots)
    problems += _ignored(part, data, ())
    if part.row.rereads:
        return replace(part, document=document.only([("suite",), ("unit",), ("of",)]), of=data["of"])
    _without_check(part)
    for index, raw in enumerate(data["cases"]):
        problems += _take_id(part, raw, index)
        problems += (ignored := list(_ignored(part, raw, ("cases", index))))
        if index not in misshapen and not ignored:
            with collecting(problems):
                part.cases.append(_read_case(part, raw, ("cases", index)))
    return replace(
        part, document=document.only([("suite",), ("check", "measure"), ("sealed",), *map(part.place, part.ids)])
    )


def _measure(document: Document) -> str:
    """What the file measures; refuses what its suite does not."""
    suite, found = document.data["suite"], document.data.get("check", {}).get("measure", "")
    known = measures(suite)
    names = [name for name in known if name]
    if found in known and isinstance(found, str):
        return found
    where: Where = ("check", "measure") if found else ("check",)
    if not names:
        raise AuthoringError([document.problem(where, f"no measure, {suite} has one only", show_value(found))])
    hint = did_you_mean(found, names) if found else f"write check: {{measure: {names[0]}}} above the cases"
    expected = f"{'a measure' if found else 'a check with measure'}: {' or '.join(names)}"
    raise AuthoringError([document.problem(where, expected, show_value(found) if found else "none", hint)])


def _ignored(part: Part, data: Any, where: Where) -> Iterator[Problem]:
    """Keys of the file, or of the case at `where`, that would mean nothing to its suite."""
    for key in part.row.ignores if where or part.row.rereads else ("of", *part.row.ignores):
        if isinstance(data, dict) and key in data:
            name = row_name(part.suite, part.measure)
            yield part.document.problem((*where, key), f"no {key}, which {name} does not read", "one", "delete it")


_CASE = re.compile(r"cases\[(\d+)\]")


def _without_check(part: Part) -> None:
    """Where neither the file nor any case has a check, let all cases share one mistake."""
    data, needed = part.document.data, part.row.options.get("required", ())
    if needed and not any(raw.get("check") for raw in [data, *data["cases"]] if isinstance(raw, dict)):
        keys = ", ".join(needed)
        hint = f"write check: {{{keys}: ...}} above the cases"
        missing = part.document.problem(("check",), f"a check with {keys}, on the file or on its cases", "none", hint)
        part.checks[canonical({})] = AuthoringError([missing])


def _take_id(part: Part, raw: Any, index: int) -> Iterator[Problem]:
    case_id = raw.get("id") if isinstance(raw, dict) else None
    if not isinstance(case_id, str):
        return
    if case_id in part.ids:
        found = f"{case_id!r} again (first on line {part.document.line(part.place(case_id))})"
        yield part.document.problem(("cases", index, "id"), UNIQUE, found)
    else:
        part.ids[case_id] = index


def _read_case(part: Part, raw: Mapping[str, Any], where: Where) -> Case:
    document, data = part.document, part.document.data
    problems: list[Problem] = []
    options = {**data.get("check", {}), **raw.get("check", {})}
    check: Check | None = None
    with collecting(problems):
        check = _load_check(part, options, (*where, "check") if "check" in raw else ("check",), where)
    problems += _expect_problems(part, check, raw.get("expect"), (*where, "expect"))
    prompt = Prompt(**{**data.get("prompt", {}), **raw.get("prompt", {})})
    problems += _prompt_problems(document, prompt, raw, where)
    if problems or check is None:
        raise AuthoringError(problems)
    part.asked[raw["id"]] = options
    return Case(
        id=raw["id"],
        unit=f"{document.path.parent.name}/{part.name}",
        input=raw["input"],
        check=check,
        prompt=prompt,
        decoding=_decoding({**data.get("generate", {}), **raw.get("generate", {})}),
        expect=raw.get("expect"),
        context=raw.get("context"),
        tags=raw.get("tags", {}),
        critical=raw.get("critical", False),
        group=raw.get("group"),
        place=f"{document.name}:{document.line(where)}",
    )


def _decoding(values: Mapping[str, Any]) -> Decoding:
    """The same values are the same question: `1`, `1.0` and `1e0` alike."""
    return Decoding(**{name: _DECODING_KINDS[name](value) for name, value in values.items()})


_DECODING_KINDS = {name: type(default) for name, default in asdict(Decoding()).items()}


def _load_check(part: Part, options: Mapping[str, Any], where: Where, case: Where) -> Check:
    """The check of `options`, each different one loaded once, also where that fails."""
    row, key = part.row, canonical(options)
    if not options and key not in part.checks and row.options.get("required"):
        needed = ", ".join(row.options["required"])
        raise AuthoringError([part.document.problem(case, f"a check with {needed}, here or on the file", "none")])
    if key not in part.checks:
        try:
            shape = check_shape(part.document, row.options, where, options)
            if shape:
                raise AuthoringError(shape)
            part.checks[key] = row.load(options, part.document, where)
        except AuthoringError as error:
            part.checks[key] = error
    check = part.checks[key]
    if isinstance(check, AuthoringError):
        raise check
    return check


def _expect_problems(part: Part, check: Check | None, expect: Any, where: Where) -> list[Problem]:
    row = part.row
    if expect is None:
        keys = list(row.expect["properties"]) if row.needs_expect else ["..."]
        hint = f"write expect: {{{', '.join(f'{key}: ...' for key in row.expect.get('required', keys[:1]))}}}"
        missing = part.document.problem(where[:-1], f"an expect with {' or '.join(keys)}", "none", hint)
        return [missing] if row.needs_expect else []
    shape = check_shape(part.document, row.expect, where, expect)
    return shape or (check.expect_problems(expect, part.document, where) if check else [])


def _prompt_problems(document: Document, prompt: Prompt, raw: Mapping[str, Any], where: Where) -> list[Problem]:
    def place(key: str) -> Where:
        return (*where, "prompt", key) if key in raw.get("prompt", {}) else ("prompt", key)

    wrong = misspelt(document, prompt.template, place("template")) + unfilled(document, prompt.system, place("system"))
    if wrong:
        return wrong
    if "{input}" not in prompt.template:
        hint = "write {input} where the case's input belongs"
        found = show_value(prompt.template)
        return [document.problem(place("template"), "a template that holds {input}", found, hint)]
    if "{context}" in prompt.template and "context" not in raw:
        return [document.problem(where, "a context, which the prompt's template asks for", "none")]
    return []
