"""The tests of promptfoo: lists, files, scenarios and defaults, and one test for each combination of variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import mapping_at
from tunegate.harness.core.errors import Refused
from tunegate.harness.imports.model import MOST_CASES, LeftOut, Tally, too_many
from tunegate.harness.imports.nearby import BINARY, DATA, FILE, Nearby
from tunegate.harness.imports.promptfoo_checks import assertion_of_cell

MAGIC = "__"
AFFIXES = frozenset({"prefix", "suffix"})  # the options of a test that are used


@dataclass(frozen=True)
class PromptfooTest:
    """One test with all defaults: plain variables, and the raw parts."""

    values: Mapping[str, Any]
    raw: Mapping[str, Any]

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options; empty if it has none."""
        return mapping_at(self.raw, "options")


def test_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of CSV or JSONL without `vars` as a test; the magic columns are its parts."""
    test: dict[str, Any] = {"vars": {key: value for key, value in row.items() if not key.startswith(MAGIC)}}
    cells = {key.removeprefix(MAGIC): value for key, value in row.items() if key.startswith(MAGIC) and value}
    expected = [str(cell) for key, cell in cells.items() if key.startswith("expected")]
    test["assert"] = [assertion_of_cell(cell) for cell in expected if cell.strip()]
    test["options"] = {key: cells[key] for key in AFFIXES & cells.keys()}
    test["metadata"] = {key.partition(":")[2]: cell for key, cell in cells.items() if key.startswith("metadata:")}
    test |= {key: cells[key] for key in ("description", "threshold", "providerOutput") if key in cells}
    known = ("expected", "metadata", "prefix", "suffix", "description", "threshold", "providerOutput", "metric")
    return test | {f"column __{key}": cell for key, cell in cells.items() if not key.startswith(known)}


@dataclass(frozen=True)
class TestReader:
    """Reads the tests of a configuration, with the data files beside it."""

    path: Path
    config: Mapping[str, Any]
    nearby: Nearby
    tally: Tally

    def read(self) -> Iterator[PromptfooTest]:
        """All tests, with their defaults, one for each combination of listed variables."""
        default = self._mapping(self.config.get("defaultTest"))
        raws = [raw for entry in as_list(self.config.get("tests")) for raw in self._raw_tests(entry)]
        raws += list(self._scenarios())
        if not raws and default.get("assert"):
            raws = [{}]
        count = 0
        for raw in raws:
            merged = _merged(default, raw)
            try:
                combinations = self._combinations(merged)
            except (LeftOut, Refused) as error:
                self.tally.left["test", str(error)] += 1
                continue
            for values in combinations:
                count += 1
                yield PromptfooTest(values, merged)
            if count > MOST_CASES:
                raise too_many(self.path)

    def _mapping(self, said: Any) -> Mapping[str, Any]:
        return mapping_at(self.nearby.data(self.nearby.find(said)) if isinstance(said, str) else said)

    def _raw_tests(self, entry: Any) -> Iterator[Mapping[str, Any]]:
        """The tests that an entry is, or that the file holds which it names."""
        if isinstance(entry, Mapping) and isinstance(entry.get("path"), str):
            entry = entry["path"]
        if isinstance(entry, Mapping):
            yield entry
            return
        try:
            for path in self.nearby.glob(entry):
                for row in self._mappings(self.nearby.data(path)):
                    is_row = path.suffix.lower() == ".csv" or not {"vars", "assert"} & row.keys()
                    yield test_of_row(row) if is_row else row
        except Refused as error:
            self.tally.left["tests", str(error)] += 1

    def _mappings(self, said: Any) -> Iterator[Mapping[str, Any]]:
        """The mappings of a list, or the one; what is none is counted."""
        for each in as_list(said):
            if isinstance(each, Mapping):
                yield each
            else:
                self.tally.left["test", "no mapping"] += 1

    def _scenarios(self) -> Iterator[Mapping[str, Any]]:
        for entry in as_list(self.config.get("scenarios")):
            said = self.nearby.data(self.nearby.find(entry)) if isinstance(entry, str) else entry
            for scenario in self._mappings(said):
                for shared in as_list(scenario.get("config")):
                    for raw in (row for each in as_list(scenario.get("tests")) for row in self._raw_tests(each)):
                        yield _merged(self._mapping(shared), raw)

    def _combinations(self, test: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The variables of a test; a list is one value at a time."""
        said = test.get("vars")
        if isinstance(said, str | list):
            files = [path for name in as_list(said) for path in self.nearby.glob(name)]
            found = [self.nearby.data(path) for path in files]
            said = {key: value for each in found if isinstance(each, Mapping) for key, value in each.items()}
        if said is not None and not isinstance(said, Mapping):
            raise LeftOut("variables that are no mapping")
        values = {str(key): self._variable(value) for key, value in (said or {}).items()}
        lists = {key: value for key, value in values.items() if isinstance(value, list) and value}
        expands = test.get("options", {}).get("disableVarExpansion") is not True
        if not lists or not expands:
            return iter([values])
        if prod(map(len, lists.values())) > MOST_CASES:
            raise too_many(self.path)
        return ({**values, **dict(zip(lists, each, strict=True))} for each in product(*lists.values()))

    def _variable(self, value: Any) -> Any:
        """A variable; a file that it names is read."""
        if not isinstance(value, str) or not value.startswith(FILE):
            return value
        paths = self.nearby.glob(value)
        found = [self.nearby.data(path) if path.suffix.lower() in DATA else self._variable_text(path) for path in paths]
        return found if "*" in value else found[0]

    def _variable_text(self, path: Path) -> str:
        if path.suffix.lower() in BINARY:
            raise LeftOut(f"a variable in a file of kind {path.suffix.lower()}")
        return self.nearby.text(path).strip()


def _merged(default: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """A test with its defaults: mappings are joined, assertions follow one another."""
    merged = {**default, **raw}
    for key in ("vars", "options", "metadata"):
        both = [each.get(key) for each in (default, raw)]
        if all(isinstance(each, Mapping) for each in both):
            merged[key] = {**both[0], **both[1]}  # type: ignore[dict-item]
        elif both[1] is None and both[0] is not None:
            merged[key] = both[0]
    if not isinstance(merged.get("options"), Mapping):
        merged["options"] = {}
    skips = merged["options"].get("disableDefaultAsserts") is True
    merged["assert"] = [*as_list(None if skips else default.get("assert")), *as_list(raw.get("assert"))]
    return merged


def as_list(value: Any) -> list[Any]:
    """A list as it is, one value as a list, and nothing as an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]
