"""What is served beside what was judged: an honest artefact passes, and each known wrong is named."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, Qwen3MoeConfig, Qwen3MoeForCausalLM

from tests.support.converter import interleaved
from tests.support.fake_vllm import install
from tests.support.fault_server import says, serving
from tests.support.served import (
    another,
    change_weights,
    compared,
    make_place,
    merged_folder,
    scored,
    two_bits,
    write_template,
)
from tests.support.stand_in import standing_in
from tests.support.tiny import write_trained
from tunegate.harness.checks.base import Finding
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate.rule import blocked
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.local.huggingface import Base, load_base
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.served_prompts import served_loras, served_prompts
from tunegate.harness.models.served.vllm_process import LOGS, PYTHON
from tunegate.harness.release.export import merge_adapter
from tunegate.harness.release.parity.configs import config_findings
from tunegate.harness.release.parity.outputs import output_parity
from tunegate.harness.release.parity.parity import Parity, compare_files, decide_served
from tunegate.harness.release.parity.prompts import PromptParity
from tunegate.harness.release.parity.weights import weight_parity


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_adapter):
    return make_place(tmp_path_factory.mktemp("parity"), tiny_model, tiny_adapter)


@pytest.fixture(scope="module")
def good(place):
    return merged_folder(place, place / "good")


@pytest.fixture
def merged(good, tmp_path):
    return shutil.copytree(good, tmp_path / "merged")


def rules(parity):
    return [each.rule for each in parity.findings]


def weights_of(place, artefact):
    return compare_files(scored(place), artefact)[1]


def test_a_merged_folder_is_what_was_judged(place, merged):
    parity = compared(place, merged)

    assert (parity.is_shown, rules(parity)) == (True, [])
    assert list(parity.lines()) == [
        "prompts: the same token ids in 32 of 32",
        parity.weights.line(),
        "outputs: 32 of 32 the same",
        "log-probabilities: 0.0000 nats per token apart, 0.0001 at most (32 texts)",
    ]
    assert parity.weights.error < 1e-6
    assert parity.weights.times == pytest.approx(1, abs=1e-3)


TEMPLATES = {
    "template": ("{{ m['role'] }}", "{{ m['role'] | upper }}"),
    "end-of-turn": ("<|end|>", ""),
    "doubled-bos": ("{% for m in messages %}", "<|start|>{% for m in messages %}"),
}


@pytest.mark.parametrize("rule", TEMPLATES)
def test_what_became_of_a_template_in_a_folder_is_named(place, merged, rule):
    parity = compared(place, write_template(merged, *TEMPLATES[rule]))

    assert rules(parity)[0] == rule
    assert not parity.is_shown


@pytest.mark.parametrize(("rule", "change"), [("quantised", two_bits), ("other-base", another)])
def test_what_became_of_weights_is_named(place, merged, rule, change):
    parity = compared(place, change_weights(merged, change))

    assert rules(parity)[0] == rule
    assert not parity.is_shown


DOWN, NORM = "model.layers.1.mlp.down_proj.weight", "model.layers.0.input_layernorm.weight"
QUERIES = "model.layers.1.self_attn.q_proj.weight"
SINGLE = {
    f"{DOWN} is 50 % off": lambda name, each: each / 2 if name == DOWN else each,
    f"{NORM} is 10 % off": lambda name, each: each * 1.1 if name == NORM else each,
    "model.norm.weight is missing": lambda name, each: each[:-1] if name == "model.norm.weight" else each,
}


@pytest.mark.parametrize("said", SINGLE)
def test_a_single_wrong_matrix_or_norm_is_named(place, merged, said):
    found = weights_of(place, change_weights(merged, SINGLE[said]))

    [finding] = found.findings
    assert finding.rule == "wrong-weights"
    assert finding.message.startswith(said)


def test_a_matrix_that_lacks_the_adapter_is_named(place, merged, tiny_model):
    from safetensors.torch import load_file

    before = load_file(tiny_model / "model.safetensors")[QUERIES]
    change_weights(merged, lambda name, each: before if name == QUERIES else each)
    [finding] = weights_of(place, merged).findings

    assert finding.message.startswith(f"the adapter is 0.0 times in {QUERIES}, where the others are ")


def test_coarsely_rounded_weights_do_not_hide_a_wrong_one(place, merged):
    def change(name, weight):
        return two_bits(name, weight) * (-4 if name == DOWN else 1)

    found = weights_of(place, change_weights(merged, change)).findings
    assert [each.rule for each in found] == ["quantised", "wrong-weights"]


def write_gguf(folder: Path, file: Path, change=lambda name, each: each, kind: str = "llama") -> Path:
    """A folder's weights as llama.cpp's converter lays them out: a rotation's halves mixed, experts in one tensor."""
    import gguf
    from safetensors.torch import load_file

    writer = gguf.GGUFWriter(file, kind)
    writer.add_block_count(2)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, kind.upper()), 2)
    experts: dict[str, list[torch.Tensor]] = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        heads = {"q_proj": 2, "k_proj": 1}.get(name.partition("self_attn.")[2].partition(".")[0])
        each, joint = change(name, weight), re.sub(r"experts\.\d+", "experts", name)
        if heads and kind == "llama":
            each = interleaved(each, heads)
        experts.setdefault(names.get_name(joint, try_suffixes=(".weight",)), []).append(each.contiguous())
    for called, weights in experts.items():
        writer.add_tensor(called, (torch.stack(weights) if "exps" in called else weights[0]).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize("name", ["", DOWN, QUERIES])
def test_every_matrix_of_a_gguf_file_is_compared_however_it_is_laid_out(place, merged, tmp_path, name):
    file = write_gguf(merged, tmp_path / "model.gguf", lambda each, weight: weight * (1.5 if each == name else 1))
    found = weights_of(place, file)

    assert (found.compared, found.unread) == (weights_of(place, merged).compared, ())
    assert [each.message.partition(" is ")[0] for each in found.findings] == ([name] if name else [])


@pytest.fixture(scope="module")
def expert_model(tmp_path_factory, tiny_model):
    """A random mixture of experts: its folder names each expert, the library fuses them when it loads them."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("experts") / "base")
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=AutoConfig.from_pretrained(tiny_model).vocab_size, hidden_size=32, moe_intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, num_experts=4,
        num_experts_per_tok=2, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    Qwen3MoeForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def experts(tmp_path_factory, expert_model):
    """An adapter merged into it, in memory and as a folder."""
    home = tmp_path_factory.mktemp("experts")
    adapter = write_trained(home / "adapter", load_base(expert_model))
    model = Base(str(expert_model), quiet()).merged(adapter)
    model.save_pretrained(home / "merged")
    return model, home / "merged"


def damaged(name, each):
    return each * 0 if name == EXPERT else each


EXPERT = "model.layers.1.mlp.experts.2.down_proj.weight"


@pytest.mark.parametrize(("change", "said"), [(None, []), (damaged, [f"{EXPERT} is 100 % off"])])
def test_every_expert_is_compared_by_the_name_that_a_folder_has(experts, expert_model, tmp_path, change, said):
    model, merged = experts
    folder = shutil.copytree(merged, tmp_path / "merged")
    found = weight_parity(model, expert_model, change_weights(folder, change) if change else folder)

    assert [each.message.partition(", where")[0] for each in found.findings] == said
    assert (found.compared, found.unread, found.is_same) == (45, (), not said)


@pytest.mark.parametrize(("change", "said"), [(None, []), (damaged, [f"{EXPERT} is 100 % off"])])
def test_every_expert_of_a_gguf_file_is_compared(experts, expert_model, tmp_path, change, said):
    model, merged = experts
    file = write_gguf(merged, tmp_path / "model.gguf", change or (lambda name, each: each), "qwen3moe")
    found = weight_parity(model, expert_model, file)

    assert [each.message.partition(", where")[0] for each in found.findings] == said
    assert (found.compared, found.unread, found.is_same) == (45, (), not said)


def test_experts_that_a_folder_stores_fused_are_compared(experts, expert_model, tmp_path):
    model, _ = experts
    model.save_pretrained(tmp_path, save_original_format=False)
    assert weight_parity(model, expert_model, tmp_path).is_same

    change_weights(tmp_path, lambda name, each: another("", each.flatten(1)).view_as(each) if each.ndim == 3 else each)
    assert [each.rule for each in weight_parity(model, expert_model, tmp_path).findings] == ["wrong-weights"]


def test_what_only_the_artefact_stores_is_said(place, merged):
    from safetensors.torch import load_file, save_file

    bias = {"model.layers.0.self_attn.q_proj.bias": load_file(merged / "model.safetensors")[NORM]}
    save_file(load_file(merged / "model.safetensors") | bias, merged / "model.safetensors", {"format": "pt"})
    found = weights_of(place, merged)

    assert (found.unread, found.is_same) == (tuple(bias), False)
    assert found.line().endswith("; not compared: model.layers.0.self_attn.q_proj.bias")


def test_weights_that_are_no_numbers_are_refused(place, merged):
    with pytest.raises(Refused, match="merged: expected finite weights, found NaN or infinity in model"):
        compared(place, change_weights(merged, lambda name, each: each * float("nan")))


def test_an_adapter_that_is_not_in_the_weights_is_named(place, tiny_model, tmp_path):
    parity = compared(place, shutil.copytree(tiny_model, tmp_path / "base"))

    assert (parity.is_shown, rules(parity)) == (False, ["adapter-not-applied"])
    assert parity.weights.times == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shows", [True, False], ids=["shows prompts", "shows nothing"])
def test_a_server_is_what_was_judged(place, tiny_model, shows):
    with standing_in(tiny_model, place / "tuned", shows=shows) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (True, [])
    seen = "the same token ids in" if shows else "only their lengths are known, and equal in"
    assert next(parity.lines()) == f"prompts: {seen} 32 of 32"
    assert set(parity.record.verdicts) == {"desk/triage", *(["desk/passages"] if shows else [])}
    assert list(parity.unseen) == ([] if shows else ["desk/passages"])


@pytest.fixture
def log_of_vllm(tmp_path, monkeypatch):
    """What a program in vLLM's place was started with and asked; its answers are nobody's."""
    monkeypatch.setenv(PYTHON, str(install(tmp_path / "venv")))
    monkeypatch.chdir(tmp_path)
    return lambda: "".join(path.read_text() for path in (tmp_path / LOGS).glob("*.log"))


def test_vllm_serves_the_adapter_on_its_base(place, tiny_model, log_of_vllm):
    parity = compared(place, f"vllm:{tiny_model}")

    served = f"tg-{adapter_digest(place / 'tuned')}"
    assert f"{served}=" in log_of_vllm().splitlines()[0]
    assert f'"asked": "{served}"' in log_of_vllm()
    assert (parity.kind, parity.digest, parity.weights) == ("vllm", scored(place).base.model.base, None)
    said = "prompts: sent as token ids, without the server's template: 32 of 32"
    assert next(parity.lines()) == said
    assert (parity.is_shown, "other-weights" in rules(parity)) == (False, True)


def test_vllm_serves_a_merged_folder_as_it_is(place, merged, log_of_vllm):
    parity = compared(place, f"vllm:{merged}")

    assert "--lora-modules" not in log_of_vllm()
    assert parity.weights.error < 1e-6
    assert parity.as_artefact().name == f"vllm:{merged}"
    assert not parity.is_shown


def test_a_tokenizer_is_named_for_what_is_asked_over_the_network_alone(place, merged, tiny_model):
    with pytest.raises(
        Refused, match=r"--tokenizer smollm2: expected a server or a GGUF file, .* found .*merged, which"
    ):
        compared(place, merged, tokenizer="smollm2")


def test_a_few_identical_answers_are_what_was_judged(tmp_path, tiny_model, tiny_adapter):
    """Too few for the gate to hold: yet nothing that could be lost was."""
    judged = scored(make_place(tmp_path / "few", tiny_model, tiny_adapter, cases=5))
    decided = decide_served(judged, judged.record, quiet())
    assert decided.verdicts["desk/passages"].verdict == "held"
    assert decided.verdicts["desk/passages"].reason == "The same: all 5 outputs match the evaluated ones."
    assert not blocked(decided)

    key = "desk/passages/p00"
    first = judged.record.cases[key]
    [text] = first.logprobs

    def moved(by: float) -> str:
        results = {**judged.record.cases, key: replace(first, logprobs=((text[0] - by, *text[1:]),))}
        return str(
            decide_served(judged, replace(judged.record, cases=results), quiet()).verdicts["desk/passages"].verdict
        )

    assert moved(by=1e-3) == "held"  # less than float16 arithmetic does
    assert moved(by=10.0) == "inconclusive"


def test_few_cases_that_differ_without_a_cause_are_told_apart_from_another_model(tmp_path, tiny_model, tiny_adapter):
    judged = scored(make_place(tmp_path / "few", tiny_model, tiny_adapter, cases=5))
    key = "desk/triage/c001"
    other = replace(judged.record, cases={**judged.record.cases, key: replace(judged.record.cases[key], output="x")})
    decided = decide_served(judged, other, quiet())
    seen = output_parity(judged.base.tokenizer, judged.units, judged.record, other, {})
    found = Parity("merged", "folder", None, decided, PromptParity("token ids", 5, 5), seen)

    assert (found.is_shown, found.causes, found.too_few) == (False, [], ["desk/triage"])
    wrong = replace(found, settings=(Finding("config", "rope_theta is 1 where 2 was evaluated"),))
    assert (wrong.causes, wrong.too_few) == (["config"], [])


def change_config(folder: Path, **settings: object) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"rms_norm_eps": 1e-2},
        {"max_position_embeddings": 2048},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 2.0}},
        {"hidden_act": "relu"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_setting_of_the_model_is_named_with_both_values(place, merged, settings):
    parity = compared(place, change_config(merged, **settings))

    [name] = settings
    assert (parity.is_shown, rules(parity)[0]) == (False, "config")
    assert f"{name}" in parity.findings[0].message
    assert " where " in parity.findings[0].message
    assert "quantised" not in rules(parity)


def test_a_longer_context_changes_nothing_and_a_penalty_does(tiny_model, merged):
    config = AutoConfig.from_pretrained(tiny_model)
    assert config_findings(config, tiny_model, change_config(merged, max_position_embeddings=8192)) == []

    (merged / "generation_config.json").write_text('{"repetition_penalty": 1.3, "min_length": 0, "top_p": 0.9}')
    [finding] = config_findings(config, tiny_model, merged)
    assert str(finding) == "config: repetition_penalty is 1.3 where None was evaluated"
    assert config_findings(config, merged, merged) == []


@pytest.mark.parametrize(
    ("times", "rule"), [(0.5, "adapter-scaled"), (0.8, "adapter-scaled"), (2.0, "adapter-applied-twice")]
)
def test_an_adapter_at_another_scale_is_named(place, merged, tiny_model, times, rule):
    from safetensors.torch import load_file

    before = load_file(tiny_model / "model.safetensors")
    change_weights(merged, lambda name, each: before[name] + times * (each - before[name]) if name in before else each)
    found = weights_of(place, merged)

    assert [each.rule for each in found.findings] == [rule]
    assert f"is in the weights {times} times" in found.findings[0].message


def test_another_adapter_in_the_place_of_the_adapter_is_named(place, make_adapter, tmp_path):
    (tmp_path / "merged").mkdir()
    merge_adapter(scored(place).base, make_adapter("another"), tmp_path / "merged")
    [finding] = weights_of(place, tmp_path / "merged").findings

    assert finding.rule == "another-adapter"


def test_token_ids_of_another_tokenizer_are_seen(place, tiny_model, tmp_path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    write_template(other, "{{ m['role'] }}", "{{ m['role'] | upper }}")
    with standing_in(tiny_model, place / "tuned") as server:
        parity = compared(place, server.model, tokenizer=str(other))

    assert (parity.is_shown, rules(parity)[0]) == (False, "template")
    assert next(parity.lines()).endswith("without the server's template: 0 of 32")


def test_a_server_that_is_asked_in_token_ids_is_what_was_judged(place, tiny_model):
    with standing_in(tiny_model, place / "tuned") as server:
        parity = compared(place, server.model, tokenizer=str(tiny_model))

    assert parity.is_shown
    assert next(parity.lines()).startswith("prompts: sent as token ids")


@pytest.mark.parametrize("shows", [True, False], ids=["shows prompts", "shows nothing"])
@pytest.mark.parametrize("rule", ["template", "end-of-turn", "doubled-bos"])
def test_what_became_of_a_servers_prompt_is_named(place, tiny_model, rule, shows):
    template = (tiny_model / "chat_template.jinja").read_text()
    wrong = {"twice": True} if rule == "doubled-bos" else {"template": template.replace(*TEMPLATES[rule])}
    if rule == "template" and not shows:
        wrong["template"] = template.replace("assistant", "the assistant")
    with standing_in(tiny_model, place / "tuned", shows=shows, **wrong) as server:
        parity = compared(place, server.model)

    # of a prompt that is not shown a lost end of turn is a length like another
    assert rules(parity)[0] == ("template" if rule == "end-of-turn" and not shows else rule)
    assert not parity.is_shown


def test_a_server_without_the_adapter_is_named(place, tiny_model):
    with standing_in(tiny_model) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (False, ["adapter-not-applied"])
    assert "32 of 32 outputs are those of the base without it" in str(parity.findings[0])


def test_a_server_of_other_weights_is_named(place, tiny_model, tiny_adapter, tmp_path):
    base = change_weights(shutil.copytree(tiny_model, tmp_path / "other"), another)
    with standing_in(base, tiny_adapter) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (False, ["other-weights"])


def test_a_server_that_samples_is_named(place, tiny_model):
    with standing_in(tiny_model, place / "tuned", samples=True) as server:
        parity = compared(place, server.model)

    assert (parity.is_shown, rules(parity)) == (False, ["sampling"])
    assert "of 8 outputs change when the same request is sent again" in str(parity.findings[0])


@pytest.mark.parametrize("tokens", [[], None, ["a"], [-1], [10**30], [True]])
def test_token_ids_that_are_none_could_not_run(tokens):
    with (
        serving(says(json.dumps({"tokens": tokens, "prompt": "x"}))) as server,
        pytest.raises(CouldNotRun, match="token"),
    ):
        served_prompts(server.model, [(("user", "Hi."),)], ModelOptions())


@pytest.mark.parametrize(
    ("shown", "scales"),
    [
        (
            [{"id": 0, "path": "a.gguf", "scale": 0.5}, {"id": 1, "path": "b.gguf", "scale": 1}],
            {"a.gguf": 0.5, "b.gguf": 1},
        ),
        ([], {}),
        ([{"path": "a.gguf"}], {}),
        ({"error": "none here"}, {}),
        (None, {}),
    ],
)
def test_the_adapters_that_a_server_shows_are_read_with_their_scales(shown, scales):
    with serving(says("{}")) as server:
        server.shown["/lora-adapters"] = shown
        assert served_loras(server.model, ModelOptions()) == scales
    assert server.asked == [], "a request there would set the scales"


@pytest.mark.parametrize("artefact", ["nowhere", "run.json", "fixtures"])
def test_what_is_nothing_to_serve_could_not_run(place, artefact):
    with pytest.raises(CouldNotRun, match="expected a merged model folder"):
        compared(place, place / artefact)


def test_a_file_that_is_no_gguf_could_not_run(place, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 200)
    with pytest.raises(CouldNotRun, match="expected a GGUF file of a language model"):
        compared(place, path)


@pytest.mark.parametrize("given", [False, True], ids=["no option", "with the option"])
def test_a_folder_without_a_template_is_refused_with_what_truly_helps(place, merged, given):
    template = (merged / "chat_template.jinja").rename(merged.parent / "chat.jinja")
    with pytest.raises(Refused, match=r"merged: expected a chat template, found none: .* as chat_template\.jinja"):
        compared(place, merged, chat_template=template if given else None)

    shutil.copy(template, merged / "chat_template.jinja")
    assert compared(place, merged).is_shown


def test_the_record_of_another_adapter_is_refused(place, tmp_path, make_adapter):
    home = shutil.copytree(place, tmp_path / "place", ignore=shutil.ignore_patterns("good"))
    shutil.copy(make_adapter("another") / "adapter_model.safetensors", home / "tuned")
    with pytest.raises(Refused, match=r"expected a complete record of .*, found another"):
        scored(home)


def test_what_is_served_is_kept_as_a_record(place, merged):
    parity = compared(place, merged)

    kept = json.loads(parity.record.path.read_text())
    assert kept["fingerprint"]["subject"]["model"] == Base(str(merged), quiet()).model.slug
    assert set(kept["verdicts"]) == {"desk/triage", "desk/passages"}
