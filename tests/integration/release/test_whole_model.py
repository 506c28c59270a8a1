"""A merged folder end to end: adopted, gated, released by its digest, verified, compared, exported; then edited."""

from __future__ import annotations

import json

from tests.integration.release.test_new_base import last_events, ok
from tests.integration.test_mistakes import good, place  # noqa: F401  (fixtures)
from tests.support.spoil import Place, rescaled
from tunegate.harness.models.adapters import adapter_digest

WHOLE = "adapters/merged"


def merge(place: Place) -> None:  # noqa: F811
    """Merge the adapter into its base with PEFT, and keep the model alone."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(place.path / "model")
    PeftModel.from_pretrained(base, place.path / "tuned").merge_and_unload().save_pretrained(place.path / "merged")


def test_a_merged_folder_is_released_by_its_digest(place: Place) -> None:  # noqa: F811
    merge(place)
    adopted = ok(place, "tunegate adopt merged --model=model --rows=tuned.jsonl")
    assert "note: it is a whole model, a full fine-tune or a merged folder" in adopted
    sha = adapter_digest(place.path / WHOLE)

    gated = ok(place, f"pytest suites/ --tg-adapter={WHOLE} --tg-against=baseline --tg-sealed")
    assert "Trained elsewhere: its training rows are a claim" in gated
    released = ok(place, f"tunegate release {WHOLE} --model=model")
    assert f"release manifest: {WHOLE}/release.json" in released
    assert last_events(place, 1) == [("released", "model")]
    manifest = json.loads((place.path / WHOLE / "release.json").read_text())
    assert manifest["adapter"] == sha
    files = {path.name for path in (place.path / WHOLE).iterdir()}
    assert manifest["files"].keys() == files - {"release.json"}
    card = (place.path / WHOLE / "README.md").read_text()
    assert "library_name: transformers\ntags: [tunegate]\n" in card
    assert "A whole model for the task `desk`, tuned from model (base weights " in card
    assert f"whole model {sha[:12]} on model: released for desk" in ok(place, f"tunegate verify {WHOLE}")

    assert f"parity: {WHOLE} matches the evaluated model" in ok(place, f"tunegate parity {WHOLE} --model={WHOLE}")
    other = ok(place, f"tunegate parity {WHOLE} --model=model", code=1)
    assert "adapter-not-applied" in other
    assert "matches the evaluated model" in ok(place, f"tunegate export {WHOLE} --output=exported")
    ok(place, f"tunegate verify {WHOLE}")

    # the next candidate is compared with it
    told = ok(place, "pytest suites/ --tg-adapter=tuned --tg-against=baseline --tg-sealed")
    assert "Against the last release: held" in told
    assert "evaluated beside the adapter: the baseline and the last release" in told

    rescaled(f"{WHOLE}/model.safetensors", "q_proj", 1.01)(place)
    changed = "expected the weights and settings that its training.json describes"
    assert changed in ok(place, f"tunegate gate --adapter={WHOLE}", code=4)
    assert "model.safetensors changed or missing" in ok(place, f"tunegate verify {WHOLE}", code=4)


def test_a_tampered_model_is_not_released(place: Place) -> None:  # noqa: F811
    merge(place)
    ok(place, "tunegate adopt merged --model=model --rows=none --reason=x")
    ok(place, f"pytest suites/ --tg-adapter={WHOLE} --tg-against=baseline --tg-sealed --tg-out=merged.json")
    settings = place.path / WHOLE / "tokenizer_config.json"
    before = settings.read_text()
    settings.write_text(json.dumps({**json.loads(before), "add_prefix_space": True}))
    refused = ok(place, f"tunegate release {WHOLE} --model=model --run=merged.json", code=4)
    assert "expected the record of this adapter (" in refused
    settings.write_text(before)
    decoding = place.path / WHOLE / "generation_config.json"
    before = decoding.read_text()
    decoding.write_text(json.dumps({**json.loads(before), "repetition_penalty": 1.8}))
    refused = ok(place, f"tunegate release {WHOLE} --model=model --run=merged.json", code=4)
    assert "expected the record of this adapter (" in refused
    decoding.write_text(before)
    (place.path / WHOLE / "pytorch_model.bin").write_bytes(b"a pickle")
    refused = ok(place, f"tunegate release {WHOLE} --model=model --run=merged.json", code=4)
    assert "expected only files that tunegate wrote, found pytorch_model.bin too" in refused
