"""Mutants of a text by its structure: of its data where it is JSON, JSONL, YAML or TOML, or of its bytes."""

# ruff: noqa: ARG001

from __future__ import annotations

import copy
import functools
import json
import random
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import yaml

from tunegate.harness.core.files import stamped

Form = str  # "json", "lines", "yaml" or "toml"
LONG = "long " * 20_000
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 0.5, -0.0, 10**40, -(10**30), 1e308, 5e-324, float("nan"), float("inf"), "", " ", "x",
    "\x00", "\x1b[2J", "\n::error::", "\u202e", "\ud800", "\udc00x", "\ufeff", "\u2028", "é" * 200, LONG, [], {}, [[]],
    [None], {"": None}, {"a": {"b": []}}, "2024-01-01", "1_000", "0x10", "yes", "~", "../../etc/passwd", "/dev/zero",
)  # fmt: skip
KEYS = ("", "../up", "\u202e", "::error::x", "a\nb", "\x00", "\ud800", "<<", "sealed", "critical", "margin", "score",
        "__proto__", "schema_version", "digest", LONG)  # fmt: skip
TWICE = "\x01twice\x01"  # before a key that is to stand there once more
MARK = "\x01here\x01"  # where a text is put that no data have
RAW = (
    "NaN", "-Infinity", "1e999", "1" * 400, "1" * 100_000, "[" * 200 + "]" * 200, "[" * 20_000 + "]" * 20_000,
    '{"a":' * 150 + "1" + "}" * 150, "undefined", "'x'", "01", "1.", '"\\ud800"', '"\\x"', "// no", "",
)  # fmt: skip
RAW_YAML = (
    "&a [*a]", "*nothing", "!!python/object/apply:os.system [ls]", "!!binary aGk=", "!!set {a, b}", "2024-01-01",
    "2024-01-01T10:00:00Z", "12:30:45", "0o17", "1_000", ".inf", ".nan", "|\n  a\n b", "{<<: 1}", "{<<: [1, {a: 1}]}",
    "? [a]", "@x", "%x", "`x`", "a: b: c", "- - - x", "#", "\tx", "&x {a: 1, <<: *x}", "'", '"\\U00110000"',
    "[&a [1,1,1,1,1,1,1,1,1], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], "
    "&d [*c,*c,*c,*c,*c,*c,*c,*c,*c], &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], [*e,*e,*e,*e,*e,*e,*e,*e,*e]]",
)  # fmt: skip
RAW_TOML = (
    "nan", "-inf", "2024-01-01", "10:00:00", "[1, 2", "{a = 1}", "{a.b.c = 1}", "'''x", '"\\ud800"', "0x_1", "1__0",
    "[" * 300 + "]" * 300, "1" * 6_000, '"""a\n"""', "true", "[]", "-1", "10000000000000000000000", "''", "0.1",
)  # fmt: skip


def mutant(whole: bytes, form: Form, chance: random.Random, with_digest: bool = False) -> bytes:
    """A changed text; `with_digest` asks for one that fits, where the data carry one."""
    if chance.random() < 1 / 6 and not with_digest:
        return chance.choice((of_bytes, encoded))(whole, chance)
    if form == "toml":
        return of_toml(whole.decode(), chance).encode("utf-8", "surrogatepass")
    if form == "lines":
        return of_lines(whole, chance)
    text = of_data(_data(whole, form), form, chance, with_digest)
    return text.encode("utf-8", "surrogatepass")


@functools.lru_cache(maxsize=64)
def _data(whole: bytes, form: Form) -> Any:
    return json.loads(whole) if form == "json" else yaml.load(whole, yaml.CSafeLoader)


def of_lines(whole: bytes, chance: random.Random) -> bytes:
    """A JSONL text of which one line, or the order and number of lines, is changed."""
    lines = whole.decode().splitlines()
    at = chance.randrange(len(lines))
    change = chance.randrange(8)
    if change == 0:
        del lines[at]
    elif change == 1:
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif change == 2:
        lines[at] = chance.choice(RAW)
    elif change == 3:
        lines[at] += "\u2028" + lines[at]
    else:
        lines[at] = of_data(json.loads(lines[at]), "json", chance, False).replace("\n", " ")
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def of_data(data: Any, form: Form, chance: random.Random, with_digest: bool) -> str:
    """The text of changed data: one to three changes of their structure."""
    raw, last, data = "", None, copy.deepcopy(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(data))
        if not places:
            break
        inside, key = chance.choice(places)
        if chance.random() < 1 / 6 and not with_digest:
            raw = chance.choice(RAW_YAML if form == "yaml" and chance.random() < 3 / 4 else RAW)
            inside[key] = MARK
        else:
            change = chance.choice([each for each in CHANGES if each is not last or each is not _many])
            change(inside, key, data, chance)
            last = change
    if with_digest and isinstance(data, dict):
        with suppress(TypeError, ValueError, RecursionError):
            data = stamped({key: value for key, value in data.items() if key != "digest"})
    return _text(data, form, raw, chance)


