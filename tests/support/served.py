"""A task with an adapter that was judged, and what is made of it to be served: right, and wrong in the known ways."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.records import training_record, write_desk, write_policy
from tunegate.harness.core.files import stamped
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.local.huggingface import Base
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.options.run import Options
from tunegate.harness.release.export import merge_adapter
from tunegate.harness.release.parity.parity import Parity, compare_served, read_scored
from tunegate.harness.release.parity.scored_adapter import ScoredAdapter
from tunegate.harness.session.run import Session

PASSAGES = """
version: 1
suite: retention
unit: passages
check: {measure: passages}
cases:
"""


def make_place(home: Path, model: Path, adapter: Path, cases: int = 32, **more: Any) -> Path:
    """Prompts and passages, the base's baseline, and `tuned`: the adapter with a training record and a run."""
    write_desk(home / "fixtures", cases, **({"generate": {"max_new_tokens": 6}} | more))
    lines = [f'  - {{id: p{index:02}, input: "The {index}th boiler hums in the cellar."}}' for index in range(cases)]
    (home / "fixtures/desk/passages.yaml").write_text(PASSAGES + "\n".join(lines) + "\n")
    write_policy(
        home / "fixtures", triage={"role": "target", "margin": 0.3}, passages={"margin": 0.05, "collapse": 0.6}
    )
    shutil.copytree(adapter, home / "tuned")
    training = training_record(adapter=adapter_digest(adapter), model=Base(str(model), quiet()).model.as_dict())
    training["recipe"]["model"] = str(model)
    (home / "tuned/training.json").write_text(json.dumps(stamped(training)))
    _run(Options(home, str(model), cases=home / "fixtures", baselines=home / "baselines", record=True))
    _run(Options(
        home, str(model), (home / "tuned",), cases=home / "fixtures", baselines=home / "baselines",
        out=home / "run.json",
    ))  # fmt: skip
    return home


def _run(options: Options) -> None:
    session = Session(options)
    session.selection.select([], session.selection.units())
    session.execute(quiet())


def scored(home: Path, template: Path | None = None) -> ScoredAdapter:
    """What artefacts are compared with."""
    return read_scored(home / "tuned", read_record(home / "run.json"), home / "fixtures", quiet(), template)


def compared(home: Path, artefact: Path | str, **options: Any) -> Parity:
    """An artefact, compared with the adapter of a place."""
    opened = ModelOptions(**options)
    return compare_served(scored(home), str(artefact), opened, home / "baselines", quiet(), home / "runs")


def merged_folder(home: Path, folder: Path) -> Path:
    """Base and adapter of a place as a model folder."""
    folder.mkdir(parents=True)
    merge_adapter(scored(home).base, home / "tuned", folder)
    return folder


def change_weights(folder: Path, change: Callable[[str, Any], Any], file: str = "model.safetensors") -> Path:
    """Change every weight of a folder, by name."""
    from safetensors.torch import load_file, save_file

    path = folder / file
    weights = {name: change(name, each).contiguous() for name, each in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})
    return folder


def two_bits(name: str, weight: Any) -> Any:
    """A matrix rounded to four values for each 32 weights."""
    if weight.ndim != 2:
        return weight
    blocks = weight.reshape(-1, 32)
    low, high = blocks.min(1, keepdim=True).values, blocks.max(1, keepdim=True).values
    step = (high - low).clamp(min=1e-9) / 3
    return (((blocks - low) / step).round() * step + low).reshape(weight.shape)


def another(name: str, weight: Any) -> Any:
    """Weights of the same spread that have nothing to do with these."""
    import torch

    draw = torch.Generator().manual_seed(len(name))
    return torch.randn(weight.shape, generator=draw) * weight.std() if weight.ndim == 2 else weight


def write_template(folder: Path, old: str, new: str) -> Path:
    """Replace a text in a folder's chat template."""
    path = folder / "chat_template.jinja"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder
