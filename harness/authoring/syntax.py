"""What is wrong with a text that is no YAML, in the words of people."""

from __future__ import annotations

import re

import yaml

from tunegate.harness.core.errors import Problem

QUOTE = "put the text in quotes"
# What PyYAML says, and in the words of people: what was expected, what was found, what to do. {0} is the pattern's
# group, {1} the line where the quote, bracket or key opens; the mistake is shown there if the last column says so.
_SYNTAX: tuple[tuple[str, str, str, str, bool], ...] = (
    (r"character '\\t'", "spaces", "a tab", "indent with spaces", False),
    (r"character '(.)' that cannot start", "a text in quotes", "a text that begins with {0}", QUOTE, False),
    (r"(?:anchor|alias)", "a text in quotes", "a text that begins with * or &, or an alias without its &name", QUOTE,
     False),
    (r"mapping values are not allowed", "one `key: value`", "a second ': ', or keys that are not lined up",
     "put a text that holds ': ' in quotes; begin the keys of one mapping in one column", False),
    (r"<block end>, but found '<scalar>'", "nothing after a closing quote", "more text",
     "quote the whole text; inside '...' write ' twice", False),
    (r"<block end>", "lines that belong together in one column", "a line in another column",
     "indent it like the lines beside it", False),
    (r"end of stream.* quoted scalar", "a closing quote", "none before the end of the file",
     "the quote opens on this line", True),
    (r"flow (?:mapping|sequence|node)", "a comma or a closing bracket", "something else",
     "the bracket opens on line {1}; put texts that hold , : ? [ ] {{ or }} in quotes there", False),
    (r"escape", "a known escape after the \\", "another character",
     "in double quotes write \\\\ for \\, or use single quotes", False),
    (r"could not find expected ':'", "`key: value`", "a line without ': '",
     "indent it if it goes on the text above", True),
    (r"block scalar", "nothing after | or >", "more text",
     "begin the text on the next line, indented; or put it in quotes if it begins with | or >", False),
    (r"single document", "one document", "a second one", "delete the line ---, or move what follows to its own file",
     False),
)  # fmt: skip


def syntax_problem(error: yaml.YAMLError, name: str) -> Problem:
    """What PyYAML found, said as a mistake in the file called `name`."""
    said = " ".join(filter(None, [getattr(error, "problem", None) or str(error), getattr(error, "context", None)]))
    mark, opens = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 1
    opening = opens.line + 1 if opens else line
    for pattern, expected, found, hint, at_opening in _SYNTAX:
        if seen := re.search(pattern, said):
            words = (*seen.groups(), "")[0], opening
            return Problem(
                name, opening if at_opening else line, "", expected, found.format(*words), hint.format(*words)
            )
    return Problem(name, line, "", "YAML", said, QUOTE)
