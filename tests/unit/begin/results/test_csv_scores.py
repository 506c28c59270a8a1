"""CSV files of scores, in what spreadsheets and scripts make of them."""

from __future__ import annotations

import pytest

from tunegate.harness.begin.results.read import read_results
from tunegate.harness.core.errors import AuthoringError, Refused


def read(tmp_path, content: bytes | str):
    (tmp_path / "scores").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_results(tmp_path / "scores")


PLAIN = "id,acc,cost\na,1,0.5\nb,0,1.25\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("id", "ID") + "\n,,\n\n",
        '"id","acc","cost"\n"a","1","0.5"\n"b", 0 ,1.25\n',
        PLAIN.encode("utf-16"),
        ("\ufeff" + PLAIN).encode("utf-16-be"),
    ],
)
def test_what_is_written_otherwise_is_read_alike(tmp_path, content):
    found = read(tmp_path, content)

    assert [(each.id, dict(each.scores)) for each in found.samples] == [
        ("a", {"acc": 1.0, "cost": 0.5}), ("b", {"acc": 0.0, "cost": 1.25})
    ]  # fmt: skip
    assert found.amounts == {"cost"}


def test_ids_are_texts_and_samples_of_one_are_repeats(tmp_path):
    found = read(tmp_path, "id,s\n1,1\n01,0\n1,0\n1.0,1\n")

    assert {name: len(each) for name, each in found.by_id.items()} == {"1": 2, "01": 1, "1.0": 1}


def test_columns_of_texts_are_kept_and_others_left_out(tmp_path):
    found = read(tmp_path, 'id,input,Output,expected,s,comment\na,"q, r",o,e,1,fine\n')

    [sample] = found.samples
    assert (sample.input, sample.output, sample.expected, sample.scores) == ("q, r", "o", "e", {"s": 1.0})
    assert found.left_out == {"comment": "the column has no numbers"}


def test_an_empty_cell_has_no_score_and_an_empty_column_stays_a_metric(tmp_path):
    found = read(tmp_path, "id,s,t\na,,\nb,NaN,\nc,1,N/A\n")

    assert [each.scores for each in found.samples] == [{"s": None, "t": None}, {"s": None, "t": None},
                                                       {"s": 1.0, "t": None}]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,s\na,1\nb,good\nc,0\n", "scores:3: s: expected a number, true, false or nothing, found 'good'"),
        ("id,s\na,1\nb\n", "scores:3: expected 2 cells, as the header has, and an id, found 1 cells"),
        ("id,s\n,1\n", "scores:2: expected 2 cells, as the header has, and an id, found none"),
        ("id,s,s\na,1,1\n", "scores:1: expected each column once, found 's' twice"),
        ('id,s\na,"1\n', "scores:2: expected a row of CSV, found unexpected end of data"),
        ("id,s\n", "found no rows below the header"),
        ("id,input\na,b\n", "none of them with a number"),
        ("id\na\n", "a text that begins with 'id'"),
        ("id,s\na,\x001\n", "the byte 0, which no text holds"),
        (PLAIN.encode("utf-16")[:-1], "broken UTF-16"),
        (b"id,s\na\xff,1\n", "which is no UTF-8"),
        ("id,s\na,1,5\n", "found 3 cells"),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path, content, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused) as refused:
        read(tmp_path, content)
    assert says in str(refused.value)


def test_every_mistake_is_listed(tmp_path):
    with pytest.raises(AuthoringError, match="2 mistakes to fix"):
        read(tmp_path, "id,s,t\na,x,1\nb,1,y\nc,1,1\n")


def test_a_file_that_may_be_cut_off_is_reported(tmp_path):
    assert read(tmp_path, PLAIN).notes == ()
    [note] = read(tmp_path, PLAIN.rstrip("\n")).notes
    assert note == "scores does not end with a line break: if it was cut off, its last number may be a shorter one"


def test_a_huge_cell_is_read(tmp_path):
    found = read(tmp_path, f"id,input,s\na,{'x' * 3_000_000},1\n")

    assert len(found.samples[0].input) < 21_000
    assert found.samples[0].input.endswith("... (3,000,000 characters)")


def test_a_decimal_comma_counts_where_no_comma_parts_the_cells(tmp_path):
    assert [each.scores["s"] for each in read(tmp_path, "id;s\na;0,5\nb;1\n").samples] == [0.5, 1.0]


def test_a_comma_between_tabs_may_be_one_of_thousands_and_is_refused(tmp_path):
    with pytest.raises(AuthoringError, match="1,234"):
        read(tmp_path, "id\ts\na\t987\nb\t1,234\n")
