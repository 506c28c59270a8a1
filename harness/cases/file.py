"""Read one fixture file: its cases with their checks, and every mistake in it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import Written, last_turn_problem, read_input, read_turns
from tunegate.harness.cases.json_schemas import loader_schema
from tunegate.harness.cases.model import Case, Judge, LabelSource, Prompt, Shot, Unit, UnitConfiguration, read_decoding
from tunegate.harness.cases.policy import Policy
from tunegate.harness.cases.snapshot import PREFIX, input_digest, read_snapshot
from tunegate.harness.cases.template import misspelt, unfilled
from tunegate.harness.checks.base import Check, CheckKind, HasTools
from tunegate.harness.checks.cost import Prices
from tunegate.harness.checks.registry import Kinds, kind_name
from tunegate.harness.checks.tools.definitions import ToolSet, narrowed, read_tools
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import did_you_mean, validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem

POLICY = "task.yaml"
UNIQUE = "an id that is unique in its unit"
OF: Where = ("of",)
TRAFFIC: Where = ("traffic",)
LABELS: Where = ("labels",)
TOOLS: Where = ("tools",)
FEWEST_LABELS = 10  # as in the schema of labels


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Append the problems of an `AuthoringError` to a list and continue."""
    try:
        yield
    except AuthoringError as error:
        problems += error.problems


@dataclass(frozen=True)
class FixtureFile:
    """One parsed fixture file; a unit may have several. `ids` maps each id to its index in the file.

    `of` names the source unit of a derived unit in the same task; such a file has no cases. `traffic` is the digest
    (hex) of the snapshot that its cases are from.
    """

    document: Document
    name: str
    suite: str
    measure: str
    check_kind: CheckKind
    sealed: bool
    configuration: UnitConfiguration
    cases: list[Case] = field(default_factory=list)
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    checks: dict[str, Check | AuthoringError] = field(default_factory=dict)
    of: str = ""
    traffic: str = ""
    labels: LabelSource | None = None
    tools: ToolSet = field(default_factory=ToolSet)

    @property
    def kind_name(self) -> str:
        """The name of the kind of check."""
        return kind_name(self.suite, self.measure)

    def place(self, case_id: str) -> Where:
        """The place of the case's id."""
        return TRAFFIC if self.traffic else ("cases", self.ids[case_id], "id")


def read_fixture_file(path: Path, problems: list[Problem], kinds: Kinds) -> FixtureFile:
    """Read one fixture file; mistakes of single cases are appended to `problems`, and the others are read."""
    if path.stem == Path(POLICY).stem:
        raise AuthoringError([Problem(path, 1, "", f"the name {POLICY}", path.name, "rename it")])
    document = read_yaml(path)
    name = _named_kind(document.data, kinds)
    schema = loader_schema(kinds, name)
    wrong = validate(document, schema)
    inside = [_CASE.match(problem.where) for problem in wrong]
    # if the file's own keys are valid, read its valid cases, so that one mistake hides no others
    if not all(inside):
        raise AuthoringError(wrong)
    if not name:
        raise AuthoringError([_not_measured(document, kinds)])
    problems += wrong
    data, invalid = document.data, {int(found[1]) for found in inside if found}
    prompt, decoding = Prompt(**data.get("prompt", {})), read_decoding(data.get("generate", {}))
    tools = read_tools(data["tools"], document, TOOLS) if "tools" in data else ToolSet()
    configuration = UnitConfiguration(prompt, decoding, tuple(read_shots(document, problems)), tools.tools)
    suite, _, measure = name.partition("/")
    unit, sealed = data.get("unit", suite), data.get("sealed", False)
    if unit.lower() == "diagnosis" or unit.lower().endswith(".released"):  # in lower case, the schema refuses it
        expected = "a name other than diagnosis and *.released, which are files beside the baselines"
        where = ("unit",) if "unit" in data else ("suite",)
        raise AuthoringError([document.problem(where, expected, repr(unit), "give the unit another name")])
    file = FixtureFile(document, unit, suite, measure, kinds[name], sealed, configuration, tools=tools)
    problems += _ignored(file, data, ())
    if file.check_kind.derived:
        return replace(file, document=_narrowed(document, [("suite",), ("unit",), OF]), of=data["of"])
    if "traffic" in data or "labels" in data or file.check_kind.labelled:
        file = _with_labels(file)
    if file.traffic:
        _read_traffic(file, problems)
    else:
        _read_cases(file, invalid, problems)
    kept = [TRAFFIC, ("suite",), ("unit",), ("check", "measure"), ("sealed",), ("prompt",), ("generate",), TOOLS]
    kept += map(file.place, file.ids)
    return replace(file, document=_narrowed(document, kept))


