"""Cases in prompts: how many planted ones `tunegate lint` finds, and how many honest prompts it names.

    python benchmarks/prompt_leaks.py

The limits in harness/review/lint/leaks.py were set on other rows and paraphrases (see there) before this was run. The
first run named 49 of 60 planted prompts and none of 565 honest ones. Since then questions of knowledge count outside
worked examples too; the planted prompts are new ones. Honest prompts are worked examples that are no cases, as shots
and as text, and prompts by hand. Writes prompt_leaks.md; exit code 1 if an honest prompt is named, or fewer than nine
of ten planted ones.
"""

from __future__ import annotations

import base64
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.blind_leaks import TEXTS
from benchmarks.frame import ROOT
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case, Shot, Unit
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.review.lint.leaks import prompt_leaks

PER_PROMPT = 4  # worked examples in an honest prompt
RESULT = Path(__file__).parent / "results" / "prompt_leaks.md"
PROJECTS = ("fixtures", "examples/returns/fixtures", "benchmarks/ladder_tasks")
DEMO = "trainers/recipes/rows"
ROWS = {DEMO: "support", "examples/returns/recipes/rows": "returns", "benchmarks/ladder_tasks/_training": ""}
SINGLE, SEVERAL = 1, 4  # planted cases per prompt


def by_hand(name: str) -> list[dict[str, str]]:
    """The entries of a file of texts written by hand."""
    return list(read_yaml(TEXTS / f"{name}.yaml").data["texts"])


def respaced(text: str, rng: random.Random) -> str:
    """A text in other case, with other white space and punctuation marks."""
    cases: Sequence[Callable[[str], str]] = (str.upper, str.lower, str.title, str.swapcase)
    words = rng.choice(cases)(text).split()
    spaces = rng.choices([" ", "  ", "\n", "\t", "\N{NO-BREAK SPACE}", " - "], [6, 2, 1, 1, 1, 1], k=len(words))
    return "".join(f"{word}{space}" for word, space in zip(words, spaces, strict=True)) + rng.choice(["", "!", " ..."])


@dataclass(frozen=True)
class Prompted:
    """A unit with a prompt, and what is planted in it; nothing in an honest one."""

    kind: str
    unit: Unit
    planted: frozenset[str] = frozenset()

    @property
    def is_named(self) -> bool:
        """Whether lint names it; of a planted one, by a planted case."""
        found = {each.case.id for each in prompt_leaks(self.unit)}
        return bool(found & self.planted if self.planted else found)


def units() -> dict[str, Unit]:
    """All units of the repository, by key."""
    tasks = [task for project in PROJECTS for task in load_tasks(ROOT / project)]
    return {unit.key: unit for task in tasks for unit in task.units if not unit.of}


def with_text(unit: Unit, text: str) -> Unit:
    """The unit with a text at the end of its system prompt."""
    prompt = unit.configuration.prompt
    system = f"{prompt.system or ''}\n\n{text}".strip()
    return unit.configured(replace(unit.configuration, prompt=replace(prompt, system=system)))


def with_shots(unit: Unit, shots: Sequence[Shot]) -> Unit:
    """The unit with these worked examples."""
    return unit.configured(replace(unit.configuration, shots=tuple(shots)))


def honest(known: dict[str, Unit]) -> Iterator[Prompted]:
    """Prompts that hold no case."""
    for key, shots in rows(known).items():
        for start in range(0, len(shots) - PER_PROMPT + 1, PER_PROMPT):
            few = shots[start : start + PER_PROMPT]
            yield Prompted("training rows as worked examples", with_shots(known[key], few))
            text = "\n\n".join(f"Message: {each.input}\nReply: {each.output}" for each in few)
            yield Prompted("training rows as text", with_text(known[key], f"Examples:\n\n{text}"))
    intake = known["returns/intake"]
    for start in range(0, len(intake.cases), PER_PROMPT):
        few = intake.cases[start : start + PER_PROMPT]
        groups = {case.group for case in few} - {None}
        rest = tuple(case for case in intake.cases if case not in few and case.group not in groups)
        shots = [Shot(case.input, output_of(case)) for case in few]
        yield Prompted("cases as worked examples for the others", with_shots(replace(intake, cases=rest), shots))
    for each in by_hand("honest_prompts"):
        yield Prompted("by hand", with_text(known[each["unit"]], each["text"]))


def rows(known: dict[str, Unit]) -> dict[str, list[Shot]]:
    """The training rows of each unit, but of the demo only those that no limit was set by."""
    found: dict[str, list[Shot]] = {}
    for folder, of_task in ROWS.items():
        for path in sorted((ROOT / folder).glob("*.jsonl")):
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            task = of_task or path.stem
            only = next(key for key in known if key.startswith(f"{task}/"))
            for line in lines[1::2] if folder == DEMO else lines:
                key = f"{task}/{line['unit']}" if "unit" in line else only
                if key in known and isinstance(line["input"], str) and "output" in line:
                    found.setdefault(key, []).append(Shot(line["input"], _text(line["output"])))
    return found


