"""A file with a few bytes that no grammar takes loses these, and not its definitions."""

from __future__ import annotations

import time

import pytest

from swe_router.codegraph import syntax
from swe_router.codegraph.facts import MAX_BROKEN_BYTES, extract
from swe_router.codegraph.grammar import PYTHON, grammar_of

MANY = "".join(f"def f{n}(x):\n    return g{n}(x) + {n}\n\n\n" for n in range(900))
DEFAULTS = (
    "def one[T = int](x: T) -> T:\n    return x\n",
    "class Two[T: int = bool, *Ts = *tuple[int]]:\n    def inner(self): pass\n",
    "type Three[T = int] = list[T]\n",
    "def four[**P = [int]](x):\n    pass\n",
)


def names(content: bytes, grammar=PYTHON) -> set[str]:
    found = extract(content, grammar)
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
    assert extract(b"\x7fELF\0\0\0" * 50, PYTHON).problem == "binary"
    assert extract(MANY.encode("utf-16"), PYTHON).problem == "binary"


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
        assert syntax.errors(text.encode(), "m.py") == []
    assert syntax.errors(b"def f[T = int](x: T -> T:\n    return x\n", "m.py")
    assert syntax.errors(b"x: list[int int] = 1\n", "m.py")