def read_shots(document: Document, problems: list[Problem]) -> Iterator[Shot]:
    """Yield the worked examples of a file; mistakes are appended to `problems`."""
    for index, raw in enumerate(document.data.get("shots", [])):
        problems += last_turn_problem(raw["input"], document, ("shots", index, "input"))
        earlier, last = read_input(raw["input"])
        yield Shot(last, raw["output"], earlier)


def _named_kind(data: Any, kinds: Kinds) -> str:
    """The kind of check that an unvalidated file names; empty if there is none."""
    data = data if isinstance(data, dict) else {}
    suite, check = data.get("suite"), data.get("check", {})
    measure = check.get("measure", "") if isinstance(check, dict) else ""
    name = kind_name(suite, measure) if isinstance(suite, str) and isinstance(measure, str) else ""
    return name if name in kinds else ""


def _not_measured(document: Document, kinds: Kinds) -> Problem:
    """The problem of an unknown or missing measure."""
    suite, found = document.data["suite"], document.data.get("check", {}).get("measure", "")
    names = [name.partition("/")[2] for name in kinds if name.startswith(f"{suite}/")]
    where: Where = ("check", "measure") if found else ("check",)
    if not names:
        return document.problem(where, f"no measure, because {suite} has only one", show_value(found))
    hint = did_you_mean(str(found), names) if found else f"write check: {{measure: {names[0]}}} above the cases"
    expected = f"{'a measure' if found else 'a check with measure'}: {' or '.join(names)}"
    return document.problem(where, expected, show_value(found) if found else "none", hint)


def _narrowed(document: Document, places: Iterable[Where]) -> Document:
    """The file without its data and with the lines of `places` only, so that many files fit in memory."""
    lines = document.lines
    return Document(document.path, None, {where: lines[where] for where in places if where in lines})


def _ignored(file: FixtureFile, data: Any, where: Where) -> Iterator[Problem]:
    """Keys of the file, or of the case at `where`, that its suite does not read."""
    for key in file.check_kind.ignores if where or file.check_kind.derived else ("of", *file.check_kind.ignores):
        if isinstance(data, dict) and key in data:
            expected = f"no {key}, which {file.kind_name} does not read"
            yield file.document.problem((*where, key), expected, "one", "delete it")


_CASE = re.compile(r"cases\[(\d+)\]")


def _read_cases(file: FixtureFile, invalid: Collection[int], problems: list[Problem]) -> None:
    """Read the cases, skipping those that are `invalid` or have a mistake found here."""
    data = file.document.data
    _without_check(file)
    problems += template_problems(file.document, file.configuration.prompt, ("prompt",))
    for index, raw in enumerate(data["cases"]):
        problems += _take_id(file, raw, index)
        problems += (ignored := list(_ignored(file, raw, ("cases", index))))
        if index not in invalid and not ignored:
            with collecting(problems):
                file.cases.append(_read_case(file, raw, ("cases", index)))
    problems += _asked_twice(file) if file.labels else ()


def _asked_twice(file: FixtureFile) -> Iterator[Problem]:
    """Cases of a labelled unit with the same input and context: a label would speak of both."""
    first: dict[str, Case] = {}
    for case in file.cases:
        other = first.setdefault(input_digest(case.written, case.context), case)
        if other is not case:
            expected, found = "an input that no other case has, since labels speak of inputs", f"that of {other.id!r}"
            yield file.document.problem(file.place(case.id), expected, found, "delete one of them")


def _with_labels(file: FixtureFile) -> FixtureFile:
    """The file with its snapshot, if it has one, and its labels.

    Raises:
        AuthoringError: labels where nothing can be labelled; traffic, or a kind of check, that lacks labels; a judge
            with too small a sample; cases that labels cannot decide.
    """
    document, kind = file.document, file.check_kind
    named, labels = document.data.get("traffic"), document.data.get("labels")
    where, here = (TRAFFIC, "traffic") if named else (LABELS, "labels")
    can_be_labelled = kind.kind == "pass/fail" and bool(kind.by_expect)
    if kind.needs_expect and not can_be_labelled:
        wanted = "cases" if named else "no labels"
        expected = f"{wanted}, since {file.kind_name} needs an expectation that no label can give"
        raise AuthoringError([document.problem(where, expected, here)])
    if labels and not can_be_labelled:
        expected = f"no labels, since {file.kind_name} needs no expectation"
        raise AuthoringError([document.problem(LABELS, expected, "some", "delete them")])
    if named and kind.labelled and kind.needs_expect:
        raise AuthoringError([document.problem(TRAFFIC, "cases, each with an expect", "traffic")])
    if not labels and (kind.needs_expect or kind.labelled):
        raise AuthoringError([_no_labels(file, named)])
    if labels and not named and (problems := list(_unlike_labels(file, labels))):
        raise AuthoringError(problems)
    source = _label_source(document, labels) if labels else None
    return replace(file, traffic=(named or "").removeprefix(PREFIX), labels=source)


