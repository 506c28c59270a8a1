"""Parquet files and data sets of the Hub as tables: their libraries read what pandas and others write."""

from __future__ import annotations

import datetime

import pytest

from tunegate.harness.begin.scaffold.table import read_table
from tunegate.harness.core.authoring import columnar
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, UsageError

pytest.importorskip("datasets")
REVISION = "a" * 40


def written(tmp_path, rows):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "mail.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def cells(table):
    return [dict(row.cells) for row in table.rows]


def test_a_parquet_file_keeps_its_types(tmp_path):
    day = datetime.date(2026, 11, 30)
    rows = [
        {"text": " a ", "n": 1, "part": {"of": ["x"], "no": None}, "day": day, "share": float("nan")},
        {"text": "b", "n": None, "part": None, "day": None, "share": 0.5},
    ]
    read = read_table(written(tmp_path, rows))

    assert (read.columns, read.typed) == (("text", "n", "part", "day", "share"), True)
    assert cells(read) == [
        {"text": "a", "n": 1, "part": {"of": ["x"]}, "day": "2026-11-30"},
        {"text": "b", "share": 0.5},
    ]


def test_what_is_no_parquet_file_is_told(tmp_path):
    (tmp_path / "mail.parquet").write_bytes(b"PAR1 and nothing else PAR1")

    with pytest.raises(AuthoringError, match=r"mail.parquet.*expected a Parquet file"):
        read_table(tmp_path / "mail.parquet")
    with pytest.raises(AuthoringError, match="found bytes"):
        read_table(written(tmp_path, [{"text": b"raw"}]))


def test_a_file_that_would_unpack_to_too_much_is_not_read(tmp_path, monkeypatch):
    path = written(tmp_path, [{"text": "a" * 100_000}] * 10)
    monkeypatch.setattr(columnar, "MOST_ROWS", 9)

    with pytest.raises(AuthoringError, match="expected at most 9 rows"):
        read_table(path)
    monkeypatch.setattr(columnar, "MOST_ROWS", 10)
    monkeypatch.setattr(columnar, "MOST_BYTES", 900_000)
    with pytest.raises(AuthoringError, match="rows in 900,000 bytes, found 10 rows in 1,000,"):
        read_table(path)


def test_a_data_set_of_the_hub_is_asked_for_with_its_revision_and_split(monkeypatch):
    import datasets

    asked = []
    rows = datasets.Dataset.from_list([{"text": "a", "team": "x"}, {"text": "b", "team": "y"}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **more: asked.append((given, more)) or rows)

    assert cells(read_table(f"hub:us/mail@{REVISION}#test")) == [{"text": "a", "team": "x"}, {"text": "b", "team": "y"}]
    assert asked == [(("us/mail",), {"revision": REVISION, "split": "test", "streaming": True})]
    read_table(f"hub:us/mail@{REVISION}")
    assert asked[1][1]["split"] == "train"


@pytest.mark.parametrize("source", ["hub:us/mail", "hub:us/mail@main", f"hub:../mail@{REVISION}", f"hub:@{REVISION}"])
def test_a_data_set_without_a_commit_is_a_usage_error(source):
    with pytest.raises(UsageError, match="a commit of 40 digits"):
        read_table(source)


def test_a_folder_of_that_name_is_not_read_in_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "us/mail").mkdir(parents=True)

    with pytest.raises(UsageError, match="expected no file or folder us/mail here"):
        read_table(f"hub:us/mail@{REVISION}")


def test_what_the_hub_does_not_deliver_is_told(monkeypatch):
    import datasets

    def gone(*_given, **_more):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", gone)
    with pytest.raises(CouldNotRun, match="expected a data set, the hub did not deliver it: no network"):
        read_table(f"hub:us/mail@{REVISION}")
