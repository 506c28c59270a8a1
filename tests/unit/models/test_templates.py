"""A chat template is a program of the model's author: it may fail, write without end, or have none."""

from __future__ import annotations

from typing import Any

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import Refused
from tunegate.harness.models import tokenizer
from tunegate.harness.models.api import Request

REQUEST = Request("desk/triage/a", (("user", "Hello."),), Decoding())


class Tokenizer:
    """Its template is rendered as transformers does it."""

    def __init__(self, template: str) -> None:
        self.template = template

    def apply_chat_template(self, turns: Any, tools: Any = None, **_: Any) -> str:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        return ImmutableSandboxedEnvironment().from_string(self.template).render(messages=turns)


@pytest.mark.parametrize(("template", "said"), [
    ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "still running after 2 seconds"),
    ("{{ 'x' * 20000000 }}", "expected a chat template that writes at most 10,000,000 characters"),
    ("{% include '/etc/passwd' %}", "expected messages that the model's chat template accepts"),
    ("{{ messages.nothing.there }}", "expected messages that the model's chat template accepts"),
])  # fmt: skip
def test_a_template_that_does_not_do_is_refused(monkeypatch, template, said):
    if said.startswith("still running"):  # the others take as long as they need
        monkeypatch.setattr(tokenizer, "TEMPLATE_SECONDS", 2.0)
    with pytest.raises(Refused, match=said) as error:
        tokenizer.render_prompt(Tokenizer(template), REQUEST)
    assert "desk/triage/a" in str(error.value)


def test_one_that_does_is_what_is_asked():
    assert tokenizer.render_prompt(Tokenizer("{{ messages[0].content }}"), REQUEST) == "Hello."


ALTERNATE = (
    "{% for each in messages %}{% if (each.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}{{ each.role }}: {{ each.content }}\n"
    "{% endfor %}"
)


class Strict(Tokenizer):
    """Its template can refuse messages, as many do."""

    def apply_chat_template(self, turns: Any, tools: Any = None, **_: Any) -> str:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(text: str) -> None:
            raise ValueError(text)

        template = ImmutableSandboxedEnvironment().from_string(self.template)
        return template.render(messages=turns, raise_exception=refuse)


def asked(*turns: tuple[str, str]) -> Request:
    return Request("desk/chat/a", turns, Decoding())


def test_turns_in_an_order_that_the_template_refuses_are_named():
    greeting = asked(("assistant", "Hello?"), ("user", "It drips."))

    with pytest.raises(Refused) as error:
        tokenizer.render_prompt(Strict(ALTERNATE), greeting)

    assert str(error.value) == (
        "desk/chat/a: expected messages that the model's chat template accepts, found assistant, user: roles must "
        "alternate user/assistant"
    )


def test_a_system_text_that_no_template_takes_stands_in_the_first_turn_of_the_user():
    template = "{% for each in messages if each.role != 'system' %}{{ each.role }}: {{ each.content }}\n{% endfor %}"
    greeting = asked(("system", "Be kind."), ("assistant", "Hello?"), ("user", "It drips."), ("user", "Still."))

    assert tokenizer.render_prompt(Tokenizer(template), greeting) == (
        "assistant: Hello?\nuser: Be kind.\n\nIt drips.\nuser: Still.\n"
    )
    assert tokenizer.render_prompt(Tokenizer(template), asked(("system", "Be kind."))) == ""
