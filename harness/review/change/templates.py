"""The chat template of a run, as the change and the branch have it: of the settings, or of the model's folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.git import MOST_OF_A_FILE
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.settings import standing
from tunegate.harness.models.resolve import own_templates
from tunegate.harness.review.change.sides import real_path


def chat_template_text(options: Options, tree: Path) -> str:
    """Return the text of the chat template that a run uses, as a tree of its project has it; empty without one.

    What the command line does not name is named by the settings of the tree, which may be the branch's. The branch's
    tree has nothing of what lies outside of the project. Empty, too, are the templates of Hub models and GGUF files.

    Raises:
        Refused: a setting is invalid.
    """
    here, there, opened = standing(options.root), standing(tree), options.opened
    is_standing = opened.chat_template == here["chat-template"]
    given = there["chat-template"] if is_standing else _in_tree(opened.chat_template, options.root, tree)
    if given or not is_standing:
        return _text_of(given)
    model = there["model"] if options.model == here["model"] else options.model
    tokenizer = there["tokenizer"] if opened.tokenizer == here["tokenizer"] else opened.tokenizer
    backend = backend_of(model)
    name = tokenizer if backend.is_hosted else backend.weights(model)
    folder = _in_tree(Path(name).expanduser(), options.root, tree) if name else None
    with suppress(Unreadable):  # loading it names the damage
        return "\n".join(own_templates(folder)) if folder else ""
    return ""


def _in_tree(path: Path | None, root: Path, tree: Path) -> Path | None:
    """Return where a path of the project at `root` stands in another tree of it; None outside of the project."""
    if path is None or tree == root:
        return path
    real, home = real_path(path), real_path(root)
    return tree / real.relative_to(home) if real.is_relative_to(home) else None


def _text_of(template: Path | None) -> str:
    is_readable = template and template.is_file() and template.stat().st_size <= MOST_OF_A_FILE
    return template.read_text("utf-8", "replace") if template and is_readable else ""
