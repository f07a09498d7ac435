"""Edits: exact in every byte they do not name, and refused with words that help."""

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.agents import edit_tool, tool_paths
from swe_router.agents.edit_tool import EditRefused
from swe_router.agents.search_tool import SearchTool
from swe_router.agents.toolbox import Toolbox
from swe_router.codegraph import python_syntax
from swe_router.records import ToolCall
from tests.doubles.agent import DictSearch, TempSandbox


def replaced(before: bytes, old: str, new: str, path: str = "a.txt") -> bytes:
    return edit_tool.apply_edit(path, before, {"action": "replace", "old": old, "new": new})


def inserted(before: bytes, line: int, new: str) -> bytes:
    return edit_tool.apply_edit("a.txt", before, {"action": "insert", "line": line, "new": new})


def refusal(before: bytes | None, path: str = "a.txt", **arguments) -> str:
    with pytest.raises(EditRefused) as caught:
        edit_tool.apply_edit(path, before, arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc\r\n", "b\nc\n", "x\ny\n", b"a\r\nx\r\ny\r\n"),
        (b"a\r\nb\r\n", "b", "x\ny", b"a\r\nx\r\ny\r\n"),
        (b"a\r\nb\nc\n", "b\nc", "x\ny", b"a\r\nx\ny\n"),
        (b"a\r\nb\nc\n", "a\nb\n", "x\ny\n", b"x\r\ny\r\nc\n"),
        (b"caf\xe9\nb\n", "b", "\u00e9", b"caf\xe9\n\xc3\xa9\n"),
        (b"caf\xe9\n", "f\udce9", "fe", b"cafe\n"),
        (b"a\nlast", "last\n", "end\n", b"a\nend"),
        (b"x = f(1)\n", "f(1\n", "g(1\n", b"x = g(1)\n"),
        (b"a\nb\nc\n", "b\n", "", b"a\nc\n"),
        (b"\x00\x01b\x02", "b", "c", b"\x00\x01c\x02"),
        (b"\xef\xbb\xbfa\n", "a", "b", b"\xef\xbb\xbfb\n"),
    ],
)
def test_replace_keeps_line_ends_bytes_and_the_missing_newline(before, old, new, after):
    assert replaced(before, old, new) == after


@pytest.mark.parametrize(
    ("before", "line", "new", "after"),
    [
        (b"a\nb\n", 0, "x", b"x\na\nb\n"),
        (b"a\nb\n", 1, "x\n", b"a\nx\nb\n"),
        (b"a\nb\n", 2, "x", b"a\nb\nx\n"),
        (b"a\nb", 2, "x\n", b"a\nb\nx"),
        (b"a\r\nb\r\n", 1, "x\ny", b"a\r\nx\r\ny\r\nb\r\n"),
        (b"", 0, "x", b"x\n"),
        (b"a\x0cb\xe9\nc\n", 1, "x", b"a\x0cb\xe9\nx\nc\n"),
    ],
)
def test_insert_puts_whole_lines_after_a_line(before, line, new, after):
    assert inserted(before, line, new) == after


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40), st.binary(min_size=1, max_size=8), st.binary(max_size=40), st.text())
def test_replace_touches_nothing_around_a_unique_text(head, old, tail, new):
    before, shown = head + old + tail, old.decode("utf-8", "surrogateescape")
    unique = sum(before.startswith(old, at) for at in range(len(before))) == 1
    if b"\n" in before or b"\r" in new.encode() or not unique or new == shown:
        return
    assert replaced(before, shown, new) == head + new.encode() + tail


def test_a_text_that_is_not_unique_names_its_lines():
    said = refusal(b"a\nb\na\nb\na\n", action="replace", old="a", new="x")
    assert "occurs 3 times in a.txt, at lines 1, 3, 5" in said
    assert "occurs 2 times" in refusal(b"aaa", action="replace", old="aa", new="x")


def test_a_text_that_is_absent_shows_the_nearest_lines():
    before = b"import os\n\ndef run(self, value):\n        return value\n"
    old = "def run(self, value):\n    return value\n"
    said = refusal(before, action="replace", old=old, new="x")
    assert "does not occur" in said
    assert "     4         return value" in said
    said = refusal(before, action="replace", old="def run(self, valeu):", new="x")
    assert "     3 def run(self, value):" in said
    assert "no line of it is like" in refusal(before, action="replace", old="%%%%%", new="x")
    assert "empty" in refusal(b"", action="replace", old="a", new="b")
    assert "blanks" in refusal(b"a\n", action="replace", old="\t", new="b")


