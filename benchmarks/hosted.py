"""What becomes of a run on a hosted model where the server, or the way to it, fails; and which models can be asked.

    python benchmarks/hosted.py            # 31 kinds of faults, each in 1, 10 and 30 % of the requests; minutes
    python benchmarks/hosted.py --quick    # 100 cases instead of 500, faults in 10 % of the requests; a minute

A server on loopback stands for the hosted one. The answer to a case is a function of its text, so that each answer is
known to be right or not.

Writes hosted.md; exit code 1 if an answer is not right and no error says so, if more than 5 % of the requests, or an
answer that was given already, were asked for in vain, if an error that ends a run is not told at once, and if a model
cannot be asked.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import script
from benchmarks.hosted_faults import ENDINGS, KINDS, PROBE, Ended, Ending, Faulty, Kind, Limited
from benchmarks.hosted_report import FEW, IN_FLIGHT, PAUSES, Asked, End, Found, Limit, Run, broken, report
from tests.support.fault_server import serving
from tests.support.hosted import HOSTED, KEY, output_of
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.api import Completion, Model, Request
from tunegate.harness.models.cache import Cached, Store
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client
from tunegate.harness.models.served.server import Server

LIBRARIES = ("tunegate", "httpx2", "tenacity")
CASES, QUICK = 500, 100
PER_SECOND = 20  # answers, where there is a limit
SHARES, QUICK_SHARES = (0.01, 0.1, 0.3), (0.1,)
DEADLINE = 120  # seconds
MIXED = "all of them, mixed"


def cases(count: int) -> list[Request]:
    """So many cases, each with a text of its own."""
    room = Decoding(max_new_tokens=256)
    return [Request(f"desk/triage/{n}", (("user", f"Message {n} of the desk."),), room) for n in range(count)]


def options(per_minute: int | None = None) -> ModelOptions:
    """How each server is asked."""
    return ModelOptions(in_flight=IN_FLIGHT, deadline=DEADLINE, requests_per_minute=per_minute)


def answered(model: Model, requests: Sequence[Request]) -> tuple[list[Completion], TunegateError | None]:
    """The answers that came, and the error that ended the run."""
    came: list[Completion] = []
    try:
        came.extend(model.complete(requests))
    except TunegateError as error:
        return came, error
    return came, None


def count_right(requests: Sequence[Request], came: Sequence[Completion]) -> int:
    """How many cases have their one right answer; wrong ones, and second ones, make it fewer."""
    right = {request.key: output_of(request.messages[-1][1]) for request in requests}
    wrong = sum(right[each.key] != each.output for each in came)
    return len({each.key for each in came}) - wrong - (len(came) - len({each.key for each in came}))


def is_clear(error: TunegateError | None, place: str, is_of_a_case: bool = True) -> bool:
    """Whether an error is one line that says where, for which case, and what was found."""
    text = str(error or "")
    names_case = text.startswith(("desk/triage/", "the probe")) or not is_of_a_case
    is_known = isinstance(error, CouldNotRun | Refused)
    return is_known and "\n" not in text and place in text and "found" in text and names_case


def fail(kinds: Sequence[Kind], name: str, share: float, count: int) -> Run:
    """Run cases where a share of the requests meets a fault."""
    faulty, requests = Faulty(kinds, share, f"{name} {share}"), cases(count)
    with serving(faulty.act) as server:
        start = time.monotonic()
        came, error = answered(Server(server.model, quiet(), options()), requests)
        seconds = time.monotonic() - start
    return Run(
        name, share, sum(faulty.served.values()), faulty.sent, faulty.needed, faulty.twice, count_right(requests, came),
        count, str(error or ""), is_clear(error, "/chat/completions"), seconds,
    )  # fmt: skip


def end(ending: Ending, count: int) -> End:
    """Run cases until one in the middle ends the run, then once more with what was kept."""
    ended, requests = Ended(ending, count // 2), cases(count)
    with (
        tempfile.TemporaryDirectory(prefix="tunegate-hosted-") as folder,
        closing(Store(Path(folder) / "kept.sqlite")) as store,
        serving(ended.act) as server,
    ):
        came, error = answered(Cached(Server(server.model, quiet(), options()), store), requests)
        seconds = time.monotonic() - ended.ended
        finished = len(ended.delivered)
        again, none = answered(Cached(Server(server.model, quiet(), options()), store), requests)
    return End(
        ending, str(error or ""),
        is_clear(error, server.address, ending.is_of_a_case) and ending.words.rstrip(".") in str(error),
        seconds, finished, count_right(requests, came), sum(each - 1 for each in ended.delivered.values()),
        0 if none else count_right(requests, again), count,
    )  # fmt: skip


def limit(name: str, per_second: int, count: int, per_minute: int | None = None) -> Limit:
    """Run cases on a server that answers so many a second, asked for as many a minute or for all that are there."""
    limited, requests = Limited(per_second), cases(count)
    with serving(limited.act) as server:
        start = time.monotonic()
        came, _ = answered(Server(server.model, quiet(), options(per_minute)), requests)
        seconds = time.monotonic() - start
    return Limit(name, per_second, limited.sent, limited.refused, count_right(requests, came), count, seconds)


def ask(name: str) -> Asked:
    """Ask a hosted model a few cases."""
    requests = cases(FEW)
    with serving(HOSTED[name].act) as server, key_for(server.address):
        model = Server(HOSTED[name].model(server.address), quiet(), options())
        came, error = answered(model, requests)
        sampling = "" if error else model.fingerprint.engine["sampling"]
        probes = sum(each.body["messages"][-1]["content"] == PROBE for each in server.asked)
    tokens = tuple({each.tokens_out for each in came})
    return Asked(name, probes, sampling, tokens, count_right(requests, came), FEW, str(error or ""))


@contextmanager
def key_for(address: str) -> Iterator[None]:
    """A key in the environment, for a server at an address alone."""
    own = {http_client.KEY: KEY, http_client.HOST: address.removeprefix("http://")}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def measure(count: int, shares: Sequence[float], watch: Watch) -> Found:
    """All parts, with short pauses."""
    http_client.FIRST_PAUSE, http_client.LONGEST_PAUSE = PAUSES
    rows = [([kind], kind.name) for kind in KINDS] + [(list(KINDS), MIXED)]
    runs, ends, limits, asked = [], [], [], []
    with watch("Runs", len(rows) * len(shares) + len(ENDINGS) + 2 + len(HOSTED)) as done:
        for kinds, name in rows:
            for share in shares:
                runs.append(fail(kinds, name, share, count))
                done(1)
        for ending in ENDINGS:
            ends.append(end(ending, count))
            done(1)
        for name, per_minute in (("-", None), (f"--tg-requests-per-minute {60 * PER_SECOND}", 60 * PER_SECOND)):
            limits.append(limit(name, PER_SECOND, count // 2, per_minute))
            done(1)
        for name in HOSTED:
            asked.append(ask(name))
            done(1)
    return Found(runs, ends, limits, asked)


if __name__ == "__main__":
    script(__file__, LIBRARIES, measure, report, broken, whole=[CASES, SHARES], quick=[QUICK, QUICK_SHARES])
