"""What checking one answer may cost, so that judging always ends; to reach a bound is a finding."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tunegate.harness.checks.schema.ecma_regex import compiled
from tunegate.harness.checks.schema.formats import conforms
from tunegate.harness.checks.schema.json_reader import identity, show

MAX_VALUES = 10_000  # values in one answer
MAX_STEPS = 50_000  # keywords evaluated and patterns tried for one answer
MAX_SEARCHED = 100_000  # characters of a text or key with a pattern: `regex` remembers a hundred bytes for each
TEXT_SECONDS = 0.5  # of processor time, as `regex` counts it, for all patterns and formats of one answer


class TooMuch(Exception):
    """A bound was reached; the message says which."""


class Budget:
    """The steps and seconds that are left for one answer, and what was already worked out about it."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.seconds = TEXT_SECONDS
        self._identities: dict[int, str] = {}  # by id: the answer outlives this
        self._choices: dict[int, frozenset[str]] = {}

    def step(self) -> None:
        """Take one of the steps."""
        self.steps -= 1
        if self.steps < 0:
            raise TooMuch(f"the schema takes more than {MAX_STEPS:,} steps")

    def search(self, pattern: str, text: str) -> bool:
        """Whether `pattern` is found in `text`; takes a step, and of the seconds."""
        self.step()
        if len(text) > MAX_SEARCHED:
            raise TooMuch(f"a text of more than {MAX_SEARCHED:,} characters has a pattern")
        return self._timed(
            f"the pattern {show(pattern)}", lambda: bool(compiled(pattern).search(text, timeout=self.seconds))
        )

    def conforms(self, name: str, text: str) -> bool:
        """Whether `text` has the format `name`; takes of the seconds."""
        return self._timed(f"the format {name}", lambda: conforms(name, text))

    def _timed(self, what: str, run: Callable[[], bool]) -> bool:
        started = time.process_time()
        try:
            if self.seconds <= 0:
                raise TimeoutError
            return run()
        except TimeoutError:
            raise TooMuch(f"{what} takes longer than {TEXT_SECONDS:g} s") from None
        finally:
            self.seconds -= time.process_time() - started

    def identity(self, value: Any) -> str:
        """`identity` of a part of the answer; of a list or an object it is worked out once."""
        if not isinstance(value, dict | list):
            return identity(value)
        if id(value) not in self._identities:
            self._identities[id(value)] = identity(value)
        return self._identities[id(value)]

    def among(self, value: Any, choices: list[Any]) -> bool:
        """Whether a part of the answer equals one of the schema's `choices`."""
        if id(choices) not in self._choices:
            self._choices[id(choices)] = frozenset(map(identity, choices))
        return self.identity(value) in self._choices[id(choices)]