@pytest.mark.parametrize(
    ("before", "arguments", "tells"),
    [
        (b"a\n", {"action": "create", "new": "b"}, "not empty (1 lines)"),
        (None, {"action": "create"}, "needs the argument new"),
        (None, {"action": "replace", "old": "a", "new": "b"}, "use action create"),
        (b"a", {"action": "replace", "new": "b"}, "needs the argument old"),
        (b"a", {"action": "replace", "old": "", "new": "b"}, "old is empty"),
        (b"a", {"action": "replace", "old": "a", "new": "a"}, "nothing would change"),
        (b"a", {"action": "replace", "old": "a", "new": "\ud800"}, "surrogate"),
        (b"a\n", {"action": "insert", "new": "b"}, "needs the argument line"),
        (b"a\n", {"action": "insert", "line": 2, "new": "b"}, "from 0 to 1"),
        (b"a\n", {"action": "insert", "line": -1, "new": "b"}, "from 0 to 1"),
        (b"a\n", {"action": "insert", "line": 1, "new": ""}, "nothing would change"),
    ],
)
def test_impossible_edits_say_what_to_do(before, arguments, tells):
    assert tells in refusal(before, **arguments)


def test_create_writes_exactly_what_is_given_also_over_an_empty_file():
    for before in (None, b""):
        arguments = {"action": "create", "new": "a\r\nb"}
        assert edit_tool.apply_edit("a.txt", before, arguments) == b"a\r\nb"


def test_an_edit_that_adds_a_syntax_error_is_refused_with_the_place():
    before = b"def f():\n    return 1\n"
    arguments = {"action": "replace", "old": "return 1", "new": "return (1"}
    said = refusal(before, "m.py", **arguments)
    assert "syntax error at line 2, column" in said
    assert "     2     return (1" in said
    assert edit_tool.apply_edit("m.txt", before, arguments) == b"def f():\n    return (1\n"
    said = refusal(before, "m.py", action="replace", old="    return", new="return")
    assert "line 2" in said
    assert "line 1" in refusal(None, "m.py", action="create", new="def f(:\n    pass\n")


def test_a_file_that_was_broken_before_may_be_edited():
    after = replaced(b"def f(:\n    return 1\n", "return 1", "return 2", "m.py")
    assert after == b"def f(:\n    return 2\n"


@pytest.mark.parametrize(
    "source",
    [
        b"print 'x'\nexec 'a' in b\n",
        b"try:\n    x\nexcept E, e:\n    raise E, 'x'\n",
        b"type X = int\n",
        b"f'{a[\"b\"]!r:>{w}}'\n",
        b"match x:\n    case {'a': 1}: pass\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"def f():\r\n    return 1\r\n",
        b"x = '\\d'\n",
        b"",
    ],
)
def test_syntax_of_any_version_is_syntax(source):
    assert python_syntax.syntax_errors(source, "m.py") == []


@pytest.mark.parametrize(
    ("source", "line"),
    [(b"x = 1\ny = (\n", 2), (b"def f():\nx = 1\n", 2), (b"if x:\n    a\n  b\n", 3), (b"a b\n", 1)],
)
def test_syntax_errors_have_a_line_and_a_column(source, line):
    places = python_syntax.syntax_errors(source, "m.pyi")
    assert places[0][0] == line
    assert places[0][1] >= 1


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "/testbedx/a", "a/../../x", "", " ", "a\nb"]
)
def test_paths_outside_are_refused(path):
    with pytest.raises(EditRefused):
        tool_paths.relative_path(path, "/testbed")


@pytest.mark.parametrize("path", [".git/config", "sub/.git/hooks/x", "/testbed/.GIT/HEAD", ".git"])
def test_git_itself_is_refused(path):
    with pytest.raises(EditRefused, match="git"):
        tool_paths.relative_path(path, "/testbed")


