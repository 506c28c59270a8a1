"""Cases that a change puts into a prompt: they block until a reviewer approves them, as rule changes do.

A prompt that holds the cases with their expected outputs passes them, whatever the model is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.files import digest
from tunegate.harness.review.lint.leaks import PromptLeak, leak_line, prompt_leaks

DIGITS = 32  # of the prompt's digest: with few, another prompt could be made to match


def leaks_in_prompts(
    new: Mapping[str, Unit], template: str, old: Mapping[str, Unit] | None = None, old_template: str = ""
) -> Iterator[str]:
    """Yield a line for each unit whose prompt holds expected outputs that the branch's prompt does not hold.

    `new` are the units of the change, by key, and `old` those of the branch, whose cases count too. The templates are
    texts of chat templates; empty without one.
    """
    for key, unit in new.items():
        before = (old or {}).get(key)
        known = _leaks(before, old_template) if before else {}
        found = _leaks(unit, template)
        if before:  # a case that the change removes still decides by the rules of the branch
            found = {**_leaks(before.configured(unit.configuration), template), **found}
        if fresh := [each for case, each in found.items() if case not in known]:
            prompt = digest([unit.configuration.as_dict(), template])  # another prompt is another rule change
            yield f"{leak_line(unit, fresh)}; prompt {prompt[:DIGITS]}"


def _leaks(unit: Unit, template: str) -> dict[str, PromptLeak]:
    return {each.case.id: each for each in prompt_leaks(unit, [template] if template else [])}
