"""Places to train in: fixtures with a baseline, rows and a recipe on the tiny model."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.kept import Kept
from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

PRODUCTS = ("boiler", "radiator")
RECIPE = {
    "version": 1,
    "task": "desk",
    "rows": ["rows.jsonl"],
    "output": "adapter",
    "lora": {"r": 4, "alpha": 8},
    "optim": {"lr": 5e-2, "epochs": 4, "batch": 4},
    "seed": 3,
}


@dataclass(frozen=True)
class Place:
    """A working directory with fixtures, rows and a recipe."""

    path: Path

    def copy_to(self, folder: Path) -> Place:
        """A place as this one, in another folder."""
        shutil.copytree(self.path, folder, dirs_exist_ok=True)
        return replace(self, path=folder)

    def train(self, *options: str):
        """Run `tunegate train recipe.yaml` here."""
        return CliRunner().invoke(app, ["train", "recipe.yaml", *options])

    def diagnose(self, model: Path) -> None:
        """Run `tunegate diagnose` here."""
        done = CliRunner().invoke(app, ["diagnose", "--model", str(model)])
        assert done.exit_code == 0, done.output

    def recipe(self, **changes: object) -> None:
        """Write the recipe with some keys changed."""
        (self.path / "recipe.yaml").write_text(json.dumps({**json.loads(self.read("recipe.yaml")), **changes}))

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def tree(self) -> dict[str, bytes]:
        """Every file and folder here, hidden ones too, with the files' bytes."""
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes() if path.is_file() else b""
            for path in self.path.rglob("*")
        }

    def evaluate(self, model: Path, **options: Any) -> list[Record]:
        """Judge every case, as `pytest suites/` does."""
        folders = {"cases": Path("fixtures"), "baselines": Path("baselines")}
        session = Session(Options(self.path, str(model), **folders, **options))
        session.selection.select([], session.selection.units())
        session.execute(quiet())
        return session.records


@pytest.fixture(scope="session")
def recorded(kept: Kept, tiny_model: Path) -> Place:
    """A place with the baseline of the tiny model, ready to be trained in; to be copied."""
    return Place(kept("recorded", lambda folder: record_in(Place(folder), tiny_model)))


def record_in(place: Place, tiny_model: Path) -> None:
    """Write fixtures, rows and a recipe, and record the baseline and a diagnosis."""
    write_unit(place.path / "fixtures", ["a", "b"], prompt={"system": "Sort it."})
    rows = [
        {"input": f"Ticket {number}, please help.", "output": json.dumps({"product": PRODUCTS[number % 2]})}
        for number in range(22)
    ]
    (place.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place.path / "recipe.yaml").write_text(json.dumps({**RECIPE, "model": str(tiny_model)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.path)
        place.evaluate(tiny_model, record=True)
        place.diagnose(tiny_model)


def train_in(place: Place) -> Place:
    """Train in a place, as its working directory, and keep what was said in `said.txt`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.path)
        done = place.train()
    assert done.exit_code == 0, done.output
    (place.path / "said.txt").write_text(done.output)
    return place


@pytest.fixture(scope="session")
def trained(kept: Kept, recorded: Place) -> Place:
    """A place with a trained adapter, and what the training said; to be copied."""
    return Place(kept("trained", lambda folder: train_in(recorded.copy_to(folder))))


def refuses(place: Place, *said: str) -> None:
    """Assert that training is refused with all of `said`, and that it leaves nothing behind."""
    before = place.tree()
    result = place.train()
    assert result.exit_code == 4, result.output
    for text in said:
        assert text in result.output
    assert place.tree() == before
