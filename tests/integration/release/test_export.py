from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.served import change_weights, make_place, merged_folder, scored
from tests.support.tiny import write_trained
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.files import is_as_stamped, stamped
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.local.huggingface import Base, load_base
from tunegate.harness.release import export, gguf
from tunegate.harness.release.export import MARKER, export_adapter
from tunegate.harness.release.parity.weights import weight_parity


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_adapter):
    return make_place(tmp_path_factory.mktemp("export"), tiny_model, tiny_adapter)


def do(place, output, gguf=None, template=None):
    return export_adapter(scored(place, template), output, gguf, place / "baselines", quiet(), place / "runs")


def test_a_merged_model_answers_as_its_adapter_and_is_held(place, tmp_path):
    done = do(place, tmp_path / "merged")

    assert done.is_shown
    assert {unit: each.verdict for unit, each in done.record.verdicts.items()} == {
        "desk/triage": "cannot fall", "desk/passages": "held",
    }  # fmt: skip
    assert (done.outputs.same, done.outputs.of) == (32, 32)
    marker = json.loads((tmp_path / "merged" / MARKER).read_text())
    assert is_as_stamped(marker)
    assert (marker["adapter"], marker["weights"]) == (
        scored(place).record.fingerprint["subject"]["adapter"],
        done.digest,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".merged.exporting.lock", "merged"]


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings", "ignore:Setting `")
def test_an_adapter_of_one_of_two_matrices_that_its_base_ties_is_exported_with_both(tied_model, tmp_path):
    adapter = write_trained(tmp_path / "adapter", load_base(tied_model), target_modules=["q_proj", "lm_head"])
    done = do(make_place(tmp_path / "place", tied_model, adapter), tmp_path / "merged")

    assert (done.is_shown, done.findings) == (True, [])
    assert not json.loads((tmp_path / "merged/config.json").read_text())["tie_word_embeddings"]
    assert weights_of(adapter, tied_model, tmp_path / "merged").findings == ()
    change_weights(tmp_path / "merged", lambda name, weight: weight.roll(1, 0) if name == "lm_head.weight" else weight)
    [damage] = weights_of(adapter, tied_model, tmp_path / "merged").findings
    assert "lm_head.weight" in damage.message


def weights_of(adapter, base, merged):
    return weight_parity(Base(str(base), quiet()).merged(adapter, adapter_digest(adapter)), base, merged)


@pytest.mark.parametrize(("backend", "device"), [("vllm", "rocm"), ("transformers", "cuda"), ("transformers", "mps")])
def test_what_was_judged_on_another_device_is_exported_on_what_there_is(place, tmp_path, monkeypatch, backend, device):
    for library in ("torch.cuda", "torch.backends.mps"):
        monkeypatch.setattr(f"{library}.is_available", lambda: False)
    judged = scored(place)
    engine = {"backend": backend, "device": device, "dtype": "bfloat16"}
    fingerprint = judged.record.fingerprint | {"engine": engine}
    elsewhere = replace(judged, record=replace(judged.record, fingerprint=fingerprint))
    done = export_adapter(elsewhere, tmp_path / "m", None, place / "baselines", quiet(), tmp_path / "runs")
    found = done.record.fingerprint["engine"]
    assert (found["device"], found["dtype"]) == ("cpu", "bfloat16")


def test_a_chat_template_that_was_given_goes_into_the_folder(place, tmp_path, bare_model):
    """The model without one, and its own as a file, are together the model that was judged."""
    template, home = bare_model.parent / "chat.jinja", shutil.copytree(place, tmp_path / "place")
    training = json.loads((home / "tuned/training.json").read_text())
    training["recipe"]["model"] = str(bare_model)
    training.pop("digest")
    (home / "tuned/training.json").write_text(json.dumps(stamped(training)))
    with pytest.raises(Refused, match="expected the template it was trained on"):
        do(home, tmp_path / "merged")

    assert do(home, tmp_path / "merged", template=template).is_shown
    assert (tmp_path / "merged/chat_template.jinja").read_text() == template.read_text()


def test_it_is_a_standard_folder_with_the_bases_own_tokenizer(place, tmp_path, tiny_model):
    from transformers import AutoModelForCausalLM

    do(place, tmp_path / "merged")

    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (tiny_model / name).read_bytes()


def test_other_weights_in_the_folder_of_the_base_are_not_copied(tmp_path, tiny_model, tiny_adapter):
    base, index = shutil.copytree(tiny_model, tmp_path / "base"), "pytorch_model.bin.index.json"
    for name in ("pytorch_model.bin", "consolidated.00.pth", index, "tokenizer.model", "merges.txt", "README.md"):
        (base / name).write_text("{}")
    merged = merged_folder(make_place(tmp_path / "place", base, tiny_adapter, cases=2), tmp_path / "merged")

    copied = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.model", "merges.txt"}
    written = {"config.json", "generation_config.json", "model.safetensors"}
    assert {path.name for path in merged.iterdir()} == copied | written


def test_an_export_is_replaced_and_anything_else_is_not(place, tmp_path):
    do(place, tmp_path / "merged")
    do(place, tmp_path / "merged")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(Refused, match="expected nothing there, or an export to replace"):
        do(place, tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").is_file()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("thesis.tex", "years of work"),
        ("config.json", "{}"),  # of another model
        (MARKER, "{}"),
        (MARKER, "[" * 10**5),
        (MARKER, json.dumps(stamped({"files": []}))),
    ],
)
def test_an_export_that_became_something_else_is_not_replaced(place, tmp_path, name, text):
    do(place, tmp_path / "merged")
    (tmp_path / "merged" / name).write_text(text)
    with pytest.raises(Refused, match="expected nothing there, or an export to replace"):
        do(place, tmp_path / "merged")
    assert (tmp_path / "merged" / name).read_text() == text


def test_an_export_whose_weights_changed_is_not_replaced(place, tmp_path):
    """Trained further in its place: every file is as long as before."""
    do(place, tmp_path / "merged")
    change_weights(tmp_path / "merged", lambda name, weight: weight + 1)
    changed = (tmp_path / "merged/model.safetensors").read_bytes()
    with pytest.raises(Refused, match="expected nothing there, or an export to replace"):
        do(place, tmp_path / "merged")
    assert (tmp_path / "merged/model.safetensors").read_bytes() == changed


def test_what_is_put_there_during_an_export_stays(place, tmp_path, monkeypatch):
    real, mine = export.merge_adapter, tmp_path / "merged/thesis.tex"

    def merge(*given):
        mine.parent.mkdir()
        mine.write_text("years of work")
        real(*given)

    monkeypatch.setattr(export, "merge_adapter", merge)
    with pytest.raises(Refused, match="expected nothing there, or an export to replace"):
        do(place, tmp_path / "merged")
    assert [path.name for path in mine.parent.iterdir()] == [mine.name]


class Killed(BaseException):
    pass


def test_a_kill_while_one_is_replaced_leaves_a_whole_one(place, tmp_path, monkeypatch):
    do(place, tmp_path / "merged")
    before, unlink = sorted(path.name for path in (tmp_path / "merged").iterdir()), os.unlink

    def dies(path, **more):
        unlink(path, **more)
        if str(path).endswith("tokenizer.json"):
            raise Killed

    monkeypatch.setattr(os, "unlink", dies)
    with pytest.raises(Killed):
        do(place, tmp_path / "merged")
    assert sorted(path.name for path in (tmp_path / "merged").iterdir()) == before


def damage(folder):
    """Scale the weights of the last step, as a careless conversion might."""
    return change_weights(folder, lambda name, each: each * (40 if "lm_head" in name else 1))


def test_a_merge_that_goes_wrong_never_gets_to_its_place(place, tmp_path, monkeypatch):
    real = export.merge_adapter
    monkeypatch.setattr(
        export, "merge_adapter", lambda base, adapter, folder: (real(base, adapter, folder), damage(folder))
    )
    done = do(place, tmp_path / "merged")

    assert not done.is_shown
    assert done.record.verdicts["desk/passages"].verdict == "regressed"
    assert list(tmp_path.iterdir()) in ([], [tmp_path / ".merged.exporting.lock"])


def test_a_command_exports_and_its_parity_is_kept_beside_the_adapter(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    output = tmp_path / "out"
    command = ["export", "tuned", f"--output={output}", "--run=run.json", "--quiet"]
    done = CliRunner().invoke(app, command)

    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(f"parity: {output} matches the evaluated model\n")
    [kept] = json.loads((place / "tuned/parity.json").read_text())["artefacts"]
    assert (kept["name"], kept["kind"], kept["shown"]) == (os.path.relpath(output, place), "folder", True)
    assert CliRunner().invoke(app, ["parity", "tuned", f"--model={output}", "--run=run.json"]).exit_code == 0


def test_an_export_that_is_wrong_ends_with_1_and_says_so(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    do(place, tmp_path / "out")
    damage(tmp_path / "out")
    done = CliRunner().invoke(app, ["parity", "tuned", f"--model={tmp_path / 'out'}", "--run=run.json", "--json"])

    assert done.exit_code == 1
    assert "in the adapter's place" in done.stderr
    assert json.loads(done.stdout)["shown"] is False
    [kept] = [
        each for each in json.loads((place / "tuned/parity.json").read_text())["artefacts"]
        if each["name"] == os.path.relpath(tmp_path / "out", place)
    ]  # fmt: skip
    assert kept["shown"] is False


def test_an_export_that_goes_wrong_says_nothing_of_the_one_before_it(place, tmp_path, monkeypatch):
    home = shutil.copytree(place, tmp_path / "place")
    monkeypatch.chdir(home)
    command = ["export", "tuned", "--output=out", "--run=run.json", "--quiet"]
    assert CliRunner().invoke(app, command).exit_code == 0
    before, real = (home / "tuned/parity.json").read_text(), export.merge_adapter
    monkeypatch.setattr(
        export, "merge_adapter", lambda base, adapter, folder: (real(base, adapter, folder), damage(folder))
    )
    done = CliRunner().invoke(app, command)

    assert done.exit_code == 1
    assert done.stderr.endswith("): nothing was written to out\n")
    assert (home / "tuned/parity.json").read_text() == before


def converter(folder: Path, body: str) -> Path:
    """A converter of that name, which does what the shell script says."""
    path = folder / "convert_hf_to_gguf.py"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_gguf_without_a_converter_says_what_to_install(place, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf, "CONVERTERS", ("no-such-converter",))
    with pytest.raises(CouldNotRun, match=r"expected llama.cpp's converter on the PATH .* pipx install convert-hf-to-"):
        do(place, tmp_path / "model.gguf", "F16")


def test_a_converter_that_fails_is_told_with_what_it_said(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(converter(tmp_path, "echo 'Model TinyLlama is not supported' >&2; exit 1").parent))
    with pytest.raises(CouldNotRun, match="expected a GGUF file of the merged model, found none: Model TinyLlama is"):
        do(place, tmp_path / "model.gguf", "F16")
    assert not list(tmp_path.glob("*.gguf"))


def test_gguf_wants_the_name_of_such_a_file(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(converter(tmp_path, "exit 1").parent))
    with pytest.raises(Refused, match=r"expected the name of a file that ends in \.gguf"):
        do(place, tmp_path / "model", "F16")


def test_a_type_without_a_quantiser_says_what_to_install(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(converter(tmp_path, "exit 1").parent))
    monkeypatch.setattr(gguf, "WHEEL", "no_such_wheel")
    with pytest.raises(CouldNotRun, match=r"--gguf Q4_K_M: expected llama.cpp's llama-quantize on the PATH, or the wh"):
        do(place, tmp_path / "model.gguf", "Q4_K_M")


def test_a_quantiser_is_run_on_the_file_in_float16_and_its_fault_is_told(place, tmp_path, monkeypatch):
    converter(tmp_path, 'touch "$5"')
    quantiser = tmp_path / "llama-quantize"
    quantiser.write_text('#!/bin/sh\necho "no: ${1##*/} ${2##*/} $3"\nexit 1\n')
    quantiser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CouldNotRun, match=r"expected a file of Q4_K_M, found none: no: m-f16\.gguf m\.gguf Q4_K_M"):
        do(place, tmp_path / "m.gguf", "Q4_K_M")
    assert not list(tmp_path.glob("*.gguf"))


def test_a_modelfile_of_somebody_elses_is_not_replaced(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{converter(tmp_path, 'exit 1').parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "model.gguf.Modelfile").write_text("FROM ./mine.gguf\n")
    with pytest.raises(Refused, match="expected nothing there, or an export to replace"):
        do(place, tmp_path / "model.gguf", "F16")