def _text(output: Any) -> str:
    return output if isinstance(output, str) else json.dumps(output)


def output_of(case: Case) -> str:
    """An output that the case expects."""
    expect = case.expect
    for key in ("says", "preferred"):
        if key in expect:
            return str(expect[key])
    if set(expect) == {"answer"}:
        return str(expect["answer"][0])
    return json.dumps(expect)


def planted(known: dict[str, Unit]) -> Iterator[Prompted]:
    """Sixty prompts with cases: verbatim, edited, and reworded by hand, one or four of them in each."""
    rng = random.Random(8)  # noqa: S311
    able = [key for key, unit in known.items() if unit.check_kind.asks == "generate" and key != "support/questions"]
    for number in range(40):
        unit = known[able[number % len(able)]]
        long = [case for case in unit.cases if case.expect is not None and len(case.text.split()) >= 6]
        few = rng.sample(long, SINGLE if number % 2 else SEVERAL)
        kind, change = ("verbatim or disguised", _disguised) if number < 20 else ("edited", _edited)
        pairs = [(change(case.text, rng), output_of(case)) for case in few]
        yield _planted(kind, unit, few, pairs, number)
    said = [each for each in by_hand("fresh_paraphrases") if _case(known, each["case"])]
    rng.shuffle(said)
    by_unit: dict[str, list[dict[str, str]]] = {}
    for each in said:
        by_unit.setdefault(each["case"].rpartition("/")[0], []).append(each)
    several = [(key, of[:SEVERAL]) for key, of in by_unit.items() if len(of) >= SEVERAL]
    more = [(key, of[SEVERAL : 2 * SEVERAL]) for key, of in by_unit.items() if len(of) >= 2 * SEVERAL]
    single = [(each["case"].rpartition("/")[0], [each]) for each in by_hand("prompt_paraphrases")]
    groups = [("reworded, several", *each) for each in (several + more)[:8]]
    groups += [("reworded, one", *each) for each in single]
    for number, (kind, key, few_said) in enumerate(groups):
        unit = known[key]
        asked = {each["case"]: each.get("fixture", _case(known, each["case"]).input) for each in few_said}
        cases = tuple(replace(case, input=asked.get(case.key, case.input)) for case in unit.cases)
        few = [case for case in cases if case.key in asked]
        pairs = [
            (next(each["paraphrase"] for each in few_said if each["case"] == case.key), output_of(case)) for case in few
        ]
        yield _planted(kind, replace(unit, cases=cases), few, pairs, number)


def _case(known: dict[str, Unit], key: str) -> Case | None:
    unit = known.get(key.rpartition("/")[0])
    return next((case for case in unit.cases if case.key == key and case.expect is not None), None) if unit else None


def _planted(kind: str, unit: Unit, few: Sequence[Case], pairs: Sequence[tuple[str, str]], number: int) -> Prompted:
    ids = frozenset(case.id for case in few)
    if number % 3 == 0:
        return Prompted(kind, with_shots(unit, [Shot(*pair) for pair in pairs]), ids)
    form = "- {} => {}" if number % 3 == 1 else "If you read: {}\nthen reply: {}"
    return Prompted(kind, with_text(unit, "\n".join(form.format(*pair) for pair in pairs)), ids)


def _disguised(text: str, rng: random.Random) -> str:
    ways = (
        str, lambda plain: respaced(plain, rng), lambda plain: base64.b64encode(plain.encode()).decode(),
        lambda plain: "\N{ZERO WIDTH SPACE}".join(plain), lambda plain: f"**{plain}**",
    )  # fmt: skip
    return rng.choice(ways)(text)


def _edited(text: str, rng: random.Random) -> str:
    """A text with other numbers, and without or with others of every seventh word."""
    text = re.sub(r"\d", lambda _: str(rng.randrange(1, 10)), text)
    words = text.split()
    for place in range(rng.randrange(7), len(words), 7):
        words[place] = rng.choice(["", "really", words[place][::-1]])
    return " ".join(filter(None, words))


def main() -> int:
    """Measure, and write the table."""
    known = units()
    lines, wrong = ["| prompts | number | named |", "|---|---|---|"], False
    for name, prompts in (("honest", list(honest(known))), ("planted", list(planted(known)))):
        kinds = dict.fromkeys(each.kind for each in prompts)
        named = {kind: [each.is_named for each in prompts if each.kind == kind] for kind in kinds}
        lines += [f"| {name}: {kind} | {len(found)} | {sum(found)} |" for kind, found in named.items()]
        count, total = sum(map(sum, named.values())), len(prompts)
        lines.append(f"| **{name}** | {total} | {count} |")
        wrong |= count > 0 if name == "honest" else count < 0.9 * total
    text = "\n".join(lines)
    print(text)
    RESULT.write_text(f"# Cases in prompts\n\nBy `python benchmarks/prompt_leaks.py`.\n\n{text}\n", "utf-8")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
