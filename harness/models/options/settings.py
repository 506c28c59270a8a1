"""The defaults that a project sets: the table `[tool.tunegate]` of its pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunegate.harness.core.authoring.document import shortened
from tunegate.harness.core.errors import MOST_OF_A_KIND, Refused, show_path
from tunegate.harness.core.project import PROJECT, is_project, project_table
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.model_options import template_from
from tunegate.harness.models.options.table import OPTIONS, TABLE, Option


def configured_cases(root: Path) -> Path | None:
    """The folder of fixtures if `root`'s pyproject.toml has `[tool.tunegate]`, otherwise None.

    Refuses nothing: `read_settings` reports what is wrong with the settings.
    """
    if not is_project(root):
        return None
    try:
        cases = project_table(root).get("cases")
    except Refused:
        cases = None
    return root / (cases if isinstance(cases, str) else OPTIONS["cases"].default)


def standing(root: Path) -> dict[str, Any]:
    """The value of each option that the command line does not set: from `[tool.tunegate]` of `root`, or the default.

    Paths are relative to `root`.

    Raises:
        Refused: see `read_settings`.
    """
    settings = read_settings(root)
    values = {option.name: settings.get(option.name, option.default) for option in TABLE if option.stands}
    return {name: _from(root, name, value) for name, value in values.items()}


def _from(root: Path, name: str, value: Any) -> Any:
    """A configured value; its path, or that of the outputs it names, is relative to `root`."""
    if name == "chat-template" and value is not None:
        return template_from(root, value)
    if OPTIONS[name].type is Path and value is not None:
        return root / value
    return backend_of(value).below(root, value) if name == "model" else value


def read_settings(root: Path) -> dict[str, Any]:
    """The `[tool.tunegate]` table of `root`'s pyproject.toml; empty if there is none.

    Raises:
        Refused: not TOML, or an unknown key or invalid value; lists all of them.
    """
    path, settings = root / PROJECT, project_table(root)
    wrong = [(key, value) for key, value in settings.items() if not _is_setting(key, value)]
    if wrong:
        lines = [_setting_problem(key, value) for key, value in wrong[:MOST_OF_A_KIND]]
        lines += [f"and {len(wrong) - len(lines):,} more like these"] if len(wrong) > len(lines) else []
        raise Refused("\n".join(f"{show_path(path)}: [tool.tunegate] {line}" for line in lines))
    return settings


def _is_setting(key: str, value: Any) -> bool:
    option = OPTIONS.get(key)
    return bool(option and option.stands and _fits(option, value))


def _setting_problem(key: str, value: Any) -> str:
    option = OPTIONS.get(key)
    if option is None or not option.stands:
        from tunegate.harness.core.authoring.validation import did_you_mean  # slow to import, needed only for an error

        known = [each.name for each in TABLE if each.stands]
        hint = did_you_mean(key, known)
        return f"expected one of {', '.join(known)}, found {shortened(repr(key))}{hint and '; ' + hint}"
    return f"{key}: expected {_expected(option)}, found {shortened(repr(value))}"


def _fits(option: Option, value: Any) -> bool:
    if option.type in (int, bool):  # exactly: in Python, true is a number
        return type(value) is option.type and (option.least is None or value >= option.least)
    if not isinstance(value, str) or (option.choices and value not in option.choices):
        return False
    return option.pattern is None or bool(option.pattern[0].fullmatch(value))


def _expected(option: Option) -> str:
    if option.choices:
        return f"{', '.join(option.choices[:-1])} or {option.choices[-1]}"
    if option.pattern:
        return option.pattern[1]
    kinds = {bool: "true or false", int: f"a whole number from {option.least}"}
    return kinds.get(option.type, "text in quotes")
