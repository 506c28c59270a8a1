"""The benchmark of parity: its artefacts, what counts as named, and what breaks its promises."""

from __future__ import annotations

import json
from functools import partial

import pytest

from benchmarks.parity import CAUSES, DAMAGED, ERRORS, HEALTHY, KINDS, Row, broken, first_cause, report
from benchmarks.parity_artefacts import ADAPTERS, FILES, FOLDERS, GATEWAYS, OVER_NETWORK, SETTINGS, Artefact, pass_on
from tests.support.fault_server import answers, serving
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.server import Server

LISTED = [
    *(each for each, *_ in (*FOLDERS, *FILES, *GATEWAYS)),
    *ADAPTERS.values(), *SETTINGS.values(), *OVER_NETWORK.values(),
]  # fmt: skip


@pytest.mark.parametrize("artefact", LISTED, ids=lambda each: f"{each.name}-{each.cases}")
def test_the_causes_of_an_artefact_are_ones_that_the_command_has(artefact):
    assert set(artefact.causes.split(" or ")) <= CAUSES | {""}


def rows() -> list[Row]:
    """As promised: with two damaged artefacts misnamed, one that ends with an error, and a healthy one of few cases."""
    damaged = [Row("vllm", Artefact(f"d{n}", "config"), 1, "config", "not it", 1.0) for n in range(DAMAGED - 1)]
    damaged.append(Row("folders", Artefact("short", "context"), ERRORS[0], "", "the context | is short", 1.0))
    damaged[:2] = [each._replace(cause="template") for each in damaged[:2]]
    healthy = [Row("llama.cpp", Artefact(f"h{n}"), 0, "", "", 1.0) for n in range(HEALTHY)]
    healthy[0] = healthy[0]._replace(code=1, said="not shown to be it: too few cases in support/triage")
    return [*damaged, *healthy]


def test_what_is_promised_is_reported_and_breaks_nothing():
    assert list(broken(rows())) == []
    text = report(rows(), "made so")
    assert (
        f"Of {DAMAGED} damaged artefacts of an adapter of the embedded model {DAMAGED - 2} are named right, and 0 pass"
        in text
    )
    assert f"Of {HEALTHY} healthy ones 0 are called different." in text
    assert "| vllm | d0 | 40 | config | template | 1 | 1 | wrong |" in text
    assert "| folders | short | 40 | context | the context / is short | 3 | 1 |  |" in text
    assert {each.by for each in rows()} == KINDS.keys()


def test_each_promise_that_is_broken_is_listed():
    first, second, third, *others, last = rows()
    worse = [first, second, third._replace(cause="", code=0), *others, last._replace(code=1, said="not it")]

    assert list(broken(worse)) == [
        f"{DAMAGED - 3} of {DAMAGED} are named right; wrong are vllm: d0, vllm: d1, vllm: d2",
        "vllm: d2 passes",
        f"llama.cpp: h{HEALTHY - 1} is called different",
    ]
    assert list(broken(rows()[1:])) == [f"{DAMAGED - 1} damaged and {HEALTHY} healthy artefacts, not 30 and 10"]


def test_the_first_cause_is_read_from_what_the_command_prints():
    lines = ["prompts: the same", "desk/passages: not compared: config", "quantised: far off", "config: another"]
    assert first_cause(json.dumps({"lines": lines})) == "quantised"
    assert first_cause(json.dumps({"lines": lines[:2]})) == first_cause("") == ""


def test_a_gateway_changes_requests_for_outputs():
    with serving(answers()) as server, serving(partial(pass_on, server.address, {"temperature": 1.0})) as gateway:
        asked = Server(gateway.model, quiet(), ModelOptions())
        [found] = asked.complete([Request("one", (("user", "Hi."),), Decoding())])

    assert found.output == '{"product": "boiler"}'
    assert {each.body["temperature"] for each in server.asked} == {1.0}
