"""The options of a run, and the defaults that `[tool.tunegate]` of a project's pyproject.toml may set."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.models.prompts import RungName

REPLAY = "replay:"
BASELINE = "baseline"
SETTINGS = ("model", "cases", "baselines", "inconclusive")
INCONCLUSIVE = ("block", "warn")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run, as given on the command line or in pyproject.toml; paths are absolute or from `root`."""

    root: Path
    model: str = "smollm2"
    adapters: tuple[Path, ...] = ()
    cases: Path = Path("fixtures")
    baselines: Path = Path("baselines")
    out: Path | None = None
    against: str | None = None
    record: bool = False
    rung: RungName = "as-is"
    sealed: bool = False
    repeats: int = 1
    inconclusive: Literal["block", "warn"] = "block"
    timing: bool = False

    @property
    def replays(self) -> bool:
        """Whether outputs made elsewhere are judged, instead of a model's."""
        return self.model.startswith(REPLAY)

    def out_of(self, adapter: Path | None) -> Path | None:
        """Where --tg-out wants the record of an adapter (None: of the model itself); a folder holds several."""
        if self.out and adapter and len(self.adapters) > 1:
            return self.out / f"{adapter.name}.json"
        return self.out

    def check(self) -> None:
        """Refuse what cannot mean anything, before a model has worked an hour for it.

        Raises:
            Refused: names the options and what to do.
        """
        wrong = [*self._clashes(), *self._bad_adapters(), *self._bad_out()]
        if self.repeats < 1:
            wrong.append(f"--tg-repeats: expected a whole number from 1, found {self.repeats}")
        if wrong:
            raise Refused("\n".join(wrong))

    def _clashes(self) -> Iterator[str]:
        if self.record and self.against:
            yield "--tg-record writes the baseline that --tg-against compares with: use one of them"
        if self.record and len(self.adapters) > 1:
            yield "--tg-record with several --tg-adapter: only the released adapter renews its files, one at a time"
        if self.replays and (self.record or self.against == BASELINE or self.adapters):
            yield (
                "--tg-model replay:FILE: the subject is the file, without baseline or adapter; "
                "keep its record with --tg-out RECORD.json and compare with --tg-against RECORD.json"
            )
        if self.replays and self.rung != "as-is":
            yield f"--tg-model replay:FILE: its outputs are there, --tg-rung {self.rung} cannot change their prompts"
        if self.timing and self.replays:
            yield "--tg-timing with --tg-model replay:FILE: its outputs are there already, nothing is left to be timed"
        elif self.timing and not self.adapters:
            yield "--tg-timing times a base and an adapter side by side: name one with --tg-adapter"

    def _bad_adapters(self) -> Iterator[str]:
        for name, count in Counter(adapter.name for adapter in self.adapters).items():
            if count > 1:
                yield f"--tg-adapter: expected folders of different names, found {count} named {name!r}; rename them"

    def _bad_out(self) -> Iterator[str]:
        several = len(self.adapters) > 1
        if self.out and self.out.is_dir() and not several:
            yield f"--tg-out {show_path(self.out)}: expected a file for one record, found a folder; name a file in it"
        if self.out and self.out.is_file() and several:
            yield f"--tg-out {show_path(self.out)}: expected a folder for several records, found a file; name a folder"


def read_settings(root: Path) -> dict[str, str]:
    """The `[tool.tunegate]` table of `root`'s pyproject.toml; empty where there is none.

    Raises:
        Refused: not TOML, or a key or value that means nothing; all of them.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("tunegate", {})
    except (ValueError, OSError) as error:
        raise Refused(f"{show_path(path)}: expected TOML, found {error}") from error
    if not isinstance(settings, dict):
        raise Refused(f"{show_path(path)}: expected a table [tool.tunegate], found {settings!r}")
    wrong = [problem for key, value in settings.items() for problem in _setting_problems(key, value)]
    if wrong:
        raise Refused("\n".join(f"{show_path(path)}: [tool.tunegate] {problem}" for problem in wrong))
    return settings


def _setting_problems(key: str, value: Any) -> Iterator[str]:
    if key not in SETTINGS:
        close = difflib.get_close_matches(key, SETTINGS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        yield f"expected one of {', '.join(SETTINGS)}, found {key!r}{hint}"
    elif not isinstance(value, str):
        yield f"{key}: expected text in quotes, found {value!r}"
    elif key == "inconclusive" and value not in INCONCLUSIVE:
        yield f"{key}: expected {' or '.join(INCONCLUSIVE)}, found {value!r}"
