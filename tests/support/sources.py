"""The modules of the product, parsed once for all tests of a worker that read them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache

from tests.support.paths import ROOT


@cache
def trees() -> Mapping[str, ast.Module]:
    """Each module of harness, trainers and suites, by its path in the repository."""
    paths = [path for package in ("harness", "trainers", "suites") for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}
