"""The search back-end: what is found, how it is cut, and that no pattern hangs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swe_router.codegraph import regex_process
from swe_router.codegraph.graph import CodeGraph, build_graph
from swe_router.codegraph.search import GraphSearch
from tests.unit.test_codegraph import PROJECT, commit


@pytest.fixture
def indexed(tmp_path: Path) -> tuple[Path, CodeGraph]:
    extra = {
        "README.md": "Cart (a+b) costs\n",
        "logo.bin": b"Cart\0\0",
        "bad.txt": b"caf\xe9 Cart\n",
    }
    repo, sha = commit(tmp_path, {**PROJECT, **extra})
    return repo, build_graph(repo, sha)


@pytest.fixture
def search(indexed: tuple[Path, CodeGraph]) -> GraphSearch:
    return GraphSearch(*indexed, workdir="/testbed", seconds=60.0)


def test_plain_text_is_not_a_regex(search: GraphSearch) -> None:
    assert search.text("(a+b)", regex=False, path="", limit=9) == "README.md:1: Cart (a+b) costs"


def test_text_skips_binary_and_shows_bytes_that_are_no_utf8(search: GraphSearch) -> None:
    found = search.text("Cart", regex=False, path="", limit=99)
    assert "logo.bin" not in found
    assert "bad.txt:1: caf\ufffd Cart" in found


@pytest.mark.parametrize("path", ["shop", "/testbed/shop/", "./shop", "shop/*.py", "shop/cart.py"])
def test_paths_are_relative_to_the_project(search: GraphSearch, path: str) -> None:
    found = search.text(r"def \w+\(self, n\)", regex=True, path=path, limit=9)
    assert found == "shop/cart.py:7:     def add(self, n):"


def test_an_unknown_path_is_said(search: GraphSearch) -> None:
    assert search.text("x", regex=False, path="nowhere", limit=9) == "No file at 'nowhere'."


@pytest.mark.parametrize("regex", [True, False])
def test_what_is_left_out_is_counted(search: GraphSearch, regex: bool) -> None:
    found = search.text("def", regex=regex, path="shop", limit=2).splitlines()
    assert len(found) == 3
    assert found[-1] == "(4 more matching lines left out; narrow the search)"


@pytest.mark.parametrize("pattern", ["(", "*a", "[z-a]", r"(?P<1>x)", "a{99999999999}"])
def test_a_bad_regex_is_a_message(search: GraphSearch, pattern: str) -> None:
    assert search.text(pattern, regex=True, path="", limit=9).startswith("Bad regular expression")


def test_a_runaway_regex_is_cut_off_and_keeps_what_it_found(
    indexed: tuple[Path, CodeGraph],
) -> None:
    for seconds in (0.25, 2.0, 16.0, 60.0):  # a busy machine may not even begin in the first
        search = GraphSearch(*indexed, workdir="/testbed", seconds=seconds)
        search.changed("aa.txt", b"found\n" + b"a" * 200 + b"!\n")
        found = search.text(r"found|^(a+)+$", regex=True, path="", limit=9)
        assert f"stopped after {seconds:g} s" in found
        if found.startswith("aa.txt:1:"):
            break
    assert found.splitlines()[0] == "aa.txt:1: found"


def test_files_by_glob_name_and_part(search: GraphSearch) -> None:
    both = "tests/test_cart.py\ntests/test_money.py\ntests/test_other.py"
    assert search.files("test_*.py", limit=9) == both
    assert search.files("/testbed/tests/**/*.py", limit=9) == both
    assert search.files("MONEY", limit=9) == "shop/money.py\ntests/test_money.py"
    assert search.files("*.py", limit=1).endswith("(6 more left out; narrow the pattern)")


def test_definitions_and_references_with_their_lines(search: GraphSearch) -> None:
    shown = search.symbol("Cart.total", kind="definition", limit=9)
    assert shown == "shop/cart.py:5:     def total(self):"
    uses = search.symbol("helper", kind="reference", limit=9)
    assert uses == "shop/cart.py:8:         return helper(n)"
    assert search.symbol("nope", kind="definition", limit=9) == "No definition of 'nope' found."


def test_references_leave_strings_and_comments_out(search: GraphSearch) -> None:
    search.changed("new.py", b"# helper\nx = 'helper'\nhelper2 = 1\ny = helper\n")
    uses = search.symbol("helper", kind="reference", limit=9).splitlines()
    assert uses[0] == "new.py:4: y = helper"
    assert len(uses) == 2


def test_the_agents_changes_are_seen(search: GraphSearch) -> None:
    search.changed("/testbed/shop/money.py", b"\n\ndef convert(n):\n    return fresh(n)\n")
    assert search.symbol("convert", kind="definition", limit=9).startswith("shop/money.py:3:")
    assert "return fresh(n)" in search.text("fresh", regex=False, path="", limit=9)
    search.changed("shop/money.py", None)
    assert search.symbol("convert", kind="definition", limit=9).startswith("No definition")
    assert "shop/money.py" not in search.files("money", limit=9).splitlines()
    search.changed("shop/new.py", b"def (((")
    assert "shop/new.py" in search.files("new", limit=9)


def test_long_lines_are_cut_around_the_match(search: GraphSearch) -> None:
    search.changed("min.js", b"x" * 5000 + b"needle" + b"y" * 5000)
    shown = search.text("needle", regex=False, path="min.js", limit=9)
    assert "needle" in shown
    assert len(shown) < 400


def test_the_search_process_caps_its_hits_and_its_lines_and_counts_the_others() -> None:
    """The program by itself, as the search starts it but for the flags of its interpreter."""
    contents = {"a.txt": b"one\r\ntwo\none more\n", "b.txt": b"xxxxxxxxxxone\none\n"}
    head = {
        "pattern": "one$", "limit": 1, "cap": 8,
        "files": [[path, len(content)] for path, content in contents.items()],
    }  # fmt: skip
    job = json.dumps(head).encode() + b"\n" + b"".join(contents.values())
    program = [sys.executable, regex_process.__file__]
    done = subprocess.run(program, input=job, capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [["a.txt", 1, "one\r"], {"more": 1}]
