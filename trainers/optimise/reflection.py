"""The reflecting model: it reads a prompt with findings, and proposes another prompt, which is untrusted text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.harness.cases.conversation import USER
from tunegate.harness.cases.model import Decoding
from tunegate.harness.cases.template import has_placeholder
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.models.api import Completion, Request
from tunegate.trainers.optimise.metered import Metered

SYSTEM = "system"  # the part of a prompt that is optimised
LONGEST = 4_000  # characters of a proposed prompt; twice its own length for a prompt that is longer
SHOWN = 1_500  # characters of an input or output that the reflecting model sees
LETTERS = 3  # per token at least, for the limit of the reflecting model's output
#: Some randomness, so that similar findings do not lead to the same proposal again; the seed repeats a run.
TEMPERATURE, TOP_P = 0.7, 0.95
# A model of 1.5B copies the present prompt if it may: hence the comparison first, and "more than the present one".
ASKED = """You improve the system prompts of a language model. Its present system prompt:
```
<curr_param>
```

The model had this prompt and the following inputs. Its outputs failed checks, as the findings say:
```
<side_info>
```

Compare the outputs with the outputs that pass. Which rules do the outputs that pass follow, which the present prompt \
does not state? Think of the format, the length, the tone, the words, and what decides each value.

Now write a new system prompt that states these rules. It must say more than the present one: keep what the present \
one says, and add each rule as a sentence of its own. Write rules that hold for all inputs of this kind, not facts of \
these inputs. Use at most {letters} characters, and no {{input}} or {{context}}.

Write the new system prompt between two lines of ```, and nothing after it."""


class Reflection:
    """Asks the reflecting model for prompts; `proposals` counts them, `rejected` those that cannot be used.

    The optimisation starts from the prompt `before`. The key of the `unit` names the requests;
    outputs are sampled by `seed`.
    """

    def __init__(self, model: Metered, before: str, unit: str, seed: int) -> None:
        self._model, self._unit = model, unit
        self._longest = max(LONGEST, 2 * len(before))
        self._decoding = Decoding(self._longest // LETTERS, TEMPERATURE, TOP_P, seed)
        self.proposals = 0
        self.rejected = Counter[str]()
        self.failed: Exception | None = None

    def propose(
        self, candidate: dict[str, str], findings: Mapping[str, Sequence[Mapping[str, Any]]], parts: list[str]
    ) -> dict[str, str]:
        """Return a new text for the system prompt; nothing if the proposal cannot be used.

        GEPA catches what is raised here and asks again, so the first error is kept in `failed`.
        """
        if self.failed:
            raise self.failed
        try:
            completion = self._ask(candidate[SYSTEM], findings[SYSTEM])
        except Exception as error:
            self.failed = error
            raise
        self.proposals += 1
        text = _extracted(completion.output or "")
        if why := self._why_not(text, completion, candidate[SYSTEM]):
            self.rejected[why] += 1
            return {}
        return dict.fromkeys(parts, text)

    def _ask(self, current: str, findings: Sequence[Mapping[str, Any]]) -> Completion:
        from gepa.strategies.instruction_proposal import InstructionProposalSignature

        template = ASKED.format(letters=self._longest)
        asked = {"current_instruction_doc": current, "dataset_with_feedback": findings, "prompt_template": template}
        text = str(InstructionProposalSignature.prompt_renderer(asked))
        request = Request(f"{self._unit}/prompt {self.proposals + 1}", ((USER, text),), self._decoding)
        completions = self._model.ask([request])
        if request.key not in completions:
            raise CouldNotRun(f"{self._unit}: expected a prompt from the reflecting model, found no output")
        return completions[request.key]

    def _why_not(self, text: str, completion: Completion, current: str) -> str:
        """Return the reason why a proposal cannot be used; empty if it can."""
        if not text:
            return "empty"
        if completion.finish == "length":
            return "cut at the limit of tokens"
        if len(text) > self._longest:
            return f"longer than {self._longest:,} characters"
        if visible_lines(text) != text:
            return "with invisible characters"
        if has_placeholder(text):
            return "with a placeholder, which a system message does not fill"
        return "unchanged" if text == current.strip() else ""


def _extracted(output: str) -> str:
    from gepa.strategies.instruction_proposal import InstructionProposalSignature

    found = InstructionProposalSignature.output_extractor(output.strip())["new_instruction"]
    return str(found).replace("\r\n", "\n").strip()


def shortened_text(text: str) -> str:
    """Return at most `SHOWN` characters of an input or output."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} [...]"
