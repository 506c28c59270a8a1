"""The example repository, copied out of this one, and answers for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.units import write_outputs
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Case

EXAMPLE = ROOT / "examples" / "returns"
LEFTOVERS = shutil.ignore_patterns(".tunegate", "__pycache__", ".pytest_cache", "adapters", "*.lock")


def copy_example(folder: Path) -> Path:
    """The example in a folder of its own, as a team would copy it."""
    return shutil.copytree(EXAMPLE, folder, ignore=LEFTOVERS)


def cases(unit: str) -> tuple[Case, ...]:
    """The cases of one of the example's units."""
    return find_unit(load_tasks(EXAMPLE / "fixtures"), f"returns/{unit}").cases


def expected(case: Case) -> str:
    """An answer that passes."""
    return json.dumps(case.expect) if "items" in case.expect else f"{case.expect['answer'][0]}.".capitalize()


def write_answers(path: Path, wrong: Collection[str], unlike: str = '{"items": []}') -> Path:
    """What a model answered to every case: what is expected, save for the `wrong` ones, by their ids."""
    path.parent.mkdir(exist_ok=True)
    everything: Iterable[Case] = (*cases("intake"), *cases("questions"))
    return write_outputs(path, {each.key: unlike if each.id in wrong else expected(each) for each in everything})
