"""The results of parity comparisons: `parity.json` in the adapter's folder, and the lines of the model card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.files import digest, is_as_stamped, json_text, stamped
from tunegate.harness.core.reading import MOST_SETTINGS, read_object
from tunegate.harness.models.evaluation.record import Record

PARITY = "parity.json"
SECTION = "\n## Served\n"


@dataclass(frozen=True, slots=True)
class Artefact:
    """The result of one comparison: the artefact's `name`, and the digest of its weights where there are files.

    `lines` are the printed lines, findings included; `shown` is whether it matches the evaluated model.
    """

    name: str
    kind: str
    digest: str | None
    shown: bool
    when: str
    lines: tuple[str, ...]
    verdicts: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The entry of `parity.json`."""
        return {**asdict(self), "lines": list(self.lines)}


def outputs_digest(record: Record) -> str:
    """Digest of an evaluation: the questions and their outputs."""
    outputs = {key: [each.output, each.logprobs] for key, each in record.cases.items()}
    return digest([{unit: dict(asked) for unit, asked in record.questions.items()}, outputs])


def read_artefacts(adapter: Path, sha: str, record: Record) -> list[Artefact]:
    """The comparisons with the current outputs of the adapter with the digest `sha`; empty if there are none.

    Raises:
        Refused: the file is damaged, was edited, or is about other outputs.
    """
    found = _read(adapter)
    if found and not _is_of(found, sha, record):
        raise Refused(
            f"{show_path(adapter / PARITY)}: expected comparisons with the current outputs of the adapter, found "
            "comparisons with others; delete it, and run tunegate parity again"
        )
    return _artefacts(found)


def known_artefacts(adapter: Path, sha: str, record: Record) -> list[Artefact]:
    """Like `read_artefacts`, but empty where the file is about other outputs: the next comparison starts a new list."""
    found = _read(adapter)
    return _artefacts(found) if found and _is_of(found, sha, record) else []


def _is_of(found: Mapping[str, Any], sha: str, record: Record) -> bool:
    return bool(found["adapter"] == sha and found["outputs"] == outputs_digest(record))


def _artefacts(found: Mapping[str, Any] | None) -> list[Artefact]:
    return [Artefact(**{**each, "lines": tuple(each["lines"])}) for each in found["artefacts"]] if found else []


def _read(adapter: Path) -> dict[str, Any] | None:
    path = adapter / PARITY
    if not path.exists():
        return None
    found = read_object(path, "comparisons with an adapter", published_schema("parity"), MOST_SETTINGS)
    if not is_as_stamped(found):
        raise Refused(f"{show_path(path)}: expected it unedited, found it edited; delete it, and run tunegate parity")
    return found


def artefacts_text(adapter: str, record: Record, artefacts: list[Artefact]) -> str:
    """The text of `parity.json`."""
    return json_text(stamped({
        "schema_version": 1, "adapter": adapter, "outputs": outputs_digest(record),
        "artefacts": [each.as_dict() for each in artefacts],
    }))  # fmt: skip


def card_section(artefacts: list[Artefact]) -> str:
    """The last part of the model card: the artefacts that match the evaluated model."""
    lines = list(_card_lines(artefacts))
    if not lines:
        return f"{SECTION}\nNo served model was shown to match the evaluated one yet (`tunegate parity`).\n"
    return f"{SECTION}\nThese match the evaluated model in prompts, outputs and verdicts:\n\n" + "\n".join(lines) + "\n"


def _card_lines(artefacts: list[Artefact]) -> Iterator[str]:
    for each in artefacts:
        if each.shown:
            weights = f" (weights {each.digest[:12]})" if each.digest else ""
            yield f"- {shown_in_markdown(each.name)}{weights}, {each.when}: {shown_in_markdown('; '.join(each.lines))}"


def with_section(card: str, artefacts: list[Artefact]) -> str:
    """The model card with its last part replaced."""
    return card.split(SECTION)[0].rstrip("\n") + "\n" + card_section(artefacts)
