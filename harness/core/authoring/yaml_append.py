"""Add an item to a list or mapping of a YAML file's text; every other character stays as it is."""

from __future__ import annotations

import re

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not every platform has libyaml
_MARK = "\ufeff"  # of byte order, which libyaml does not count
_END = re.compile(r"^\.\.\.(?!\S)", re.MULTILINE)  # of the document


def append_item(text: str, key: str, item: str) -> str | None:
    """Return the text with `item`, YAML of a list or mapping with one item, at the end of that of a top-level key.

    None if there is no such list or mapping, or if it is written in brackets. `text` is valid YAML. The caller compares
    the data.
    """
    if text.startswith(_MARK):
        new = append_item(text.removeprefix(_MARK), key, item)
        return None if new is None else _MARK + new
    root = yaml.compose(text, Loader=_LOADER)
    if not isinstance(root, yaml.MappingNode):
        return None
    found = [number for number, (name, _) in enumerate(root.value) if name.value == key]
    listed = root.value[found[0]][1] if found else None
    if not isinstance(listed, yaml.CollectionNode) or listed.flow_style:
        return None
    is_last = found[0] == len(root.value) - 1
    end = _END.search(text, listed.start_mark.index)
    last = end.start() if end else len(text)
    at = last if is_last else root.value[found[0] + 1][0].start_mark.index
    before = text[:at] if is_last else _without_comments(text[:at], listed.start_mark.column)
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = item.removesuffix("\n").split("\n")
    indent = " " * listed.start_mark.column
    added = "".join(f"{indent}{line}".rstrip(" ") * bool(line) + line_end for line in lines)
    return f"{before}{'' if before.endswith(chr(10)) else line_end}{added}{text[len(before) :]}"


def _without_comments(text: str, column: int) -> str:
    """The text without the empty lines and comments at its end, which belong to the next key; indented text stays."""
    return re.sub(rf"(?:^(?: *| {{0,{column}}}#.*)\r?\n)+\Z", "", text, flags=re.MULTILINE)
