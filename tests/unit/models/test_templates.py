"""A chat template is a program of the model's author: it may fail, write without end, or have none."""

from __future__ import annotations

from typing import Any

import pytest

from tunegate.harness.core.errors import Refused
from tunegate.harness.fixtures.model import Decoding
from tunegate.harness.models import tokenizer
from tunegate.harness.models.api import Request

REQUEST = Request("desk/triage/a", (("user", "Hello."),), Decoding())


class Tokenizer:
    """Its template is rendered as transformers does it."""

    def __init__(self, template: str) -> None:
        self.template = template

    def apply_chat_template(self, turns: Any, **_: Any) -> str:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        return ImmutableSandboxedEnvironment().from_string(self.template).render(messages=turns)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "no end within 2 seconds"),
        ("{{ 'x' * 20000000 }}", "expected a chat template that writes at most 10,000,000 characters"),
        ("{% include '/etc/passwd' %}", "expected messages that the model's chat template takes"),
        ("{{ messages.nothing.there }}", "expected messages that the model's chat template takes"),
    ],
)
def test_a_template_that_does_not_do_is_refused(monkeypatch, template, said):
    monkeypatch.setattr(tokenizer, "TEMPLATE_SECONDS", 2.0)
    with pytest.raises(Refused, match=said) as error:
        tokenizer.render_prompt(Tokenizer(template), REQUEST)
    assert "desk/triage/a" in str(error.value)


def test_one_that_does_is_what_is_asked():
    assert tokenizer.render_prompt(Tokenizer("{{ messages[0].content }}"), REQUEST) == "Hello."
