"""A prompt in a file of its own, to try on a unit in place of the prompt of its fixture file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.file import read_shots, template_problems
from tunegate.harness.cases.json_schemas import configuration_schema
from tunegate.harness.cases.model import Shot, UnitConfiguration, read_decoding
from tunegate.harness.checks.tools.definitions import Tool, read_tools
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem

YAMLS = (".yaml", ".yml")
PROMPT_FILES = (".txt", ".md", *YAMLS)
PARTS = ("prompt", "generate", "shots", "tools")


@dataclass(frozen=True)
class PromptFile:
    """The parts of a configuration that a file names; `shots` and `tools` are None if it names none."""

    prompt: Mapping[str, Any]
    generate: Mapping[str, Any]
    shots: tuple[Shot, ...] | None
    tools: tuple[Tool, ...] | None = None

    def on(self, configuration: UnitConfiguration) -> UnitConfiguration:
        """Return a unit's configuration with the parts of this file in place of its own."""
        decoding = {**asdict(configuration.decoding), **self.generate}
        return UnitConfiguration(
            replace(configuration.prompt, **self.prompt),
            read_decoding(decoding),
            configuration.shots if self.shots is None else self.shots,
            configuration.tools if self.tools is None else self.tools,
        )


def read_prompt_file(path: Path) -> PromptFile:
    """Read a system prompt (.txt, .md), or the keys `prompt`, `generate`, `shots` and `tools` of a YAML file.

    A fixture file is read, too: its cases are left out.

    Raises:
        AuthoringError: the file is missing, empty or has a mistake.
    """
    if path.suffix in YAMLS:
        return _of_document(read_yaml(path))
    text = read_utf8(path, "a file with a prompt").removeprefix("\ufeff").strip()
    if not text:
        raise AuthoringError([Problem(path, 1, "", "a system prompt", "an empty file", "write the prompt")])
    return _of_document(Document(path, {"prompt": {"system": text}}, {("prompt", "system"): 1}))


def _of_document(document: Document) -> PromptFile:
    if isinstance(document.data, dict) and "cases" in document.data:
        parts = {name: document.data[name] for name in PARTS if name in document.data}
        document = replace(document, data=parts)
    problems = validate(document, configuration_schema())
    if not problems and not document.data:
        hint = f"write one of {', '.join(PARTS)}"
        problems.append(document.problem((), "a prompt, decoding, worked examples or tools", "none", hint))
    if problems:
        raise AuthoringError(problems)
    data = document.data
    shots = tuple(read_shots(document, problems)) if "shots" in data else None
    tools = read_tools(data["tools"], document, ("tools",)).tools if "tools" in data else None
    found = PromptFile(data.get("prompt", {}), data.get("generate", {}), shots, tools)
    problems += template_problems(document, found.on(UnitConfiguration()).prompt, ("prompt",))
    if problems:
        raise AuthoringError(problems)
    return found
