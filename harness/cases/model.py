"""Cases, the units that share a verdict, and the tasks they belong to."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import SYSTEM, USER, Turns, Written, joined, read_input, write_input
from tunegate.harness.cases.policy import Policy
from tunegate.harness.cases.template import fill
from tunegate.harness.checks.base import Check, CheckKind, Kind
from tunegate.harness.checks.registry import CHECKS, kind_name
from tunegate.harness.checks.tools.definitions import Tool, tools_of
from tunegate.harness.core.files import canonical, digest

CHECK_VERSION = "check version"  # the part of a unit's questions that only affects scoring: outputs are scored again


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a case's input becomes chat messages; `{input}` and `{context}` are replaced literally, other braces stay."""

    system: str | None = None
    template: str = "{input}"

    def fill(self, text: str, context: str | None) -> str:
        """The user message for an input, with its context if the template uses it."""
        return fill(self.template, {"input": text, "context": context or ""})


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decoding options of an output: greedy unless a temperature is given. `seed` applies only to sampling."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def read_decoding(values: Mapping[str, Any]) -> Decoding:
    """Read a decoding from a file: `1`, `1.0` and `1e0` mean the same."""
    return Decoding(**{name: _DECODING_KINDS[name](value) for name, value in values.items()})


_DECODING_KINDS = {name: type(default) for name, default in asdict(Decoding()).items()}


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example for a prompt: an input, its earlier turns, and the expected output."""

    input: str
    output: str
    earlier: Turns = ()


@dataclass(frozen=True, slots=True)
class UnitConfiguration:
    """The part of a configuration that a fixture file holds: the prompt of a unit's cases, and the decoding.

    It is not part of the questions: two configurations are compared on the same questions.
    """

    prompt: Prompt = field(default_factory=Prompt)
    decoding: Decoding = field(default_factory=Decoding)
    shots: tuple[Shot, ...] = ()
    tools: tuple[Tool, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return its form in records and baselines, without empty parts."""
        shots = [{"input": write_input(each.earlier, each.input), "output": each.output} for each in self.shots]
        found: dict[str, Any] = {
            "system": self.prompt.system,
            "template": self.prompt.template,
            "decoding": asdict(self.decoding),
        }
        found |= {
            "shots": shots,
            "tools": [tool.written for tool in self.tools],
        }  # as texts: a template keeps the order
        return {name: value for name, value in found.items() if value not in (None, [])}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of its content."""
        return digest(self.as_dict())


def read_configuration(raw: Mapping[str, Any]) -> UnitConfiguration:
    """Read a configuration from its JSON form."""
    shots = [(*read_input(each["input"]), each["output"]) for each in raw.get("shots", ())]
    return UnitConfiguration(
        Prompt(raw.get("system"), raw["template"]),
        Decoding(**raw["decoding"]),
        tuple(Shot(last, output, earlier) for earlier, last, output in shots),
        tools_of(raw.get("tools", ())),
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One fixture: an input, the expectations of its output, and its place in a file.

    In a conversation, `input` is the last turn, the user's or what a tool returned (its `role`), and `earlier` has the
    turns before it. `tools` are those that its request offers. If `critical`, one failed
    output blocks; if also `unstable`, two consecutive ones do. `own` is the case's own `prompt`, `generate` and
    names of `tools`: they belong to the question, the file's to the configuration.
    """

    id: str
    unit: str
    input: str
    check: Check
    prompt: Prompt
    decoding: Decoding
    expect: Any = None
    context: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    critical: bool = False
    unstable: bool = False
    group: str | None = None
    place: str = ""
    earlier: Turns = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    role: str = USER
    tools: tuple[Tool, ...] = ()

    @property
    def key(self) -> str:
        """`<task>/<unit>/<id>`: the name in records, node ids and replay files."""
        return f"{self.unit}/{self.id}"

    @property
    def file(self) -> str:
        """The name of the file, which is unique in its task's folder."""
        return os.path.basename(self.place.rpartition(":")[0])  # noqa: PTH119  (twice as fast, for thousands of cases)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.place.rpartition(":")[0])

    @property
    def line(self) -> int:
        """The line in the file, from 1."""
        return int(self.place.rpartition(":")[2])

    @property
    def turns(self) -> Turns:
        """The whole input, as (role, text); the turn to reply to comes last."""
        return (*self.earlier, (self.role, self.input))

    @property
    def written(self) -> Written:
        """The whole input in the form used by files: a text, or turns."""
        return write_input(self.earlier, self.input, self.role)

    @property
    def has_system(self) -> bool:
        """Whether the input begins with a system turn, which stands in place of the prompt's."""
        return bool(self.earlier) and self.earlier[0][0] == SYSTEM

    @property
    def text(self) -> str:
        """The whole input for comparisons: all turns, one per paragraph."""
        return joined(self.earlier, self.input)

    @property
    def observation(self) -> tuple[str | None, ...]:
        """The observation that the case belongs to: its group, or its question; repeated questions count once."""
        if self.group:
            return ("group", self.group)
        earlier = [part for turn in self.earlier for part in turn]
        return ("question", *earlier, self.input, self.context, canonical(self.own) if self.own else None)

    def configured(self, configuration: UnitConfiguration) -> Case:
        """Return the same question with the prompt and decoding of `configuration`, under the case's own ones."""
        prompt = {"system": configuration.prompt.system, "template": configuration.prompt.template}
        return replace(
            self,
            prompt=Prompt(**{**prompt, **self.own.get("prompt", {})}),
            decoding=read_decoding({**asdict(configuration.decoding), **self.own.get("generate", {})}),
            tools=offered_tools(configuration.tools, self.own.get("tools")),
        )


