"""Two base models end to end: a baseline, a tune and a release on each, both gates, and a withdrawal."""

from __future__ import annotations

import json
import shutil

from tests.integration.test_mistakes import good, place  # noqa: F401  (fixtures)
from tests.support.spoil import Place, rescaled

GATE = "pytest suites/ --tg-model=next --tg-adapter={} --tg-against=baseline --tg-sealed --tg-out={}.json"


def ok(place: Place, command: str, code: int = 0) -> str:  # noqa: F811
    result = place.run(command)
    assert result.code == code, result.text
    return result.text


def last_events(place: Place, count: int) -> list[tuple[str, str]]:  # noqa: F811
    """What the ledger was told last, with the name of the model."""
    told = json.loads(ok(place, "tunegate ledger --json"))
    return [(each["kind"], each["subject"]["model"].rpartition("-")[0]) for each in told][-count:]


def test_a_new_base_is_held_to_what_is_served_and_a_withdrawal_brings_that_back(place: Place) -> None:  # noqa: F811
    served = place.file("baselines/model-*/desk/triage.released.json")
    outputs = served.read_bytes()
    shutil.copytree(place.path / "model", place.path / "next")
    rescaled("next/model.safetensors", "q_proj", 1.01)(place)

    ok(place, "pytest suites/ --tg-record --tg-model=next")
    ok(place, "tunegate diagnose --model=next")
    for name in ("tuned", "second"):
        recipe = json.loads((place.path / f"{name}.yaml").read_text())
        (place.path / "next.yaml").write_text(json.dumps(recipe | {"model": "next", "output": f"next-{name}"}))
        ok(place, "tunegate train next.yaml")

    # better than its own base, worse than what is served
    worse = ok(place, GATE.format("next-second", "worse"), code=1)
    assert "desk/triage: Regressed: worse than the last release" in worse
    told = ok(place, GATE.format("next-tuned", "next"))
    assert "the last release, adapter " in told
    assert "has another base than the candidate, on next-" in told
    ok(place, "tunegate release next-tuned --run=next.json --model=next")
    told = last_events(place, 5)
    assert told[-1] == ("released", "next")
    assert sorted(told[:-1]) == [("opened", "next")] * 2 + [("run", "next")] * 2

    # on the old base, too, the new release is what counts
    assert "the last release, adapter " in ok(
        place, "pytest suites/ --tg-adapter=tuned --tg-against=baseline --tg-sealed"
    )

    said = ok(place, 'tunegate release --withdraw next-tuned --reason="It is slow."')
    assert "desk: withdrawn: adapter " in said
    assert "; the last release is adapter " in said
    assert served.read_bytes() == outputs
    assert not list(place.path.glob("baselines/next-*/desk/*.released.json"))
    assert "worse than the last release" in ok(place, GATE.format("next-second", "worse"), code=1)
    refused = ok(place, "tunegate release next-tuned --run=next.json --model=next", code=4)
    assert "It is slow.; it cannot be released again" in refused
