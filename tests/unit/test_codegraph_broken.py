"""A file with a few bytes that no grammar takes loses these, and not its definitions."""

from __future__ import annotations

import time

import pytest

from swe_router.codegraph import python_syntax
from swe_router.codegraph.file_facts import MAX_BROKEN_BYTES, extract_facts
from swe_router.codegraph.grammar import PYTHON, grammar_of

MANY = "".join(f"def f{n}(x):\n    return g{n}(x) + {n}\n\n\n" for n in range(900))
DEFAULTS = (
    "def one[T = int](x: T) -> T:\n    return x\n",
    "class Two[T: int = bool, *Ts = *tuple[int]]:\n    def inner(self): pass\n",
    "type Three[T = int] = list[T]\n",
    "def four[**P = [int]](x):\n    pass\n",
)


def names(content: bytes, grammar=PYTHON) -> set[str]:
    found = extract_facts(content, grammar)
    assert found.problem in ("syntax", "nul", "encoding")
    return {one.name for one in found.definitions if one.kind != "variable"}


@pytest.mark.parametrize("place", [0, 450, 900])
@pytest.mark.parametrize("odd", [*DEFAULTS, "x = = 1\n", "print 'a' 'b' if\n", 'S = "a\0b"\n'])
def test_one_slip_in_a_large_module_costs_no_definition_outside_it(odd, place):
    lines = MANY.split("def ")
    text = "def ".join(lines[: place + 1]) + odd + "def " + "def ".join(lines[place + 1 :])
    found = names((text if place < 900 else MANY + odd).encode())
    assert len(MANY) > MAX_BROKEN_BYTES
    assert {f"f{n}" for n in range(900)} <= found
    if odd == DEFAULTS[0]:
        assert "one" in found


def test_bytes_that_are_no_utf_8_cost_nothing():
    text = f'# caf\xe9\n{MANY}\ndef last():\n    return "\xe9"\n'.encode("latin-1")
    assert {"f0", "f899", "last"} <= names(text)


def test_what_is_no_text_is_still_binary():
    assert extract_facts(b"\x7fELF\0\0\0" * 50, PYTHON).problem == "binary"
    assert extract_facts(MANY.encode("utf-16"), PYTHON).problem == "binary"


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.js", "function f{n}(x) {{ return x + {n}; }}\n", "let = = ;\n"),
        ("a.go", "func f{n}(x int) int {{ return x + {n} }}\n", "var x = = 1\n"),
        ("a.java", "class f{n} {{ int g(int x) {{ return x; }} }}\n", "int = = 1;\n"),
        ("a.rb", "def f{n}(x)\n  x + {n} + 1\nend\n", "x = = 1\n"),
    ],
)
def test_other_languages_keep_what_stands_around_a_slip(path, good, bad):
    grammar = grammar_of(path)
    half = "".join(good.format(n=n) for n in range(600))
    rest = "".join(good.format(n=n) for n in range(600, 1200))
    text = (half + bad + rest).encode()
    assert len(text) > MAX_BROKEN_BYTES
    found = names(text, grammar)
    missing = [n for n in range(1200) if f"f{n}" not in found]
    assert len(missing) <= 2, "those beside the slip at most"


def test_a_huge_broken_stretch_is_told_in_time_and_keeps_what_stands_whole_around_it():
    junk = "".join(f"( [ {{ a{n} : = ) ]\n" for n in range(5000))
    text = (MANY[:20_000] + junk).encode()
    begun = time.process_time()
    found = names(text)
    assert time.process_time() - begun < 20
    assert "f5" in found


def test_a_default_of_a_type_parameter_is_no_syntax_error_to_who_edits():
    for text in DEFAULTS:
        assert python_syntax.syntax_errors(text.encode(), "m.py") == []
    assert python_syntax.syntax_errors(b"def f[T = int](x: T -> T:\n    return x\n", "m.py")
    assert python_syntax.syntax_errors(b"x: list[int int] = 1\n", "m.py")


@pytest.mark.parametrize("slip", [
    "foo(1, 2\n", "x = [1,\n", "x = {\n", "cdef int g(int x) except -1:\n    return x\n",
])  # fmt: skip
@pytest.mark.parametrize("within", ["", "class Outer:\n"])
def test_a_bracket_that_is_never_closed_swallows_no_definition_behind_it(slip, within):
    good = [f"def f{n}(x):\n    return g{n}(x)\n\n" for n in range(60)]
    inside = "".join([*good[:30], slip, *good[30:]])
    if within:
        inside = within + "".join(f"    {line}\n" if line else "\n" for line in inside.split("\n"))
    text = f"{inside}\n\ndef last():\n    pass\n"
    found = extract_facts(text.encode(), PYTHON)
    told = {one.name: one.line for one in found.definitions if one.kind != "variable"}
    assert found.problem == "syntax"
    missing = [n for n in range(60) if f"Outer.f{n}" not in told and f"f{n}" not in told]
    assert len(missing) <= 1, "that beside the slip at most"
    rows = text.split("\n")
    assert all(f"def {name.split('.')[-1]}" in rows[line - 1] for name, line in told.items()
               if name.split(".")[-1] in ("f0", "f45", "f59", "last"))  # fmt: skip
    assert "cdef" in slip or "last" in told


@pytest.mark.parametrize("slip", ["foo(1,\n", "let a = `x${\n", "let r = /[/;\n", "<<<<<<< A\n"])
def test_a_slip_in_javascript_swallows_no_function_behind_it(slip):
    good = [f"function f{n}(x) {{\n  return g(x) + {n};\n}}\n\n" for n in range(60)]
    text = "".join([*good[:30], slip, *good[30:]])
    found = {one.name for one in extract_facts(text.encode(), grammar_of("a.js")).definitions}
    assert len({f"f{n}" for n in range(60)} - found) <= 1


def test_what_a_text_says_is_no_definition_that_was_swallowed():
    inside = 'S = """\ndef not_one():\n    pass\n"""\n\nx = = 1\n\ndef one():\n    pass\n'
    told = {one.name for one in extract_facts(inside.encode(), PYTHON).definitions}
    assert "one" in told
    assert "not_one" not in told
