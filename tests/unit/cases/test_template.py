from __future__ import annotations

from pathlib import Path

from tunegate.harness.cases.template import fill, misspelt, unfill, unfilled
from tunegate.harness.core.authoring.document import Document

DOCUMENT = Document(Path("a.yaml"), {}, {("prompt", "template"): 3})
WHERE = ("prompt", "template")


def test_what_resembles_the_input_is_told():
    for text in ["{inpt}", "{Input}", "{ input }", "{inputs}", "{INPUT}", "{in put}", "{in-put}"]:
        (problem,) = misspelt(DOCUMENT, f"Sort {text} now.", WHERE)

        assert str(problem) == (
            f"a.yaml:3: prompt.template: expected {{input}} or {{context}}, found {text}; did you mean {{input}}?"
        )


def test_what_resembles_the_context_is_told():
    for text in ["{contxt}", "{Context}", "{ context }", "{content}"]:
        assert misspelt(DOCUMENT, text, WHERE)[0].hint == "did you mean {context}?"


def test_other_braces_stay():
    for text in [
        "{input}", "{context} {input}", "{}", '{"input": 1}', "{product}", "{a: b}", "{{x}}",
    ]:  # fmt: skip
        assert misspelt(DOCUMENT, text, WHERE) == []
        assert fill(text.replace("{input}", "").replace("{context}", ""), {}) in {text, "", " "}


def test_each_misspelling_is_told_once():
    assert len(misspelt(DOCUMENT, "{inpt} {inpt} {contxt}", WHERE)) == 2


def test_a_system_message_has_no_placeholders():
    (problem,) = unfilled(DOCUMENT, "Sort {input}. Reply with {json}.", ("prompt", "system"))

    assert (problem.found, problem.hint) == ("{input}", "write it in the template")
    assert unfilled(DOCUMENT, None, WHERE) == unfilled(DOCUMENT, "Reply with {json}.", WHERE) == []


def test_what_is_filled_in_is_not_filled_again():
    assert fill("{context}: {input}", {"input": "{context}", "context": "{input}"}) == "{input}: {context}"


def test_white_space_around_what_is_filled_in_stays():
    assert fill("<{context}>{input}", {"input": "    pass\n", "context": " a "}) == "< a >    pass\n"


def test_what_was_filled_in_is_found_again():
    for template in [
        "{input}", "Q: {input}\nA:", "{context}\n--\n{input}.", "{input} {input}", "{x} {input}",
    ]:  # fmt: skip
        values = {"input": "one\n{context} two", "context": "page (3)"}

        assert unfill(template, fill(template, values)) == {
            name: text for name, text in values.items() if f"{{{name}}}" in template
        }


def test_what_no_template_gives_has_no_values():
    assert unfill("Ticket: {input}", "Tickets: it drips") is None
    assert unfill("{input} / {input}", "one / two") is None
