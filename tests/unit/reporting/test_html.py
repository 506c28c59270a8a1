"""The page: what is in it, and that nothing that a model wrote can run in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support.hostile_page import HOSTILE
from tunegate.harness.checks.base import Finding
from tunegate.harness.models.evaluation.remarks import cause, note
from tunegate.harness.models.evaluation.sidecar import CaseContext
from tunegate.harness.reporting.compared import ComparedSide
from tunegate.harness.reporting.drawings import interval_drawing
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.html import MOST_INSIDE, html_page, page_beside, piece_files, unit_rows, write_html
from tunegate.harness.reporting.origin import Origin
from tunegate.harness.reporting.page_data import page_data
from tunegate.harness.reporting.report import (
    CandidateReport,
    CaseReport,
    HistoryEntry,
    Report,
    RuleReport,
    UnitHistory,
    UnitReport,
)
from tunegate.harness.reporting.slices import SliceReport

VOID = {"meta", "input", "link", "br", "img", "base"}
UNIT = UnitReport(
    "desk/triage", "pass/fail", 40, 0.8, verdict="regressed", remarks=(cause("significantly-worse", "worse"),),
    role="guard", reference="baseline", side="in service", base=1.0, difference=-0.2, interval=(-0.35, -0.1),
    level=0.04, margin=0.15, regressed=8, blocks=True,
)  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and the text in each kind of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def case(text: str = "no idea", **more) -> CaseReport:
    context = CaseContext(f"fixtures/desk/{text}.yaml", 7, {"a": text}, (("user", text),), tags={text: text})
    made = CaseReport(
        f"desk/triage/{text}", "desk/triage", "regressed", True, now=text, findings=(Finding(text, text, source=text),),
        before={"baseline": f"before {text}"}, context=context,
    )  # fmt: skip
    return replace(made, **more)


def report(*cases: CaseReport, text: str = "tuned") -> Report:
    unit = replace(UNIT, key=text, remarks=(note("numbers", text),), driver=text)
    said = (cause("units-block", text),)
    candidate = CandidateReport(text, "blocked", said, (unit,), cases, {text: text}, {text: text}, f"pytest {text}")
    edits = [EditedPart(text, text, f"{said}\nbefore", f"{said}\nnow") for said in (text[:99], f"{text}{' and' * 400}")]
    rules = RuleReport((text,), (text,), refused=text, by_rules=(text,), configuration=tuple(edits))
    return Report("blocked", (cause("rule-changes", text),), rules, (candidate,), (text,))


def cases_of(page: Page) -> list[dict]:
    """The cases of a page that is one file, each with its entry in the index and its part of the piece."""
    index, files, *pieces = [json.loads(text) for text in page.texts["script"] if text[0] in "[{"]
    assert files == []
    held = [(piece["texts"], each) for piece in pieces for each in piece["cases"]]
    kinds = [{key: value for key, value in kind.items() if key != "prefix"} for kind in index["kinds"]]
    return [
        {"key": index["kinds"][kind]["prefix"] + end} | kinds[kind] | each
        | {"prompt": [[role, texts[number]] for role, number in each["prompt"]]}
        for (end, kind), (texts, each) in zip(index["cases"], held, strict=True)
    ]  # fmt: skip


def test_the_page_of_a_large_record_is_a_folder_beside_it(tmp_path):
    few, many = (report(*(case(key=f"desk/triage/c{n}") for n in range(count))) for count in (3, MOST_INSIDE + 1))
    places = [page_beside(tmp_path / "record.json", each).name for each in (few, many)]
    assert places == ["record.html", "record.page"]


def test_the_index_of_a_page_says_once_what_many_cases_share():
    index = json.loads(page_data(report(*(case(key=f"desk/triage/c{n}") for n in range(300))))[0])
    assert len(index["cases"]) == 300
    assert len(index["kinds"]) == 1


def policy_of(page: Page) -> str:
    return next(each["content"] for each in page.of("meta") if each.get("http-equiv") == "Content-Security-Policy")


def test_what_others_wrote_is_text_wherever_it_stands():
    for text in HOSTILE:
        plain, hostile = Page(html_page(report(case()))), Page(html_page(report(case(text), text=text)))

        # the very elements and attributes that a harmless report has
        names = [[(tag, sorted(attributes)) for tag, attributes in page.elements] for page in (plain, hostile)]
        assert names[0] == names[1]
        assert [text for tag, text in hostile.elements if tag == "script"] == [
            {"type": "application/json", "id": "index"},
            {"type": "application/json", "id": "files"},
            {"type": "application/json", "class": "piece"},
            {},
        ]


def test_a_block_of_data_ends_where_it_should():
    for text in HOSTILE:
        found = html_page(report(case(text)))
        for block in ('id="index"', 'class="piece"'):
            held = found.partition(f'<script type="application/json" {block}>')[2].partition("</script>")[0]
            assert not set("<>&\u2028\u2029") & set(held)
            assert held.isascii()
            assert len(json.loads(held)["cases"]) == 1


def test_the_policy_allows_the_one_script_and_the_one_style_alone():
    text = html_page(report(case()))
    page = Page(text)
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()}'"
        for found in (re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1],
                      re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1])
    ]  # fmt: skip
    assert policy_of(page) == (
        f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; base-uri 'none'; form-action 'none'"
    )


def test_nothing_in_it_is_loaded_or_led_to():
    page = Page(html_page(report(case())))
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    assert {each["href"][:7] for each in page.of("a")} == {"#cases", "#state="}
    assert not any(name.startswith("on") or name in ("src", "style") for _, each in page.elements for name in each)


def test_the_script_parses_no_markup():
    script = re.search(r"<script>(.*?)</script>", html_page(report()), re.DOTALL)[1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|fetch\(|XMLHttp|import\(", script
    )


def test_the_verdict_is_the_first_heading_and_altered_rules_come_before_numbers():
    text = html_page(report(case(), text="SAID"))
    assert re.search(r"<h[1-6][^>]*>(.*?)</h", text)[1] == "SAID"
    assert text.index("these block until a reviewer approves them") < text.index('class="units"')


def test_the_head_says_the_first_sentence_loudest_and_the_outcome_once():
    step = "Next: read its 8 regressed cases, then change the model or its prompt."
    scores = f"desk/triage regressed: in service 100.0\u00a0%, this change 80.0\u00a0%. {step}"
    regressed = cause("units-block", "Blocked: desk/triage regressed.", ["desk/triage"])
    unproven = cause("reused-cases", "Unproven.")
    for outcome, said, shown in [
        ("blocked", (regressed, note("supplied", "S.")), f"<h1>Blocked: {scores}</h1>\n<p>S.</p></header>"),
        ("blocked", (regressed,), f"<h1>Blocked: {scores}</h1>\n</header>"),
        (
            "passed",
            (unproven,),
            '<p class="outcome">passed</p>\n<h1>Unproven.</h1>\n<p>desk/triage regressed: in service 100.0 %',
        ),
        (
            "passed",
            (note("passed", "Passed."),),
            "<h1>Passed. Next: nothing blocks, go on.</h1>\n<p>desk/triage regressed: in service 100.0 %",
        ),
        (
            "refused",
            (cause("refused", "Refused."),),
            "<h1>Refused. Next: mend what the lines below say, and run again.</h1>",
        ),
        (
            "refused",
            (cause("gate-result", "The job failed."),),
            '<p class="outcome">refused</p>\n<h1>The job failed.</h1>',
        ),
    ]:
        one = report(case())
        candidate = replace(one.candidates[0], units=(UNIT,), outcome=outcome, said=said)
        page = html_page(replace(one, outcome=outcome, said=said, candidates=(candidate,), rules=RuleReport()))
        head = page.partition("<header")[2].partition("<main>")[0]
        assert shown in head
        assert ('class="outcome"' in head) == ('class="outcome"' in shown)


def test_numbers_and_slices_lead_to_their_cases():
    slices = (SliceReport("channel=a b", 3, 1.0, 0.0, 3, 0, True),)
    one = report(case())
    candidate = replace(one.candidates[0], units=(replace(UNIT, slices=slices),))
    page = Page(html_page(replace(one, candidates=(candidate,))))
    assert [each["href"] for each in page.of("a")] == [
        "#cases", "#state=regressed&unit=desk%2Ftriage", "#unit=desk%2Ftriage&tag=channel%3Da+b", "#state=all",
    ]  # fmt: skip


def test_a_finding_is_there_with_the_line_of_its_rule():
    found = Finding("schema.enum", "no", "a", source="refs/a.json:7")
    [made] = cases_of(Page(html_page(report(case(findings=(found,))))))
    assert made["outputs"][0]["findings"] == [["schema.enum at a: no", "refs/a.json:7"]]


def test_every_control_has_a_label_and_every_section_a_name():
    page = Page(html_page(report(case())))
    ids = {each["id"] for _, each in page.elements if "id" in each}
    assert all(each["aria-labelledby"] in ids for each in page.of("section"))
    assert len(page.of("label")) == len(page.of("select")) + len(page.of("input"))
    assert page.of("html")[0]["lang"] == "en"
    assert all("aria-hidden" in each or (each["role"] == "img" and each["aria-label"]) for each in page.of("svg"))


def test_a_case_holds_what_a_reader_needs():
    [made] = cases_of(Page(html_page(report(case("yes")))))
    assert (made["key"], made["critical"], made["place"]) == ("desk/triage/yes", True, "fixtures/desk/yes.yaml:7")
    assert made["prompt"] == [["user", "yes"]]
    assert json.loads(made["expect"]) == {"a": "yes"}
    assert made["before"] == {"baseline": "before yes"}
    assert made["outputs"][0]["pieces"] == [["before", "before "], ["same", "yes"]]
    assert made["command"] == "pytest tuned fixtures/desk/yes.yaml::yes"


def test_json_differs_by_field():
    [made] = cases_of(Page(html_page(report(case(now='{"a": 1}', before={"baseline": '{"a": 2}'})))))
    assert (made["outputs"][0]["fields"], made["outputs"][0]["pieces"]) == ([["a", "2", "1"]], [])


def test_a_sealed_case_is_there_by_its_id_alone():
    sealed = CaseReport("desk/secret/c1", "desk/secret", "regressed", sealed=True)
    [made] = cases_of(Page(html_page(report(sealed))))
    assert made == {
        "key": "desk/secret/c1", "unit": "desk/secret", "sealed": True, "critical": False, "tags": [], "rules": [],
        "states": ["regressed"], "prompt": [], "expect": "", "before": {}, "command": "", "place": "",
        "outputs": [{"now": None, "repeats": [], "findings": [], "fields": [], "pieces": []}],
    }  # fmt: skip


def test_several_candidates_stand_beside_each_other():
    one, other = report(case("a")), report(case("a", now="b"), case("c"))
    both = replace(one, candidates=(*one.candidates, *other.candidates))
    found = cases_of(Page(html_page(both)))
    assert [[answer and answer["now"] for answer in each["outputs"]] for each in found] == [
        ["a", "b"],
        [None, "c"],
    ]


def test_an_interval_is_drawn_to_scale_beside_its_margin():
    drawn = interval_drawing(UNIT)
    assert (drawn.low, drawn.margin, drawn.point, drawn.high) == (20.0, 65.7, 54.3, 77.1)
    assert list(drawn.ticks) == [(54.3, "-20"), (100.0, "0"), (145.7, "+20")]
    assert drawn.label == "difference -20.0 [-35.0, -10.0], margin -15.0"
    assert interval_drawing(replace(UNIT, interval=None)) is None
    assert interval_drawing(replace(UNIT, difference=0.0, interval=(0.0, 0.0), margin=0.0)).low == 100


@pytest.mark.parametrize(("most", "kind", "end"), [
    (0.9, "pass/fail", "50"), (0.001, "pass/fail", "0.1"), (0.07, "continuous", "0.05"), (3000.0, "continuous", "2000"),
])  # fmt: skip
def test_a_scale_ends_at_a_round_number_that_a_bar_reaches(most, kind, end):
    drawn = interval_drawing(replace(UNIT, kind=kind, difference=0.0, interval=(-most, most), margin=0.0))
    assert [text for _, text in drawn.ticks] == [f"-{end}", "0", f"+{end}"]
    assert drawn.low <= drawn.ticks[0][0] <= 60
    assert 140 <= drawn.ticks[2][0] <= drawn.high


def test_a_long_edited_prompt_is_folded_and_stands_whole_below():
    before = "".join(f"Rule {number}. " for number in range(300))
    edit = EditedPart("desk/triage", "system", before, before.replace("Rule 200.", "Law 200."))
    text = html_page(replace(report(case()), rules=RuleReport(configuration=(edit,))))
    shown, _, whole = text.partition('<pre class="edit" tabindex="0">')[2].partition("<details>")
    whole = whole.partition("</details>")[0]
    assert "<del>Rule</del><ins>Law</ins>" in shown
    assert "equal characters" in shown
    assert len(shown) < 800
    assert "equal characters" not in whole
    assert all(f" {number}. " in whole for number in range(300))


def test_the_head_names_the_pull_request_and_what_is_compared():
    one = report(case())
    sides = (ComparedSide("in service", "gpt-1, prompt 1234"), ComparedSide("this change", "<gpt>"))
    candidate = replace(one.candidates[0], compared=sides)
    origin = Origin("https://github.com/acme/desk", 12, "a" * 40)
    head = html_page(replace(one, candidates=(candidate,), origin=origin)).partition("<main>")[0]
    assert f'<a href="https://github.com/acme/desk/commit/{"a" * 40}">aaaaaaaa</a>' in head
    assert '<a href="https://github.com/acme/desk/pull/12">acme/desk#12</a>' in head
    assert "<dt>in service</dt><dd>gpt-1, prompt 1234</dd>" in head
    assert "<dt>this change</dt><dd>&lt;gpt&gt;</dd>" in head


def test_the_history_stands_below_the_cases():
    text = html_page(replace(report(case()), history=(UnitHistory("desk/triage", "pass/fail", ()),)))
    assert text.index('id="cases"') < text.index('id="history"') < text.index('id="provenance"')


def many(count: int) -> Report:
    return report(*(case(str(number)) for number in range(count)))


def test_a_page_in_a_folder_is_one_file_until_its_cases_are_many(tmp_path):
    assert write_html(tmp_path, many(MOST_INSIDE)) == tmp_path / "index.html"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert len(cases_of(Page((tmp_path / "index.html").read_text()))) == MOST_INSIDE


def test_many_cases_lie_beside_the_page_and_are_called_by_their_file(tmp_path):
    text = write_html(tmp_path, many(MOST_INSIDE + 1)).read_text()
    index, files = [json.loads(text) for text in Page(text).texts["script"] if text[0] in "[{"]
    assert sorted(files) == sorted(f"cases/{path.name}" for path in (tmp_path / "cases").iterdir())
    held = []
    for name in files:
        called, said = re.fullmatch(r"tunegatePiece\((.*?),(\".*\")\);\n", (tmp_path / name).read_text()).groups()
        assert json.loads(called) == name
        held += json.loads(json.loads(said))["cases"]
    assert len(held) == len(index["cases"]) == MOST_INSIDE + 1
    assert held[-1]["command"] == f"pytest tuned fixtures/desk/{MOST_INSIDE}.yaml::{MOST_INSIDE}"
    assert re.search(
        r"; script-src 'sha256-[^' ]+' 'strict-dynamic'; style-src 'sha256-[^' ]+'; ", policy_of(Page(text))
    )


def test_a_page_of_one_file_holds_all_of_them(tmp_path):
    assert write_html(tmp_path / "page.html", many(MOST_INSIDE + 1)) == tmp_path / "page.html"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_what_stands_in_a_file_of_cases_is_a_text():
    for text in HOSTILE:
        [(name, call)] = piece_files(page_data(report(case(text)))[1])
        assert call.isascii()
        assert not set("<>&") & set(call)
        [said, literal] = json.loads(f"[{call.removeprefix('tunegatePiece(').removesuffix(');' + chr(10))}]")
        assert said == name
        assert len(json.loads(literal)["cases"]) == 1


def test_pieces_of_an_earlier_page_go_and_other_files_stay(tmp_path):
    write_html(tmp_path, many(MOST_INSIDE + 1))
    (tmp_path / "cases" / "mine.js").write_text("")
    write_html(tmp_path, many(1))
    assert [path.name for path in (tmp_path / "cases").iterdir()] == ["mine.js"]


def test_a_reference_that_said_something_else_to_another_candidate_has_a_column_of_its_own():
    one, other = report(case("a")), report(case("a", before={"baseline": "else"}))
    both = replace(one, candidates=(*one.candidates, replace(other.candidates[0], name="other")))
    [made] = cases_of(Page(html_page(both)))
    assert made["before"] == {"baseline": "before a", "baseline of other": "else"}


def test_the_units_of_several_candidates_stand_side_by_side_the_base_leftmost():
    one = report(case("a"))
    other = replace(one.candidates[0], name="other", units=(replace(UNIT, key="tuned", mean=0.9, base=0.95),))
    both = replace(one, candidates=(*one.candidates, other))
    assert unit_rows(both) == [("tuned", "100.0 % or 95.0 %", (one.candidates[0].units[0], other.units[0]))]
    text = html_page(both)
    heading = text.partition('id="beside"')[2].partition("</thead>")[0]
    assert re.findall(r"<th [^>]*>([^<]*)</th>", heading) == ["unit", "before", "tuned", "other"]
    assert 'id="beside"' not in html_page(one)


def test_the_units_of_more_than_three_candidates_are_folded_below_the_table_of_all():
    one = report(case("a"))
    few, many = (html_page(replace(one, candidates=one.candidates * count)) for count in (3, 4))
    assert (few.count("<summary>units of tuned</summary>"), many.count("<summary>units of tuned</summary>")) == (0, 4)
    assert Page(many).of("details")


def test_the_history_is_drawn_and_told():
    entries = (HistoryEntry("2026-11-02T10:00:00+00:00", "released", "adapter <b>", 0.5, True),
               HistoryEntry("2026-11-03T10:00:00+00:00", "run", "other", 0.75, True),
               HistoryEntry("2026-11-04T10:00:00+00:00", "run", "gone", None, True))  # fmt: skip
    text = html_page(replace(report(case()), history=(UnitHistory("desk/triage", "pass/fail", entries),)))
    page = Page(text)
    assert [each["points"] for each in page.of("polyline")] == ["6.0,34.0 194.0,6.0"]
    assert "<td>2026-11-02T10:00</td><td>released</td><td>adapter &lt;b&gt;</td><td>50.0 %</td>" in text
    assert "<td>gone</td><td>-</td>" in text
    assert all("aria-hidden" in each or (each["role"] == "img" and each["aria-label"]) for each in page.of("svg"))


def test_the_turns_of_a_conversation_come_one_after_the_other_with_who_says_them():
    turns = (("system", "Sort."), ("user", "It drips."), ("assistant", "Where?"), ("user", "Below."))
    asked = case()

    page = Page(html_page(report(replace(asked, context=replace(asked.context, prompt=turns)))))

    [found] = cases_of(page)
    assert found["prompt"] == [list(turn) for turn in turns]


def test_many_candidates_stand_below_each_other_the_best_first_and_lead_to_their_units():
    one = report(case("a")).candidates[0]
    many = tuple(
        replace(one, name=f"adapter-{number}", outcome="passed" if number == 7 else "blocked",
                units=(replace(UNIT, role="target", difference=number / 100),))
        for number in range(12)
    )  # fmt: skip
    text = html_page(replace(report(case("a")), candidates=many))
    board = text.partition('id="leaderboard"')[2].partition("</table>")[0]
    assert re.findall(r'href="#candidate-(\d+)">adapter-(\d+)<', board) == [
        (str(number + 1), str(number)) for number in (7, 11, 10, 9, 8, 6, 5, 4, 3, 2, 1, 0)
    ]
    assert 'id="beside"' not in text
    assert all(f'id="candidate-{number}"' in text for number in range(1, 13))


@pytest.mark.parametrize(("expect", "text"), [
    ("Snow is white.", "Snow is white."),
    ({"answer": ["24", "twenty-four"]}, "24\nor twenty-four"),
    ({"answer": ["blue"]}, "blue"),
    ({"product": "boiler"}, '{\n  "product": "boiler"\n}'),
    ({"answer": ["blue"], "says": []}, '{\n  "answer": [\n    "blue"\n  ],\n  "says": []\n}'),
    (["é"], '[\n  "é"\n]'),
])  # fmt: skip
def test_what_is_expected_is_text_where_it_is_one_and_indented_otherwise(expect, text):
    context = CaseContext("f.yaml", 1, expect)
    [made] = cases_of(Page(html_page(report(case(context=context)))))
    assert made["expect"] == text
