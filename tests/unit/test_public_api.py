"""The public API, `import tunegate`: what it promises is there, documented, and loads when it is first used."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version

import pytest

import tunegate
from tests.support.paths import ROOT

PROMISED = [name for name in tunegate.__all__ if name != "__version__"]


def test_a_public_name_is_there_and_says_what_it_is():
    for name in PROMISED:
        found = getattr(tunegate, name)

        assert found.__doc__
        assert name == "Where" or found.__name__ == name  # that one is another name of a type


def test_the_version_is_that_of_the_distribution():
    assert tunegate.__version__ == version("tunegate")
    assert re.fullmatch(r"\d+\.\d+\.\d+", tunegate.__version__)


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "src" / "tunegate" / "__init__.py").read_text("utf-8"))
    [seen] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    homes = {alias.name: node.module for node in seen.body for alias in node.names}

    assert sorted(homes) == sorted(PROMISED)
    assert {name: tunegate._HOME[name] for name in homes} == homes


def test_a_name_that_is_not_public_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match=r"no public name 'judge'; it has AskedPrompt, AuthoringError, Case"):
        _ = tunegate.judge


def test_dir_lists_the_public_names():
    assert dir(tunegate) == sorted(tunegate.__all__)
