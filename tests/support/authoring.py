"""A small valid project, and the mistakes that people make in it while they write: material of `test_authoring`."""

from __future__ import annotations

from dataclasses import dataclass

TRIAGE = """\
version: 1
suite: schema
unit: triage
prompt:
  system: Sort the message. Reply with JSON only.
  template: "{input}"
check: {schema: refs/ticket.schema.json, extract: strict}
generate: {max_new_tokens: 32}
shots:
  - {input: It drips., output: '{"product": "radiator"}'}
cases:
  - id: cold
    input: The boiler is cold again.
    expect: {product: boiler}
    tags: {channel: email}
    critical: true
  - id: leak
    input: "Water below the radiator: come today"
    expect: {product: radiator, urgent: true}
"""
REPLIES = """\
version: 1
suite: voice
unit: replies
check: {references: refs/voice.yaml, content: 0.4}
cases:
  - id: late
    input: Is anyone coming today?
    expect: {says: "Owen's coming today, nearer five."}
"""
WORDING = """\
version: 1
suite: vocabulary
unit: wording
check: {terms: refs/terms.yaml}
cases:
  - id: visit
    input: Who is coming?
    expect: {terms: [engineer], wording: [complaint]}
"""
CHOICE = """\
version: 1
suite: vocabulary
unit: choice
check: {measure: pairs}
cases:
  - id: let-in
    input: Must I be at home?
    expect:
      preferred: The engineer needs letting in.
      other: The technician needs letting in.
"""
PASSAGES = """\
version: 1
suite: retention
unit: passages
check: {measure: passages}
cases:
  - id: ferry
    input: They missed the ferry by the length of the pier.
"""
QUESTIONS = """\
version: 1
suite: retention
unit: questions
check: {measure: questions}
cases:
  - id: france
    input: What is the capital of France?
    expect: {answer: [paris]}
"""
COST = """\
version: 1
suite: cost
unit: triage-cost
of: triage
"""
TASK = """\
version: 1
about: The support desk.
units:
  triage: {role: target, margin: 0.1, reason: The ticket system needs it.}
  replies: {role: guard, margin: 0.1, reason: An agent reads every reply.}
  wording: {role: guard, margin: 0.1, reason: An agent reads every reply.}
  choice: {role: guard, ungated: true, reason: Kept.}
  passages: {role: guard, ungated: true, reason: Kept.}
  questions: {role: guard, margin: 0.1, reason: Kept.}
  triage-cost: {role: guard, margin: 0.001, reason: Kept.}
prices: {currency: USD, input_per_million: 1, output_per_million: 2, reason: The list price.}
"""
SCHEMA = """\
{
  "type": "object",
  "required": ["product"],
  "additionalProperties": false,
  "properties": {
    "product": {"enum": ["boiler", "radiator"]},
    "rooms": {"type": "integer"},
    "urgent": {"type": "boolean"}
  }
}
"""
TERMS = """\
version: 1
language: en
terms:
  - {id: engineer, preferred: engineer, banned: [technician, repairman]}
  - {id: pump, preferred: heat pump}
wording:
  - {id: complaint, text: You may take it to the ombudsman.}
"""
DAYS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "twenty-one",
]  # fmt: skip
VOICE = """\
version: 1
brand: Hollinvale
rules:
  - {id: no-exclamation, never: ["!"], say: The words show it.}
pairs:
""" + "".join(
    f"  - {{id: p-{day}, topic: visit, subtle: {str(index < 4).lower()}, "
    f"on: We'll come on day {day} and there's nothing to pay., "
    f"off: A visit free of charge is scheduled for day {day}.}}\n"
    for index, day in enumerate(DAYS)
)

PROJECT = {
    "triage.yaml": TRIAGE, "replies.yaml": REPLIES, "wording.yaml": WORDING, "choice.yaml": CHOICE,
    "passages.yaml": PASSAGES, "questions.yaml": QUESTIONS, "cost.yaml": COST, "task.yaml": TASK,
    "refs/ticket.schema.json": SCHEMA, "refs/terms.yaml": TERMS, "refs/voice.yaml": VOICE,
}  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """One edit of one file: `old` becomes `new`; an empty `old` is a new file. `encoding` is how it is saved."""

    title: str
    file: str
    old: str
    new: str
    encoding: str = "utf-8"


def _in(file: str, *edits: tuple[str, str, str]) -> list[Mistake]:
    return [Mistake(title, file, old, new) for title, old, new in edits]


