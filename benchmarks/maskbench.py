"""Real schemas with labelled instances, all of MaskBench: how many are judged, how many labels are right, how fast?

    git clone https://github.com/guidance-ai/jsonschemabench
    python benchmarks/maskbench.py jsonschemabench/maskbench/data     # 11,306 schemas, a few minutes

Beside the schema suite stand jsonschema and jsonschema-rs, with formats asserted too. Exit code 1 if a label is missed,
or if something was raised while judging.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out
from benchmarks.gate_markdown import table
from tunegate.harness.checks.schema.check import SchemaCheck
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.progress import Watch

LIBRARIES = ("tunegate", "jsonschema", "jsonschema-rs")
Judge = Callable[[str, Any], bool]  # the instance as text and as a value; whether it is valid
SHOWN = 12


@dataclass
class Score:
    """What a validator made of the corpus; `refused` says why, and gives an example of each reason."""

    name: str
    judged: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: tuple[float, str] = (0.0, "")


def ours(schema: Any) -> Judge:
    """The schema suite's check."""
    read = read_schema(schema, Document(Path("schema.json"), schema, {}), ())
    check = SchemaCheck(read.schema, read=read)
    return lambda text, _: check(text, None, "").score == 1.0


def python(schema: Any) -> Judge:
    """jsonschema, of the draft that the schema names."""
    from jsonschema.validators import validator_for

    kind = validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    return lambda _, value: validator.is_valid(value)


def rust(schema: Any) -> Judge:
    """jsonschema-rs."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema, validate_formats=True, offline=True)
    return lambda _, value: bool(validator.is_valid(value))


def score(name: str, build: Callable[[Any], Judge], files: Sequence[Path], watch: Watch) -> Score:
    """Judge every instance of the corpus."""
    found = Score(name)
    with watch(name, len(files)) as done:
        for path in files:
            raw = json.loads(path.read_text("utf-8"))
            texts = [(json.dumps(each["data"]), each["data"], each["valid"]) for each in raw["tests"]]
            start = time.process_time()
            _judge(found, path.stem, build, raw["schema"], texts)
            took = time.process_time() - start
            found.seconds += took
            found.slowest = max(found.slowest, (took, path.stem))
            done(1)
    return found


def _judge(
    found: Score, name: str, build: Callable[[Any], Judge], schema: Any, texts: Sequence[tuple[str, Any, bool]]
) -> None:  # fmt: skip
    try:
        judge = build(schema)
    except AuthoringError as error:
        found.refused.setdefault(error.problems[0].expected[:60], []).append(f"{name}: {error.problems[0].found[:60]}")
        return
    except Exception as error:  # whatever another validator raises
        found.refused.setdefault(type(error).__name__, []).append(f"{name}: {str(error).splitlines()[0][:60]}")
        return
    found.judged += 1
    for index, (text, value, valid) in enumerate(texts):
        try:
            right = judge(text, value) == valid
        except Exception as error:  # to count them is the purpose
            found.raised.append(f"{name}, instance {index}: {type(error).__name__}")
            continue
        found.right += right
        if not right:
            found.wrong.append(f"{name}, instance {index}: should be {'valid' if valid else 'invalid'}")


def report(scores: Sequence[Score], made: str) -> str:
    """The result as Markdown."""
    return "\n\n".join([
        "# MaskBench, whole",
        "Schemas that others use, with instances that others labelled: from GitHub, JSON Schema Store, Kubernetes, "
        "Snowplow, the Washington Post and lists of functions that models call (guidance-ai/jsonschemabench, MIT). A "
        "schema is judged with where a validator takes it; of those, labels are right, wrong, or not given since "
        "something was raised.",
        table(
            ["validator", "schemas judged with", "%", "right", "wrong", "raised", "processor s", "slowest schema"],
            [_cells(each) for each in scores],
        ),
        *(part for each in scores for part in _details(each)),
        "## How", made, "",
    ])  # fmt: skip


def _cells(found: Score) -> list[str]:
    refused = Counter({why: len(names) for why, names in found.refused.items()}).total()
    share = 100 * found.judged / (found.judged + refused)
    counts = [f"{found.judged:,}", f"{share:.2f}", f"{found.right:,}", str(len(found.wrong)), str(len(found.raised))]
    return [found.name, *counts, f"{found.seconds:.0f}", f"{found.slowest[0]:.1f} ({found.slowest[1]})"]


def _details(found: Score) -> Iterator[str]:
    lines = [
        f"- {len(names)} schemas refused, {shown_in_markdown(why)}: such as {shown_in_markdown(names[0])}"
        for why, names in sorted(found.refused.items(), key=lambda item: -len(item[1]))
    ]
    lines += [f"- wrong: {each}" for each in found.wrong[:SHOWN]]
    if len(found.wrong) > SHOWN:
        lines.append(f"- and {len(found.wrong) - SHOWN} more")
    yield f"## {found.name}: what it does not take, and gets wrong"
    yield "\n".join(lines) or "Nothing."


def broken(scores: Sequence[Score]) -> Iterator[str]:
    """A label that ours misses, or an error that it raises."""
    found = scores[0]
    if found.wrong:
        yield f"{len(found.wrong)} labels are wrong"
    if found.raised:
        yield f"{len(found.raised)} instances raised an error"


def main(
    data: Annotated[Path, typer.Argument(help="MaskBench's folder of schemas.", metavar="DIR", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where maskbench.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Judge MaskBench by three validators, write maskbench.md, and fail if a label of ours is wrong."""

    def measure(watch: Watch) -> list[Score]:
        files = sorted(data.glob("*.json"))
        if not files:
            raise Failed(f"{data}: expected MaskBench's JSON files, found none; clone guidance-ai/jsonschemabench")
        warnings.simplefilter("ignore")
        validators = {"Tunegate's schema suite": ours, "jsonschema": python, "jsonschema-rs": rust}
        return [score(name, build, files, watch) for name, build in validators.items()]

    carry_out(out / "maskbench.md", "python benchmarks/maskbench.py DATA", LIBRARIES, measure, report, broken)


if __name__ == "__main__":
    typer.run(main)
