"""A chat template, taken apart for Ollama: put together again it writes the same prompts, or it is left out."""

from __future__ import annotations

from functools import cache

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.models.api import Messages
from tunegate.harness.release.modelfile import turn_texts

CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
DEFAULT = (
    """{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}""" + CHATML
)
HEADERS = """{{ '<s>' }}{% for m in messages %}{{ '[' + m.role + ']\n\n' + m.content + '<|eot|>' }}{% endfor %}\
{{ '[assistant]\n\n' }}"""
INSTRUCT = """{{ '<s>' }}{% for m in messages %}{% if m.role == 'system' %}{{ 'SYS ' + m.content + ' ' }}\
{% elif m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ m.content + '</s>' }}{% endif %}\
{% endfor %}"""
REFUSES = """{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}""" + CHATML
COUNTS = """{% for m in messages %}{{ loop.index ~ m.role ~ m.content }}{% endfor %}"""
TRIMS = CHATML.replace("m.content", "(m.content | trim)")
BRACES = CHATML.replace("<|im_end|>", "{{ '{{' }}")
TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20)), min_size=1, max_size=4)


@cache
def compiled(template: str) -> jinja2.Template:
    return jinja2.Template(template)


def render(template: str, messages: Messages) -> str:
    def refuse(text: str) -> None:
        raise jinja2.TemplateError(text)

    turns = [{"role": role, "content": text} for role, text in messages]
    return compiled(template).render(messages=turns, add_generation_prompt=True, raise_exception=refuse)


@pytest.mark.parametrize(("template", "default"), [(CHATML, ""), (DEFAULT, "You help."), (HEADERS, ""), (INSTRUCT, "")])
@given(turns=TURNS, system=st.none() | st.text(max_size=20))
def test_what_is_put_together_again_is_what_the_template_writes(template, default, turns, system):
    found = turn_texts(lambda messages: render(template, messages), [])
    assert found is not None
    assert found.default == default
    messages = (*([("system", system)] if system is not None else []), *turns)
    assert found.written(messages) == render(template, messages)


@pytest.mark.parametrize("template", [REFUSES, COUNTS, BRACES, "{{ messages[-1].content }}", "nothing"])
def test_a_template_that_cannot_be_written_so_is_left_out(template):
    assert turn_texts(lambda messages: render(template, messages), []) is None


def test_the_prompts_of_the_evaluation_have_to_come_out():
    """One that trims texts writes others only where a text has white space at its ends."""
    plain, spaced = (("user", "a"),), (("user", " a"),)
    for messages, is_same in ((plain, True), (spaced, False)):
        found = turn_texts(lambda each: render(TRIMS, each), [(messages, render(TRIMS, messages))])
        assert (found is not None) == is_same


def test_it_is_written_in_the_language_of_ollama():
    found = turn_texts(lambda messages: render(CHATML, messages), [])
    assert found is not None
    assert found.in_go() == (
        '{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n{{ end }}'
        '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n{{ end }}'
        '{{ if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n'
        "{{ end }}{{ end }}<|im_start|>assistant\n"
    )
