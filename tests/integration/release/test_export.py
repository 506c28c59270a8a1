from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from tests.support.records import training_record, write_desk, write_policy
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import is_as_stamped, stamped
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.options import Options
from tunegate.harness.evaluation.record import read_record
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.huggingface import Base
from tunegate.harness.release.export import MANIFEST, RECORD, check_export, export_adapter
from tunegate.harness.session import Session

PASSAGES = """
version: 1
suite: retention
unit: passages
check: {measure: passages}
cases:
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_adapter):
    """A task with passages that every change of weights moves, the tiny adapter with a training record, and its run."""
    home = tmp_path_factory.mktemp("export")
    write_desk(home / "fixtures", 40, generate={"max_new_tokens": 6})
    lines = [f'  - {{id: p{index:02}, input: "The {index}th boiler hums in the cellar."}}' for index in range(40)]
    (home / "fixtures/desk/passages.yaml").write_text(PASSAGES + "\n".join(lines) + "\n")
    write_policy(home / "fixtures", triage={"role": "target", "margin": 0.3}, passages={"margin": 0.05})
    adapter = home / "tuned"
    shutil.copytree(tiny_adapter, adapter)
    model = Base(str(tiny_model), quiet()).model.as_dict()
    training = training_record(adapter=adapter_digest(adapter), model=model)
    training["recipe"]["model"] = str(tiny_model)
    (adapter / "training.json").write_text(json.dumps(stamped(training)))
    options = Options(home, str(tiny_model), (adapter,), cases=home / "fixtures", out=home / "run.json")
    session = Session(options)
    session.select([], session.units())
    session.execute(quiet())
    return home


@pytest.fixture
def run(place):
    return read_record(place / "run.json")


def do(place, output, run):
    return export_adapter(place / "tuned", output, run, place / "fixtures", quiet())


def test_a_merged_model_answers_as_its_adapter_and_is_held(place, run, tmp_path):
    done = do(place, tmp_path / "merged", run)

    assert not done.blocked
    assert {unit: each["verdict"] for unit, each in done.record.verdicts.items()} == {
        "desk/triage": "cannot fall", "desk/passages": "held",
    }  # fmt: skip
    assert (done.same, done.of) == (40, 40)
    manifest = json.loads((tmp_path / "merged" / MANIFEST).read_text())
    assert is_as_stamped(manifest)
    assert manifest["adapter"] == run.fingerprint["subject"]["adapter"]
    assert read_record(tmp_path / "merged" / RECORD).verdicts == done.record.verdicts
    assert not list(tmp_path.glob(".merged.exporting/*"))


def test_a_chat_template_that_was_given_goes_into_the_folder(place, run, tmp_path, bare_model):
    """The model without one, and its own as a file, are together the model that was judged."""
    template, home = bare_model.parent / "chat.jinja", shutil.copytree(place, tmp_path / "place")
    training = json.loads((home / "tuned/training.json").read_text())
    training["recipe"]["model"] = str(bare_model)
    training.pop("digest")
    (home / "tuned/training.json").write_text(json.dumps(stamped(training)))
    with pytest.raises(Refused, match="expected the template it was trained on"):
        do(home, tmp_path / "merged", run)

    done = export_adapter(home / "tuned", tmp_path / "merged", run, home / "fixtures", quiet(), template)

    assert (done.blocked, done.same) == (False, 40)
    assert (tmp_path / "merged/chat_template.jinja").read_text() == template.read_text()


def test_it_is_a_standard_folder_with_the_bases_own_tokenizer(place, run, tmp_path, tiny_model):
    from transformers import AutoModelForCausalLM

    do(place, tmp_path / "merged", run)

    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (tiny_model / name).read_bytes()


def test_an_export_is_replaced_and_anything_else_is_not(place, run, tmp_path):
    do(place, tmp_path / "merged", run)
    do(place, tmp_path / "merged", run)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(Refused, match="expected no folder there, or an export to replace"):
        do(place, tmp_path / "mine", run)
    assert (tmp_path / "mine/thesis.tex").is_file()


def damage(folder):
    """Scale the weights of the last step, as a careless conversion might."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({name: each * (40 if "lm_head" in name else 1) for name, each in weights.items()}, path, {"format": "pt"})


def test_a_damaged_export_is_blocked_and_loses_its_manifest(place, run, tmp_path):
    do(place, tmp_path / "merged", run)
    damage(tmp_path / "merged")

    done = check_export(place / "tuned", tmp_path / "merged", run, place / "fixtures", quiet())

    assert done.blocked
    assert done.record.verdicts["desk/passages"]["verdict"] == "regressed"
    assert not (tmp_path / "merged" / MANIFEST).exists()


def test_a_merge_that_goes_wrong_never_gets_to_its_place(place, run, tmp_path, monkeypatch):
    from tunegate.harness.release import export as module

    real = module.merge
    monkeypatch.setattr(module, "merge", lambda base, adapter, folder: (real(base, adapter, folder), damage(folder)))

    assert do(place, tmp_path / "merged", run).blocked
    assert list(tmp_path.iterdir()) in ([], [tmp_path / ".merged.exporting.lock"])


def test_another_tokenizer_is_refused(place, run, tmp_path):
    do(place, tmp_path / "merged", run)
    (tmp_path / "merged/chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(Refused, match="expected the template that the adapter was judged with, found another"):
        check_export(place / "tuned", tmp_path / "merged", run, place / "fixtures", quiet())


def test_the_record_of_another_adapter_is_refused(place, run, tmp_path, make_adapter):
    other = shutil.copytree(place / "tuned", tmp_path / "other")
    shutil.copy(make_adapter("another") / "adapter_model.safetensors", other)
    with pytest.raises(Refused, match="expected a complete record of"):
        export_adapter(other, tmp_path / "merged", run, place / "fixtures", quiet())


def test_the_command(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    output = tmp_path / "merged"
    arguments = ["export", "tuned", "--output", str(output), "--run", "run.json"]

    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "40 of 40 outputs are those of the adapter" in done.stdout
    assert "merged model: " in done.stdout

    damage(output)
    spoilt = CliRunner().invoke(app, [*arguments, "--check", "--json"])
    assert spoilt.exit_code == 1
    assert json.loads(spoilt.stdout)["blocked"] is True
    assert "blocked: the merged model is not what was judged" in spoilt.stderr
