"""An item is added to a list; the rest of the text stays."""

from __future__ import annotations

import pytest
import yaml

from tunegate.harness.core.authoring.yaml_append import append_item

ITEM = "# why\n- id: new\n  input: |\n    one\n\n    two\n"


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\ncases:\n  - id: a # the first\n    input: 'x'\n",
        "cases:\n- id: a\n",
        "cases:\n    - id: a",
        "cases:\n  - id: a\n# of cases\n\n# of version\nversion: 1\n",
        'cases:\n  - {id: a, input: "Grüße \U0001f600"}\nversion: 1\n',
        "cases:\n  - id: a\n    input: >-\n      folded\n      text\n\n# the end\n",
        "cases:\n  - id: a\n    input: |\n      # no comment\nversion: 1\n",
        "\ufeffcases:\r\n  - id: a\r\n",
        "---\ncases:\n  - id: a\n    input: wait...\n...\n",
        "cases:\n  - id: a\n# the end\n... # done\n# more\n",
        "cases:\n  - id: a\n    input: |\n      ...\n...",
    ],
)
def test_it_is_the_last_item_and_every_other_character_stays(text):
    new = append_item(text, "cases", ITEM)

    data, before = yaml.safe_load(new), yaml.safe_load(text)
    assert data == {**before, "cases": [*before["cases"], {"id": "new", "input": "one\n\ntwo\n"}]}
    start, _, end = new.partition(new[new.index("# why") : new.index("two") + 3])
    kept = f"{start.rstrip(' ')}{end.lstrip()}" if end.strip() else start.rstrip(" ").removesuffix("\n")
    assert kept in (text, text.removesuffix("\n"))
    assert ("\r\n" in text) == ("id: new\r\n" in new)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_comments_above_the_next_key_stay_above_it(mark):
    new = append_item(f"{mark}cases:\n  - 1\n# of b\nb: 2\n", "cases", "- 3\n")

    assert new == f"{mark}cases:\n  - 1\n  - 3\n# of b\nb: 2\n"


@pytest.mark.parametrize("text", ["cases: [a]\n", "cases: {a: 1}\n", "other:\n  - a\n", "- a\n"])
def test_what_is_no_block_list_is_not_added_to(text):
    assert append_item(text, "cases", ITEM) is None