def _text(data: Any, form: Form, raw: str, chance: random.Random) -> str:
    if form == "yaml" and not raw and chance.random() < 1 / 2:
        with suppress(yaml.YAMLError, RecursionError, UnicodeError):
            return str(yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=chance.random() < 1 / 2, sort_keys=False))
    try:
        text = json.dumps(data, ensure_ascii=chance.random() < 3 / 4, default=str)
    except (ValueError, RecursionError):  # data inside themselves
        text = '{"a": 1}'
    text = text.replace(json.dumps(TWICE)[1:-1], "").replace(TWICE, "")
    return text.replace(json.dumps(MARK), raw).replace(f'"{MARK}"', raw)


def _delete(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    del inside[key]


def _duplicate(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    if isinstance(inside, dict):
        inside[f"{TWICE}{key}"] = copy.deepcopy(inside[key])
    else:
        inside.insert(key, copy.deepcopy(inside[key]))


def _rename(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    if isinstance(inside, dict):
        inside[chance.choice((*KEYS, f"{key}s", str(key)[:-1]))] = inside.pop(key)
    else:
        inside.reverse()


def _retype(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    inside[key] = copy.deepcopy(chance.choice(VALUES))  # later changes may be made inside it


def _nest(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 60, 110, 300))):
        inside[key] = [inside[key]] if chance.random() < 1 / 2 else {"a": inside[key]}


def _swap(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    other, name = chance.choice(list(_places(whole)))
    inside[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(inside[key])


def _alias(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    other, name = chance.choice(list(_places(whole)))
    inside[key] = other[name]  # the same object: YAML writes an alias, also of what it stands in


def _many(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    if isinstance(inside, dict):
        inside.update({f"{key}{number}": inside[key] for number in range(chance.choice((20, 2000)))})
    else:
        inside[key:key] = [inside[key]] * chance.choice((20, 300))


def _near(inside: Any, key: Any, whole: Any, chance: random.Random) -> None:
    value = inside[key]
    if isinstance(value, bool) or value is None:
        inside[key] = not value
    elif isinstance(value, int | float):
        inside[key] = chance.choice((0, 1, -value, value + 1, value / 2, str(value), float(value)))
    elif isinstance(value, str):
        inside[key] = chance.choice((value.upper(), value[:-1], value + "0", value * 3, f" {value}", value.split("/")))
    else:
        inside[key] = list(value)[: len(value) // 2]


CHANGES: tuple[Callable[[Any, Any, Any, random.Random], None], ...] = (
    _delete, _duplicate, _rename, _retype, _retype, _retype, _nest, _swap, _alias, _many, _near, _near,
)  # fmt: skip


def _places(data: Any) -> Any:
    """Each list or mapping with each of its keys, once; data may stand inside themselves."""
    seen, level = set(), [data]
    while level:
        value = level.pop()
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        keys = list(value) if isinstance(value, dict) else range(len(value))
        yield from ((value, key) for key in keys)
        level += [value[key] for key in keys]


def of_toml(text: str, chance: random.Random) -> str:
    """A TOML text of which one line is changed, or one put in."""
    lines = text.splitlines()
    at = chance.choice([number for number, line in enumerate(lines) if "=" in line])
    key, _, value = lines[at].partition("=")
    made = json.dumps(chance.choice(VALUES), ensure_ascii=chance.random() < 1 / 2)
    name = chance.choice((*KEYS[:-1], "a.b.c", '"x y"', "k" * 5000, f"{key.strip()}s"))
    lines[at] = chance.choice((
        "", f"{key}={made}", f"{key}={chance.choice(RAW_TOML)}", f"{lines[at]}\n{lines[at]}", f"{name} ={value}",
        f"[tool.{name}]\n{lines[at]}", f"{key}=[{value}]", f"{key.strip()}.a ={value}", f"{'a.' * 3000}b ={value}",
        "\n".join(f"{key.strip()}{n} ={value}" for n in range(2000)), f"[[tool.tunegate]]\n{lines[at]}", key,
    ))  # fmt: skip
    return "\n".join(lines) + "\n"


def encoded(whole: bytes, chance: random.Random) -> bytes:
    """The same text in another encoding, or with other ends of lines."""
    text = whole.decode("utf-8", "replace")
    return chance.choice((
        text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-32"), b"\xef\xbb\xbf" + whole,
        re.sub("[aeiou]", "é", text, count=3).encode("latin-1", "replace"), text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(), text.replace(" ", "\u00a0").encode(), text.replace(" ", "\t").encode(),
        text.replace(" ", "\u2003").encode(), text.replace("\n", "\u0085").encode(), whole + whole,
    ))  # fmt: skip


def of_bytes(whole: bytes, chance: random.Random) -> bytes:
    """A text with a byte flipped, taken out, put in, cut off there, or some of it twice."""
    at = chance.randrange(len(whole))
    return chance.choice((
        whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :], whole[:at] + whole[at + 1 :],
        whole[:at] + bytes([chance.randrange(256)]) + whole[at:], whole[:at], whole[at:], b"",
        whole[:at] + whole[at : at + 40] + whole[at:], whole[:at] + b"\0" * 4096 + whole[at:],
    ))  # fmt: skip