def _no_labels(file: FixtureFile, named: str | None) -> Problem:
    count = 40 if named else max(FEWEST_LABELS, len(file.document.data.get("cases", [])))
    hint = f"write labels: {{file: {file.name}.labels.jsonl, sample: {count}}}"
    if not named:
        return file.document.problem((), "labels, by which people decide", "none", hint)
    expected = f"labels, since {file.kind_name} needs an expectation and traffic has none"
    return file.document.problem(TRAFFIC, expected, "none", hint)


def _unlike_labels(file: FixtureFile, labels: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with labels of cases: people see each critical one that differs, and one label is one input."""
    document, kind = file.document, file.check_kind
    cases, whole = document.data["cases"], kind.labelled and kind.needs_expect
    if whole and "judge" in labels:
        yield document.problem((*LABELS, "judge"), "labels of people only", "a judge", "delete it")
    which = "cases" if whole else "cases, since some are critical"
    severe = any(isinstance(raw, dict) and raw.get("critical") for raw in cases)
    if (whole or severe) and labels["sample"] < len(cases):
        expected = f"at least {len(cases)} labels, the number of {which}"
        hint = f"write labels: {{file: {labels['file']}, sample: {len(cases)}}}"
        yield document.problem((*LABELS, "sample"), expected, str(labels["sample"]), hint)
    if file.sealed:
        hint = "delete it: tries of labelled cases are counted anyway"
        yield document.problem(("sealed",), "no sealed beside labels, for which people read the cases", "true", hint)
    for index, raw in enumerate(cases):
        if isinstance(raw, dict) and "group" in raw:
            yield document.problem(
                ("cases", index, "group"), "no group beside labels, which speak of each input", "one"
            )


def _label_source(document: Document, labels: Mapping[str, Any]) -> LabelSource:
    where, sample, rubric = document.path.parent / labels["file"], labels["sample"], labels.get("rubric", "")
    if "judge" not in labels:
        return LabelSource(where, sample, rubric=rubric)
    from tunegate.harness.statistics.label_strata import FEWEST_STRATIFIED  # scipy takes a while to import

    if sample < FEWEST_STRATIFIED:
        expected = f"{FEWEST_STRATIFIED} labels or more with a judge"
        raise AuthoringError([document.problem((*LABELS, "sample"), expected, str(sample))])
    judge = {"rubric": rubric} | labels["judge"]
    if not judge["rubric"]:
        raise AuthoringError([document.problem((*LABELS, "judge"), "a rubric that the judge follows", "none")])
    return LabelSource(where, sample, Judge(**judge), rubric)


def _read_traffic(file: FixtureFile, problems: list[Problem]) -> None:
    """Read the cases from the file's snapshot.

    Raises:
        Refused: the snapshot is not here.
    """
    problems += template_problems(file.document, file.configuration.prompt, ("prompt",))
    for each in read_snapshot(file.traffic, f"{file.document.path.parent.name}/{file.name}"):
        raw = {"id": each.id, "input": each.written} | ({"context": each.context} if each.context else {})
        problems += _take_id(file, raw, 0)
        with collecting(problems):
            file.cases.append(_read_case(file, raw, TRAFFIC))


def _without_check(file: FixtureFile) -> None:
    """If neither the file nor any case has a check, let all cases share one mistake."""
    data, needed = file.document.data, file.check_kind.options.get("required", ())
    if needed and not any(raw.get("check") for raw in [data, *data["cases"]] if isinstance(raw, dict)):
        keys = ", ".join(needed)
        hint = f"write check: {{{keys}: ...}} above the cases"
        missing = file.document.problem(("check",), f"a check with {keys}, on the file or on its cases", "none", hint)
        file.checks[FILES_OWN] = AuthoringError([missing])


def _take_id(file: FixtureFile, raw: Any, index: int) -> Iterator[Problem]:
    case_id = raw.get("id") if isinstance(raw, dict) else None
    if not isinstance(case_id, str):
        return
    if not _is_id(case_id):
        found = f"{case_id!r} ({', '.join(f'U+{ord(each):04X}' for each in case_id if not each.isalnum())})"
        expected = "an id of letters of any script in composed form (NFC), digits and . _ + -"
        yield file.document.problem(("cases", index, "id"), expected, found, "retype it without other characters")
    if case_id in file.ids:
        found = f"{case_id!r} again (first on line {file.document.line(file.place(case_id))})"
        yield file.document.problem(("cases", index, "id"), UNIQUE, found)
    else:
        file.ids[case_id] = index


def _is_id(text: str) -> bool:
    """Whether a text has only letters, their marks, digits and . _ + -; the schema covers ASCII ids."""
    # composed, because ids that look the same must be equal
    if text.isascii():
        return not text.endswith("\n")  # which `$` in a pattern ignores
    return unicodedata.is_normalized("NFC", text) and all(
        each.isascii() or unicodedata.category(each)[0] in "LMN" for each in text
    )


def _read_case(file: FixtureFile, raw: Mapping[str, Any], where: Where) -> Case:
    document, shared = file.document, file.configuration
    problems: list[Problem] = []
    check: Check | None = None
    tools = file.tools
    with collecting(problems):
        if "tools" in raw:
            tools = narrowed(raw["tools"], tools, document, (*where, "tools"))
        check = _offered(file, _load_check(file, raw.get("check"), where), tools, raw, where)
    problems += _input_problems(file, raw["input"], (*where, "input"))
    problems += _expect_problems(file, check, raw.get("expect"), (*where, "expect"))
    own = {key: raw[key] for key in ("prompt", "generate", "tools") if key in raw}
    prompt = replace(shared.prompt, **own.get("prompt", {}))
    problems += template_problems(document, prompt, (*where, "prompt")) if "prompt" in raw else ()
    if "{context}" in prompt.template and "context" not in raw:
        problems.append(document.problem(where, "a context, which the prompt's template uses", "none"))
    if raw.get("unstable") and not raw.get("critical"):
        expected = "critical: true beside it; it has no effect otherwise"
        problems.append(document.problem((*where, "unstable"), expected, "none"))
    if problems or check is None:
        raise AuthoringError(problems)
    decoding = shared.decoding
    if "generate" in own:
        decoding = read_decoding({**asdict(decoding), **own["generate"]})
    *earlier, (role, last) = read_turns(raw["input"])
    file.asked[raw["id"]] = _options(file, raw.get("check"))
    return Case(
        id=raw["id"],
        unit=f"{document.path.parent.name}/{file.name}",
        input=last,
        check=check,
        prompt=prompt,
        decoding=decoding,
        expect=raw.get("expect"),
        context=raw.get("context"),
        tags={**(check.tags(raw.get("expect")) if isinstance(check, HasTools) else {}), **raw.get("tags", {})},
        critical=raw.get("critical", False),
        unstable=raw.get("unstable", False),
        group=raw.get("group"),
        place=f"{document.name}:{document.line(where)}",
        earlier=tuple(earlier),
        own=own,
        role=role,
        tools=tools.tools,
    )


FILES_OWN = ""  # key of the file's check, used by cases without their own


def _options(file: FixtureFile, own: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The file's check options, overridden by the case's."""
    shared: Mapping[str, Any] = file.document.data.get("check", {})
    return {**shared, **own} if own else shared


def _load_check(file: FixtureFile, own: Mapping[str, Any] | None, case: Where) -> Check:
    """The check of a case; each different one is loaded once, even if loading fails."""
    kind, key = file.check_kind, json.dumps(own, sort_keys=True) if own else FILES_OWN
    # failures are cached too: a schema with a mistake is one problem, not one per case
    if key not in file.checks:
        options = _options(file, own)
        if not options and kind.options.get("required"):
            needed = ", ".join(kind.options["required"])
            raise AuthoringError([file.document.problem(case, f"a check with {needed}, here or on the file", "none")])
        try:
            file.checks[key] = kind.read(options, file.document, (*case, "check") if own else ("check",))
        except AuthoringError as error:
            file.checks[key] = error
    check = file.checks[key]
    if isinstance(check, AuthoringError):
        raise check
    return check


def _offered(file: FixtureFile, check: Check, tools: ToolSet, raw: Mapping[str, Any], where: Where) -> Check:
    """The check of a case, with the tools that it offers; made once for each different one."""
    if not isinstance(check, HasTools):
        return check
    key = f"{json.dumps(raw.get('check'), sort_keys=True)} offers {tools.names}"
    if key not in file.checks:
        try:
            file.checks[key] = check.offered(tools, file.document, where if raw.get("check") else ())
        except AuthoringError as error:
            file.checks[key] = error
    if isinstance(found := file.checks[key], AuthoringError):
        raise found
    return found


def _input_problems(file: FixtureFile, written: Written, where: Where) -> Iterator[Problem]:
    """Mistakes in an input of the right shape: misordered turns, or turns where one text is required."""
    if not isinstance(written, str) and not file.check_kind.chat:
        expected = f"one text, because {file.kind_name} measures its likelihood"
        yield file.document.problem(where, expected, f"{len(written)} turns")
    yield from last_turn_problem(written, file.document, where, steps=True)
    if not isinstance(written, str) and any(_has_calls(each) for each in written) and not file.tools.tools:
        yield file.document.problem(where, "the tools of these calls", "none", "write tools: above the cases")
    if not isinstance(written, str) and "system" in written[0] and file.configuration.prompt.system is not None:
        hint = "delete the prompt's or this turn"
        yield file.document.problem((*where, 0), "one system message, which the prompt has", "a second one", hint)


def _has_calls(turn: Mapping[str, Any]) -> bool:
    return any(role == "tool" or not isinstance(said, str) for role, said in turn.items())


def _expect_problems(file: FixtureFile, check: Check | None, expect: Any, where: Where) -> list[Problem]:
    """Missing or wrong parts of a case's `expect` of the right shape."""
    kind = file.check_kind
    if expect is not None:
        return check.expect_problems(expect, file.document, where) if check else []
    if not kind.needs_expect or file.traffic or (file.labels and not kind.labelled):
        return []
    if values := kind.expect.get("enum"):
        return [file.document.problem(where[:-1], f"an expect: {' or '.join(values)}", "none")]
    keys = list(kind.expect["properties"])
    hint = f"write expect: {{{', '.join(f'{key}: ...' for key in kind.expect.get('required', keys[:1]))}}}"
    return [file.document.problem(where[:-1], f"an expect with {' or '.join(keys)}", "none", hint)]


def template_problems(document: Document, prompt: Prompt, where: Where) -> list[Problem]:
    """Return the mistakes in the prompt at `where`; for keys of the file, they are reported there."""

    def place(key: str) -> Where:
        return (*where, key) if (*where, key) in document.lines else ("prompt", key)

    wrong = misspelt(document, prompt.template, place("template")) + unfilled(document, prompt.system, place("system"))
    if not wrong and "{input}" not in prompt.template:
        hint = "write {input} where the case's input belongs"
        found = show_value(prompt.template)
        wrong.append(document.problem(place("template"), "a template that holds {input}", found, hint))
    return wrong


def derived_problems(
    file: FixtureFile, files: Sequence[FixtureFile], policy: Policy, path: Path, complete: bool
) -> Iterator[Problem]:
    """Problems of a derived unit's file; none for other files.

    `files` are those of its task; if not `complete`, the source unit may be in an unreadable one.
    `path` is that of the policy, even if it does not exist.
    """
    if not file.of:
        return
    yield from _source(file, {each.name: each.check_kind for each in files}, complete)
    if policy.prices is None and (policy.declared or not path.exists()):  # otherwise report its own mistakes
        found = "none" if policy.declared else "no such file"
        hint = "write prices: {currency: USD, input_per_million: .., output_per_million: .., reason: ..}"
        yield Problem(path, 1, "prices", f"prices, which {file.document.name} needs", found, hint)


def _source(file: FixtureFile, kinds: Mapping[str, CheckKind], complete: bool) -> Iterator[Problem]:
    kind, sources = kinds.get(file.of), [name for name, each in kinds.items() if not (each.derived or each.texts)]
    expected = f"a unit of this task that generates ({', '.join(sources) or 'there is none'})"
    if kind is None:
        if complete:
            yield file.document.problem(OF, expected, repr(file.of), did_you_mean(file.of, sources))
    elif kind.derived:
        yield file.document.problem(OF, expected, f"{file.of!r}, which is itself derived from another unit")
    elif kind.texts:
        yield file.document.problem(OF, expected, f"{file.of!r}, which measures likelihoods and generates nothing")


def derived_unit(task: str, file: FixtureFile, source: Unit, prices: Prices) -> Unit:
    """The unit that a file derives from `source`, with its cases but without their expectations."""
    check = file.check_kind.load({"prices": prices}, file.document, OF)
    key, place = f"{task}/{file.name}", f"{file.document.name}:{file.document.line(OF)}"
    cases = [
        replace(case, unit=key, check=check, expect=None, critical=False, unstable=False, place=place)
        for case in source.cases
    ]
    return Unit(
        task, file.name, file.suite, tuple(cases), configuration=source.configuration, sealed=source.sealed,
        asked={case.id: {"of": source.name} for case in cases}, of=source.key,
    )  # fmt: skip
