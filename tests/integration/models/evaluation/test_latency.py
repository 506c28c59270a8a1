"""--tg-timing, of a model that answers."""

from __future__ import annotations

from tests.support.units import write_unit
from tests.unit.models.evaluation.test_latency import IDS
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.latency import WARM_UP
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

# --- a real model, tiny


def test_a_second_run_asks_again_although_its_answers_are_kept(tmp_path, tiny_model, tiny_adapter, monkeypatch):
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))  # other tests ask this model the same
    write_unit(tmp_path / "fixtures", IDS[:3])
    calls: list[int] = []
    answer = Local.complete
    monkeypatch.setattr(Local, "complete", lambda self, asked: calls.append(len(asked)) or answer(self, asked))
    options = Options(
        tmp_path, str(tiny_model), (tiny_adapter,), cases=tmp_path / "fixtures", baselines=tmp_path / "baselines",
        timing=True, out=tmp_path / "out.json",
    )  # fmt: skip
    for judged in ([3], []):  # the second run has every answer in the store
        calls.clear()
        session = Session(options)
        session.selection.select([], session.selection.units())
        session.execute(quiet())
        assert calls == [1] * (2 * (3 + WARM_UP)) + judged
    timing = read_record(tmp_path / "out.json").timing
    assert timing.sample == timing.of == 3
    assert timing.base.median_s > 0
    assert timing.base.tokens_out > 0