def offered_tools(tools: tuple[Tool, ...], names: Collection[str] | None) -> tuple[Tool, ...]:
    """The tools of a configuration that a case offers: all, or those that it names."""
    return tools if names is None else tuple(tool for tool in tools if tool.name in names)


@dataclass(frozen=True, slots=True)
class Judge:
    """A model that says by a rubric whether outputs are right; it only sorts inputs into strata before people label."""

    model: str
    rubric: str

    @property
    def by(self) -> str:
        """Who labelled, in the lines of its file: another model or rubric is another judge."""
        return f"{self.model} {digest(self.rubric)[:12]}"


@dataclass(frozen=True, slots=True)
class LabelSource:
    """How labels decide a unit: their file, and how many of the inputs with differing outputs get some.

    `rubric` says in words what makes an output right: people read it beside the outputs, and a judge is given it.
    """

    file: Path
    sample: int
    judge: Judge | None = None
    rubric: str = ""

    @property
    def judge_file(self) -> Path:
        """The file of what the judge says, in the form of labels."""
        return self.file.with_suffix(".judge.jsonl")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are there or will be: labels, and what the judge says."""
        return (self.file, self.judge_file) if self.judge else (self.file,)


@dataclass(frozen=True)
class Unit:
    """The cases with the same `unit:` key in one task; a unit has a baseline and a verdict.

    `of` is the key of the source of a derived unit, which scores the source's outputs and has its cases.
    `own_kind` is the kind of check of a suite that is not built in. `traffic` is the digest (hex) of the snapshot whose
    inputs are the cases. With `labels`, people's labels of outputs that differ decide, and scores are of what needs
    none.
    `tool_files` are the files that its tools are read from.
    """

    task: str
    name: str
    suite: str
    cases: tuple[Case, ...]
    measure: str = ""
    configuration: UnitConfiguration = field(default_factory=UnitConfiguration)
    sealed: bool = False
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    of: str = ""
    own_kind: CheckKind | None = field(default=None, repr=False)
    traffic: str = ""
    labels: LabelSource | None = None
    tool_files: tuple[Path, ...] = field(default=(), repr=False, compare=False)

    @property
    def key(self) -> str:
        """`<task>/<unit>`."""
        return f"{self.task}/{self.name}"

    @property
    def shots(self) -> tuple[Shot, ...]:
        """The worked examples of its prompt."""
        return self.configuration.shots

    def configured(self, configuration: UnitConfiguration) -> Unit:
        """Return the same questions with the prompt, decoding and worked examples of `configuration`."""
        if configuration == self.configuration:
            return self
        cases = tuple(case.configured(configuration) for case in self.cases)
        return replace(self, cases=cases, configuration=configuration)

    @property
    def check_kind(self) -> CheckKind:
        """The kind of check of its cases."""
        return self.own_kind or CHECKS[kind_name(self.suite, self.measure)]

    @property
    def kind(self) -> Kind:
        """Pass/fail or continuous."""
        return self.check_kind.kind

    def with_cases(self, ids: Collection[str]) -> Unit:
        """Return the unit with only the cases of these ids; the same object, with its cached digests, if it is all."""
        cases = tuple(case for case in self.cases if case.id in ids)
        return self if cases == self.cases else replace(self, cases=cases)

    def texts(self, case: Case) -> tuple[str, ...]:
        """The texts whose likelihood a case measures; empty if the model generates."""
        return self.check_kind.texts(case.input, case.expect) if self.check_kind.texts else ()

    @cached_property
    def questions(self) -> dict[str, str]:
        """The digest of each part of the unit's questions: records are comparable only if all are equal.

        They are ordered by how useful a difference is in a message.
        """
        # Everything that decides a score, including labels and tags: an edit under the same id must not be compared
        # with old outputs. The configuration is left out: it is what is compared. So are file names, lines and the
        # order of cases, so that files can be rearranged.
        return {
            "suite": kind_name(self.suite, self.measure),
            "cases": digest(sorted(case.id for case in self.cases)),
            "inputs": self._digest(lambda case: [case.written, case.context, case.group, case.own]),
            "checks": self._digest(lambda case: [self.asked[case.id], case.expect]),
            "tags and critical flags": self._digest(
                lambda case: [dict(case.tags), "unstable" if case.unstable else case.critical]
            ),
            "prices" if self.of else "references": self._digest(lambda case: case.check.references),
            CHECK_VERSION: str(self.check_kind.version),
        }

    @cached_property
    def case_questions(self) -> dict[str, str]:
        """The digest of what each case asks and how it is scored, by id.

        Two records can be compared on the cases where it is equal, whatever their other cases. Tags, marks and groups
        are left out: they change neither an output nor its score.
        """
        kind = kind_name(self.suite, self.measure)
        return {
            case.id: digest(
                [kind, case.written, case.context, case.own, self.asked[case.id], case.expect, case.check.references]
            )
            for case in self.cases
        }

    def _digest(self, part: Any) -> str:
        return digest({case.id: part(case) for case in self.cases})


@dataclass(frozen=True)
class Task:
    """A workflow: the units under `fixtures/<task>/` and the policy of its `task.yaml`."""

    name: str
    units: tuple[Unit, ...]
    policy: Policy

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """The task.yaml policy of each unit, by the unit's key."""
        return {unit.key: self.policy.as_dict(unit.name, unit.kind, unit.sealed) for unit in self.units}

    def without(self, cases: Mapping[str, Collection[str]]) -> Task:
        """Return the task without some cases, by unit; derived units have the cases of their source."""
        left = {unit.key: cases.get(unit.of or unit.key, ()) for unit in self.units}
        kept = ({case.id for case in unit.cases if case.id not in left[unit.key]} for unit in self.units)
        return replace(self, units=tuple(unit.with_cases(ids) for unit, ids in zip(self.units, kept, strict=True)))
