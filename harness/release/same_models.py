"""Check that the models of a re-run before a release are the evaluated ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tunegate.harness.core.errors import Refused, TunegateError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.models.adapters import check_named_base
from tunegate.harness.models.api import Fingerprint, Model
from tunegate.harness.models.identity import identify
from tunegate.harness.models.resolve import resolve
from tunegate.harness.models.whole_model import is_whole_model
from tunegate.harness.release.submission import PARTS


def check_same_models(models: Iterable[Model], expected: Fingerprint, name: str) -> None:
    """Refuse models or engines that differ from those of a record, called `name`.

    Raises:
        Refused: names what differs.
    """
    for model in models:
        found = model.fingerprint
        without = {"adapter"} if found.subject.get("adapter") is None else set()
        pairs = (("model", found.subject, expected.subject), ("engine", found.engine, expected.engine))
        for part, ours, theirs in pairs:
            keys = {*ours, *theirs} - without
            if differ := sorted(key for key in keys if ours.get(key) != theirs.get(key)):
                raise Refused(
                    f"{name}: expected the {part} of the evaluation, found another {', '.join(differ)}; set "
                    "--model, --device, --dtype and --chat-template accordingly, or evaluate again here"
                )


def check_base_name(adapter: Path, name: str, asked: Fingerprint) -> None:
    """Refuse an adapter whose base name leads to another base, since users load it by that name.

    Raises:
        Refused: the base is not found under that name, or is another one.
    """
    if not is_whole_model(adapter):
        check_named_base(adapter, name)
    if name == asked.names["model"]:
        return
    try:
        found = identify(name, resolve(name))
    except TunegateError as error:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which was not found, and "
            f"{asked.names['model']} was evaluated; name the base as the adapter does: --model={name}"
        ) from error
    if {part: getattr(found, part) for part in PARTS} != {part: asked.subject[part] for part in PARTS}:
        raise Refused(
            f"{show_path(adapter)}: it names {shown(name)} as its base, which is another one than evaluated; train it "
            "again on the right one"
        )
