"""Names of models that cannot be had, and the names of their baselines."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.resolve import resolve, short_name, template_text


@pytest.mark.parametrize(("name", "found"), [
    ("smollm3", "nothing there"), ("./no/folder", "nothing there"),
    ("/no/folder", "nothing there"), ("a/b/c", "nothing there"),
    ("folder", "a folder without config.json"),
])  # fmt: skip
def test_a_name_that_is_nothing_says_what_names_there_are(tmp_path, monkeypatch, name, found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()

    known = r"one of smollm2, a folder with a config\.json, a GGUF file, a Hub id .*"
    expected = rf"model '{name}': expected {known}; found {found}"
    with pytest.raises(CouldNotRun, match=expected):
        resolve(name)


@pytest.mark.parametrize(("name", "meant"), [
    ("smolm2", "smollm2"), ("openai/http://localhost:8000/v1#m", "openai:http://localhost:8000/v1#m"),
    ("replay=outputs/new.jsonl", "replay:outputs/new.jsonl"), ("outputs/new.jsonl", "replay:outputs/new.jsonl"),
    ("lib/bot.py:reply", "python:lib/bot.py:reply"), ("openai", "openai:URL#MODEL"),
])  # fmt: skip
def test_a_name_that_is_nearly_one_is_told_which(tmp_path, monkeypatch, name, meant):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CouldNotRun) as caught:
        resolve(name)
    assert str(caught.value).endswith(f"; did you mean {meant!r}?")


@pytest.mark.skipif(not find_spec("torch"), reason="the core alone is installed")
def test_a_hub_that_does_not_deliver_is_an_outage(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(CouldNotRun, match="model 'no/such-model': no such folder, and the hub did not deliver it: "):
        resolve("no/such-model")


def test_a_model_names_its_folder_of_baselines():
    for name, short in [
        ("smollm2", "smollm2"),
        ("Qwen/Qwen3-0.6B", "Qwen3-0.6B"),
        ("/a/my model/", "my-model"),
        ("/", "model"),
    ]:
        assert short_name(name) == short


def test_a_byte_order_mark_is_no_part_of_a_chat_template(tmp_path):
    (tmp_path / "chat.jinja").write_text("{{ messages }}", "utf-8-sig")
    assert template_text(tmp_path / "chat.jinja") == "{{ messages }}"