MISTAKES: dict[str, list[Mistake]] = {
    "YAML itself": [
        *_in(
            "triage.yaml",
            ("A tab instead of spaces", "    input: The boiler is", "\tinput: The boiler is"),
            ("A second colon in a text", "The boiler is cold again.", "Boiler: it is cold"),
            ("A text that begins with a quote and goes on", "The boiler is cold again.", '"Cold" again'),
            ("An apostrophe inside single quotes", "The boiler is cold again.", "'It's cold'"),
            ("A quote that is not closed", '"Water below the radiator: come today"', '"Water below the radiator'),
            ("A text that begins with a percent sign or an at", "The boiler is cold again.", "@you the boiler is cold"),
            ("A text that is cut off by a comment", "The boiler is cold again.", "Order #12 is late"),
            ("A text that begins with #", "The boiler is cold again.", "#12 is late"),
            ("A line in another column", "    tags: {channel: email}", "   tags: {channel: email}"),
            ("A bracket that is not closed", "tags: {channel: email}", "tags: {channel: email"),
            ("A key twice", "    critical: true\n", "    critical: true\n    tags: {channel: chat}\n"),
            ("A colon without a space", "unit: triage", "unit:triage"),
            ("A merge conflict", "cases:\n", "<<<<<<< HEAD\ncases:\n=======\n>>>>>>> other\n"),
            ("A zero-width space", "The boiler is cold", "The boiler\u200b is cold"),
        ),
        Mistake("Saved in the encoding of old Windows", "triage.yaml", "The boiler", "Café boiler", "cp1252"),
        Mistake("Saved as UTF-16", "triage.yaml", "The boiler", "The old boiler", "utf-16"),
    ],
    "A fixture file": [
        *_in(
            "triage.yaml",
            ("A misspelt key of the file", "generate:", "genrate:"),
            ("A misspelt key of a case", "    tags:", "    tag:"),
            ("A misspelt option of generate", "max_new_tokens", "max_tokens"),
            ("A misspelt key of the prompt", "template:", "templete:"),
            ("A misspelt key of a shot", "output: '", "outptu: '"),
            ("A suite that does not exist", "suite: schema", "suite: shema"),
            ("No cases", TRIAGE[TRIAGE.index("cases:"):], ""),
            ("An id twice", "id: leak", "id: cold"),
            ("An id with a space", "id: leak", "id: the leak"),
            ("A number where a text belongs", "The boiler is cold again.", "42"),
            ("A tag that is a number", "channel: email", "priority: 1"),
            ("yes instead of true", "critical: true", "critical: yes"),
            ("A number in quotes", "max_new_tokens: 32", 'max_new_tokens: "32"'),
            ("A misspelt placeholder", '"{input}"', '"Message: {inpt}"'),
            ("A misspelt context", '"{input}"', '"{contxt} {input}"'),
            ("A template without the input", '"{input}"', "Sort it."),
            ("A template that asks for a context no case has", '"{input}"', '"{context} {input}"'),
            ("A placeholder in the system message", "Sort the message.", "Sort {input}."),
            ("A case without an input", '    input: "Water below the radiator: come today"\n', ""),
        ),
    ],
    "Suite schema": [
        *_in(
            "triage.yaml",
            ("A misspelt option of the check", "extract:", "extarct:"),
            ("A check that is a path", "{schema: refs/ticket.schema.json, extract: strict}", "refs/ticket.schema.json"),
            ("A schema file that is not there", "ticket.schema.json", "tickets.schema.json"),
            ("An expectation that the schema refuses", "{product: boiler}", "{product: boilr}"),
            ("A key that the schema does not know", "urgent: true", "urgnt: true"),
            ("A text where the schema has true or false", "urgent: true", "urgent: yes"),
            ("A text where the schema has a number", "urgent: true", 'rooms: "2"'),
            ("A field that the schema does not know", "extract: strict", "fields: {urgnt: {ignore: true}}"),
            ("A field that must be right and is not known", "extract: strict", "pass: {fields: [produkt]}"),
            ("Percent as a number", "extract: strict", "pass: {share: 80}"),
            ("Alternatives of one", "{product: boiler}", "{product: {any_of: [boiler]}}"),
        ),
        *_in(
            "refs/ticket.schema.json",
            ("A misspelt keyword", '"required"', '"requried"'),
            ("A misspelt keyword that would close the object", '"additionalProperties"', '"addtionalProperties"'),
            ("A type that does not exist", '"type": "object"', '"type": "objekt"'),
            ("A comma too many", '"boolean"}\n', '"boolean"},\n'),
            ("A reference to the network", '{"type": "boolean"}', '{"$ref": "https://example.com/urgent.json"}'),
            ("A reference that leads nowhere", '{"type": "boolean"}', '{"$ref": "#/$defs/urgent"}'),
        ),
    ],
    "Suite voice": [
        *_in(
            "replies.yaml",
            ("A misspelt option", "content:", "contnet:"),
            ("Percent instead of a share", "content: 0.4", "content: 40"),
            ("No expect", "    expect: {says: \"Owen's coming today, nearer five.\"}\n", ""),
            ("An answer that breaks a house rule", "nearer five.", "nearer five!"),
        ),
        *_in(
            "refs/voice.yaml",
            ("A pair without its other side", ", off: A visit free of charge is scheduled for day one.", ""),
            ("The same text twice", "on day two and", "on day one and"),
            ("An on-brand text that breaks a house rule", "on day one and", "on day one! And"),
            ("Too few pairs", VOICE[VOICE.index("  - {id: p-nineteen") :], ""),
            ("A misspelt key of the references", "brand:", "brnad:"),
        ),
    ],
    "Suite vocabulary": [
        *_in(
            "wording.yaml",
            ("A term that the terms file does not have", "terms: [engineer]", "terms: [enginer]"),
            ("A term that is not in a list", "terms: [engineer]", "terms: engineer"),
            ("A terms file that is not there", "refs/terms.yaml", "refs/term.yaml"),
        ),
        *_in(
            "refs/terms.yaml",
            ("A banned variant inside the house's own term", "preferred: heat pump", "preferred: repairman's pump"),
            ("A misspelt key of a term", "banned:", "baned:"),
            ("No language", "language: en\n", ""),
            ("A term twice", "id: pump", "id: engineer"),
        ),
        *_in(
            "choice.yaml",
            ("A pair whose two answers are the same", "The technician needs", "The engineer needs"),
            ("A pair of one answer", "      other: The technician needs letting in.\n", ""),
            ("A measure that does not exist", "measure: pairs", "measure: pair"),
        ),
    ],
    "Suites retention and cost": [
        *_in("passages.yaml", ("A prompt that a passage has no use for", "cases:", "prompt: {system: Go on.}\ncases:")),
        *_in("passages.yaml", ("No measure", "check: {measure: passages}\n", "")),
        *_in("questions.yaml", ("An answer that is not in a list", "answer: [paris]", "answer: paris")),
        *_in("cost.yaml", ("A cost file of a unit that does not exist", "of: triage", "of: triag")),
    ],
    "task.yaml": [
        *_in(
            "task.yaml",
            ("A unit that does not exist", "  triage:", "  triagge:"),
            ("Points instead of a share", "margin: 0.1, reason: The", "margin: 10, reason: The"),
            ("A misspelt key of a unit", "role: target", "rôle: target"),
            ("A role that does not exist", "role: target", "role: gaurd"),
            ("No reason", ", reason: The ticket system needs it.", ""),
            ("A misspelt key", "prices:", "price:"),
            ("A part that it does not have", "role: target", "parts: {urgnt: {margin: 0.1, reason: r}}, role: target"),
            ("A part without a reason", "role: target", "parts: {exact: {margin: 0.1}}, role: target"),
            ("A seal on an open unit", "passages: {role:", "passages: {seals: triage, role:"),
            ("A rate for a unit that has none", "passages: {role:", "passages: {minimum_score: 0.5, role:"),
            ("No target", "role: target", "role: guard"),
            ("A unit that is not named", "  choice: {role: guard, ungated: true, reason: Kept.}\n", ""),
        ),
    ],
    "Files": [
        Mistake("A copy that an editor left", "triage.yaml.bak", "", TRIAGE),
        Mistake("A fixture file among the references", "refs/more.yaml", "", TRIAGE),
        Mistake("A reference that no check names", "refs/old.schema.json", "", SCHEMA),
        Mistake("Another ending of task.yaml", "task.yml", "", TASK),
        Mistake("A case in a second file of the unit", "more.yaml", "", TRIAGE),
    ],
    "Cases that say too little": [
        *_in(
            "triage.yaml",
            ("A message twice", '"Water below the radiator: come today"', "The boiler is cold again."),
            ("A target without shots", TRIAGE[TRIAGE.index("shots:") : TRIAGE.index("cases:")], ""),
        ),
    ],
}  # fmt: skip
