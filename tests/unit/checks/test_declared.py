"""Kinds of check read from their text: what counts as a declaration, and that nothing of it runs."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.declared import declared_kind, declared_kinds
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Refused

KIND = 'CheckKind(kind="pass/fail", options={}, expect={}, load=load, version=1)'


def kinds(tmp_path, text: str):
    path = tmp_path / "checks.py"
    path.write_text(text, "utf-8")
    return declared_kinds(path)


def refused(tmp_path, text: str) -> str:
    with pytest.raises(AuthoringError) as caught:
        kinds(tmp_path, text)
    return str(caught.value)


def test_literals_names_and_what_joins_them_are_read(tmp_path):
    found = kinds(tmp_path, """
raise SystemExit("it ran")
WORDS = {"type": "integer", "minimum": -1}
BASE: dict = {"type": "object"}
OPTIONS = {**BASE, "properties": {"words": WORDS}} | {"required": ["words"]}
A = CheckKind(kind="continuous", options=OPTIONS, expect=BASE, load=lambda *_: 1, version=3, libraries=("regex",))
CHECKS = {"a": A, "b/c": tunegate.CheckKind("pass/fail", {}, {}, load, 2, texts=texts)}
""")  # fmt: skip
    assert found["a"].options == {
        "type": "object", "properties": {"words": {"type": "integer", "minimum": -1}}, "required": ["words"],
    }  # fmt: skip
    assert (found["a"].kind, found["a"].version, found["a"].libraries, found["a"].texts) == (
        "continuous",
        3,
        ("regex",),
        None,
    )
    assert (found["b/c"].kind, found["b/c"].version, found["b/c"].asks) == ("pass/fail", 2, "loglik")


def test_what_is_declared_scores_nothing(tmp_path):
    kind = kinds(tmp_path, f'CHECKS = {{"a": {KIND.replace("version=1", "version=1, texts=x")}}}')["a"]
    check = kind.load({}, None, ())
    assert check.expect_problems({}, None, ()) == []
    with pytest.raises(CouldNotRun, match="this command runs no checks"):
        check("an output", None, "")
    with pytest.raises(Refused, match="its texts come from code"):
        kind.texts("an input", None)


def test_what_is_no_declaration_is_said_at_its_line(tmp_path):
    for text, said in [
        ("x = 1", "checks.py:1: CHECKS: expected CHECKS = "),
        (
            "\nCHECKS = make()",
            'checks.py:2: CHECKS: expected CHECKS = {"name": CheckKind(...), ...}, found CHECKS = ma',
        ),
        ("def f(:", "checks.py:1: expected Python that can be loaded, found SyntaxError"),
        (f"CHECKS = {{f(): {KIND}}}", "CHECKS: expected a literal"),
        (f"CHECKS = {{1: {KIND}}}", "CHECKS: expected CHECKS = "),
        ("CHECKS = {'a': make()}", "CHECKS['a']: expected a CheckKind(...)"),
        ("CHECKS = {'a': GONE}", "CHECKS['a']: expected a CheckKind(...), found none"),
        ("CHECKS = {'a': CheckKind(kind='pass/fail')}", "expected a CheckKind with options, found none"),
        (
            f"CHECKS = {{'a': {KIND.replace('options={}', 'options=loads(x)')}}}",
            "CHECKS['a'].options: expected a literal",
        ),
        (f"CHECKS = {{'a': {KIND.replace('options={}', 'options=[]')}}}", "CHECKS['a'].options: expected dict"),
        (f"CHECKS = {{'a': {KIND.replace('options={}', 'options={1: 2}')}}}", "expected text as a key"),
        (f"CHECKS = {{'a': {KIND.replace('options={}', 'options={**[]}')}}}", "expected text as a key"),
        (f"CHECKS = {{'a': {KIND.replace('version=1', 'version=True')}}}", "CHECKS['a'].version: expected int"),
        (
            f"CHECKS = {{'a': {KIND.replace('pass/fail', 'maybe')}}}",
            "CHECKS['a'].kind: expected pass/fail or continuous",
        ),
        (f"CHECKS = {{'a': {KIND.replace('version=1', 'version=1, colour=2')}}}", "expected the parts of a CheckKind"),
        (f"CHECKS = {{'a': {KIND.replace('version=1', 'version=1, **more')}}}", "expected the parts of a CheckKind"),
        (f"A = {{'x': A}}\nCHECKS = {{'a': {KIND.replace('options={}', 'options=A')}}}", "expected a literal"),
        (f"A = B\nB = A\nCHECKS = {{'a': {KIND.replace('options={}', 'options=A')}}}", "expected a literal"),
    ]:
        assert said in refused(tmp_path, text)


def test_names_that_double_end_soon(tmp_path):
    doubles = "".join(f"A{n} = {{'l': A{n + 1}, 'r': A{n + 1}}}\n" for n in range(60)) + "A60 = {}\n"
    text = f"{doubles}CHECKS = {{'a': {KIND.replace('options={}', 'options=A0')}}}"
    assert "expected at most 100,000 parts, found more" in refused(tmp_path, text)


def test_a_long_chain_is_no_crash(tmp_path):
    chain = " | ".join(["{}"] * 20_000)
    assert "expected" in refused(tmp_path, f"CHECKS = {{'a': {KIND.replace('options={}', f'options={chain}')}}}")


def test_the_encoding_that_a_file_declares_is_the_one_that_is_read(tmp_path):
    path = tmp_path / "checks.py"
    path.write_bytes(f"# -*- coding: utf-7 -*-\n+AEMASABFAEMASwBT- = {{'a': {KIND}}}".encode())
    assert list(declared_kinds(path)) == ["a"]


def test_one_name_of_a_module(tmp_path):
    (tmp_path / "m.py").write_text(f"A = {KIND}")
    assert declared_kind(tmp_path / "m.py", "A").version == 1
    with pytest.raises(AuthoringError, match="name the module that defines it"):
        declared_kind(tmp_path / "m.py", "B")
