"""Chat templates: given for a model that has none, and system turns that some of them know nothing of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.models.test_huggingface import answers, requests
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import NO_TEMPLATE, ModelOptions, template_from
from tunegate.harness.models.tokenizer import load_tokenizer, prompt_renderer, render_prompt

PLAIN = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
TURNS = "{% for m in messages %}{REFUSE}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
RAISES = TURNS.replace("{REFUSE}", "{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}")
DROPS = "{% for m in messages if m.role != 'system' %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
SHOTS = (("system", "Sort."), ("user", "one"), ("assistant", "1"), ("user", "two"))


@pytest.fixture
def template(tmp_path) -> Path:
    path = tmp_path / "plain.jinja"
    path.write_text(PLAIN)
    return path


def rendered(tokenizer, template: str, messages=SHOTS) -> str:
    tokenizer.chat_template = template
    return render_prompt(tokenizer, Request("desk/triage/a", messages, Decoding()))


def test_a_model_without_a_template_is_refused_and_says_how_to_give_one(bare_model):
    with pytest.raises(Refused, match=r"tiny: expected a chat template, found none, .*--tg-chat-template=FILE\.jinja"):
        load_tokenizer(bare_model)


def test_it_answers_with_one_that_is_given(bare_model, template):
    model = Local(str(bare_model), quiet(), options=ModelOptions(chat_template=template))
    [first] = requests(texts=["It drips."])

    assert render_prompt(model.tokenizer, first) == "Sort.\nIt drips.\n"
    assert answers(model, [first])
    assert model.fingerprint.names["options"] == f"--tg-chat-template={template}"


def test_another_template_is_another_model(tiny_model, bare_model, template):
    def found(folder: Path, **given: Path):
        return Local(str(folder), quiet(), options=ModelOptions(**given)).model

    own, given = found(tiny_model), found(tiny_model, chat_template=template)

    assert (own.base, own.tokenizer) == (given.base, given.tokenizer)
    assert (own.template, own.slug) != (given.template, given.slug)
    assert found(bare_model, chat_template=template).template == given.template, "by its text, wherever it comes from"
    template.write_text(PLAIN + "?")
    assert found(bare_model, chat_template=template).template != given.template


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "expected a chat template, found nothing there"), (b"\xff\xfe{{", "expected UTF-8 text, found UTF-16")],
)
def test_a_file_that_holds_none_is_refused_by_name(bare_model, tmp_path, content, told):
    path = tmp_path / "template.jinja"
    if content:
        path.write_bytes(content)

    with pytest.raises(Refused, match=f"template.jinja(:1)?: {told}"):
        Local(str(bare_model), quiet(), options=ModelOptions(chat_template=path))


def test_a_template_with_a_mistake_is_refused_where_it_is_first_used(bare_model, tmp_path):
    (tmp_path / "broken.jinja").write_text("{% for %}")
    render = prompt_renderer(str(bare_model), quiet(), tmp_path / "broken.jinja")

    with pytest.raises(
        Refused, match=r"desk/triage/0: expected messages that the model's chat template accepts, found"
    ):
        render(requests()[0])


@pytest.mark.parametrize("template", [RAISES, DROPS], ids=["refuses", "drops"])
def test_system_text_that_a_template_does_not_take_heads_the_first_user_turn(tiny_model, template):
    tokenizer = load_tokenizer(tiny_model)

    assert rendered(tokenizer, template) == "[user] Sort.\n\none\n[assistant] 1\n[user] two\n"
    assert rendered(tokenizer, template, SHOTS[1:]) == "[user] one\n[assistant] 1\n[user] two\n"


def test_system_text_that_it_takes_stays_where_it_is(tiny_model):
    taken = rendered(load_tokenizer(tiny_model), TURNS.replace("{REFUSE}", ""))

    assert taken == "[system] Sort.\n[user] one\n[assistant] 1\n[user] two\n"


NONE = ModelOptions(chat_template=NO_TEMPLATE)


def test_without_a_template_prompts_are_plain_text(bare_model):
    model = Local(str(bare_model), quiet(), options=NONE)

    assert render_prompt(model.tokenizer, Request("desk/triage/a", SHOTS, Decoding())) == "Sort.\n\none\n\n1\n\ntwo\n\n"
    assert answers(model, requests(texts=["It drips."]))
    assert model.fingerprint.names["options"] == "--tg-chat-template=none"


def test_a_models_own_template_gives_way_to_plain_text(tiny_model, bare_model):
    own, plain = Local(str(tiny_model), quiet()).model, Local(str(tiny_model), quiet(), options=NONE).model

    assert own.slug != plain.slug
    assert plain.template == Local(str(bare_model), quiet(), options=NONE).model.template


def test_plain_text_begins_as_the_tokenizer_begins_texts(bare_model, tmp_path):
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bare_model)
    begins = TemplateProcessing(single="<|start|> $A", special_tokens=[("<|start|>", 1)])
    tokenizer.backend_tokenizer.post_processor = begins
    tokenizer.save_pretrained(tmp_path)

    found = render_prompt(load_tokenizer(tmp_path, NO_TEMPLATE), Request("a", (("user", "Hi."),), Decoding()))
    assert found == "<|start|>Hi.\n\n"


def test_none_is_a_word_and_no_file_in_every_folder(tmp_path):
    assert template_from(tmp_path, "none") == template_from(tmp_path, NO_TEMPLATE) == NO_TEMPLATE
    assert template_from(tmp_path, "./none.jinja") == tmp_path / "none.jinja"


@pytest.fixture
def with_code(tiny_model, tmp_path) -> Path:
    """A model whose code lies in its folder, and says so when it runs."""
    folder = shutil.copytree(tiny_model, tmp_path / "mine")
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_code_of_a_models_own_is_never_run(with_code, tmp_path):
    with pytest.raises(Refused, match="mine: expected a model whose code is in transformers, found one with custom"):
        list(answers(Local(str(with_code), quiet()), requests(texts=["It drips."])))
    assert not (tmp_path / "ran").exists()


def test_code_that_transformers_has_itself_is_not_missed(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "known")
    config = json.loads((folder / "config.json").read_text()) | {"auto_map": {"AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))

    assert answers(Local(str(folder), quiet()), requests(texts=["It drips."]))
