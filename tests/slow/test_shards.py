"""The embedded model asked in eight shards: the record of one run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.support.divided import differing, executed, write_divisible
from tunegate.harness.cli.main import app
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.shards import Shard
from tunegate.harness.models.options.run import Options

pytestmark = pytest.mark.real


def test_eight_shards_merged_equal_one_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # past the cache, which would answer the shards with what the whole run was told
    options = Options(
        tmp_path, cases=write_divisible(tmp_path), baselines=tmp_path / "baselines", out=tmp_path / "whole.json",
        fresh=True,
    )  # fmt: skip
    executed(options)
    files = [tmp_path / f"shard-{number}.json" for number in range(1, 9)]
    for number, file in enumerate(files, 1):
        executed(replace(options, shard=Shard(number, 8), out=file))
    done = CliRunner().invoke(app, ["merge", *map(str, files), "--out=merged.json"])
    assert done.exit_code == 0, done.output
    assert differing(tmp_path / "merged.json", tmp_path / "whole.json") == []
    assert all(summary.unscored == 0 for summary in read_record(tmp_path / "merged.json").units.values())