def test_paths_inside_are_told_from_the_root():
    assert tool_paths.relative_path("/testbed/a/./b.py", "/testbed") == "a/b.py"
    assert tool_paths.relative_path("//testbed/a", "/testbed") == "a"
    assert tool_paths.relative_path("a/../.gitignore", "/testbed") == ".gitignore"
    assert tool_paths.relative_path("/testbed/", "/testbed") == "."


@pytest.fixture
def sandbox(tmp_path):
    return TempSandbox(tmp_path, {"run.sh": b"#!/bin/sh\necho a\n", ".git/config": b"[core]\n"})


def toolbox(sandbox, search=None):
    lookup = SearchTool(sandbox, search, base="", limit=20, timeout=10)
    return Toolbox(
        sandbox=sandbox,
        lookup=lookup,
        clock=lambda: 0.0,
        remaining=lambda: float("inf"),
        command_timeout=5,
        command_timeout_max=9,
        observation_bytes=4000,
    )


def do(sandbox, name, search=None, **arguments):
    call = ToolCall(id="1", name=name, arguments=arguments)
    return toolbox(sandbox, search).carry_out(call).observation


def test_an_edit_shows_its_lines_keeps_the_mode_and_tells_the_search(sandbox):
    Path(sandbox.tree / "run.sh").chmod(0o755)
    search = DictSearch()
    said = do(
        sandbox,
        "edit",
        search,
        action="replace",
        path="/testbed/run.sh",
        old="echo a",
        new="echo b",
    )
    assert said == "Edited run.sh. It now reads:\n     1 #!/bin/sh\n     2 echo b"
    assert stat.S_IMODE((sandbox.tree / "run.sh").stat().st_mode) == 0o755
    assert search.files_known == {"run.sh": b"#!/bin/sh\necho b\n"}


def test_new_folders_are_made(sandbox):
    assert do(sandbox, "edit", action="create", path="a/b c/d'.py", new="x = 1\n").startswith(
        "Created"
    )
    assert (sandbox.tree / "a/b c/d'.py").read_bytes() == b"x = 1\n"


def test_links_that_lead_out_or_into_git_are_not_followed(sandbox, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"a")
    (sandbox.tree / "out").symlink_to(outside)
    (sandbox.tree / "dangling").symlink_to(tmp_path / "new.txt")
    (sandbox.tree / "up").symlink_to(tmp_path)
    (sandbox.tree / "g").symlink_to(".git")
    for path in ("out", "dangling", "up/new.txt", "g/config"):
        said = do(sandbox, "edit", action="create", path=path, new="b")
        assert "outside the source" in said, path
    assert outside.read_bytes() == b"a"
    assert not (tmp_path / "new.txt").exists()


def test_a_folder_and_a_huge_file_are_no_files_to_edit(sandbox):
    sandbox.write("/testbed/big.txt", b"a" * 2_000_001)
    (sandbox.tree / "folder").mkdir()
    assert "is a folder" in do(sandbox, "edit", action="create", path="folder", new="b")
    assert "too large" in do(sandbox, "edit", action="insert", path="big.txt", line=0, new="b")


def test_a_command_tells_its_exit_code_and_a_timeout_that_all_was_killed(sandbox):
    assert do(sandbox, "bash", command="echo hi; exit 3") == "hi\n[exit code 3]"
    assert do(sandbox, "bash", command="true") == "(no output)\n[exit code 0]"
    said = do(sandbox, "bash", command="echo begun; sleep 90", timeout=1.0)
    assert said.startswith("begun")
    assert "timed out after 1 s" in said
    assert "killed" in said
    do(sandbox, "bash", command="true", timeout=10_000)
    assert sandbox.timeouts[-1] == 9
    assert "more than 0" in do(sandbox, "bash", command="true", timeout=0)
    assert "empty" in do(sandbox, "bash", command="  ")


def test_output_is_shown_head_and_tail_and_can_always_be_sent(sandbox):
    said = do(sandbox, "bash", command="echo first; yes 0123456789 | head -n 2000; echo last")
    assert said.startswith("first")
    assert said.endswith("last\n[exit code 0]")
    assert len(said) < 4200
    assert "bytes left out" in said
    assert do(sandbox, "bash", command=r"printf '\000'").startswith("\ufffd")
