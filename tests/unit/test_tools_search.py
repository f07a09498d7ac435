"""Search: by the graph, kept in step with what commands change, or by plain find."""

import subprocess

import pytest

from swe_router.agents import tools
from swe_router.agents.edit_tool import EditRefused
from swe_router.agents.search_tool import SearchTool
from swe_router.records import ToolCall
from tests.doubles.agent import DictSearch, TempSandbox

FILES = {
    "pkg/calc.py": b"""class Calc:
    async def add(self, a):
        return add_all(a)

LIMIT = 3
""",
    "pkg/data.bin": b"\x00add\x00",
    "tests/test_calc.py": b"from pkg.calc import Calc\n\ncalc = Calc().add(1)\n",
    ".git/add": b"add\n",
}


@pytest.fixture
def sandbox(tmp_path):
    return TempSandbox(tmp_path, FILES)


def plain(sandbox, query, kind="text", limit=20, **more):
    lookup = SearchTool(sandbox, None, base="", limit=limit, timeout=10)
    return lookup.search({"query": query, "kind": kind, **more})


def test_plain_search_finds_text_in_order_and_leaves_git_out(sandbox):
    found = plain(sandbox, "Calc()")
    assert found == "tests/test_calc.py:3:calc = Calc().add(1)"
    assert ".git" not in plain(sandbox, "add")
    assert plain(sandbox, "add_all", path="pkg") == "pkg/calc.py:3:        return add_all(a)"
    assert plain(sandbox, "add_all", path="/testbed/tests") == "Nothing found for 'add_all' (text)."
    assert plain(sandbox, "-n") == "Nothing found for '-n' (text)."


def test_plain_search_knows_the_other_kinds(sandbox):
    assert plain(sandbox, r"a[d]+_all", "regex").startswith("pkg/calc.py:3:")
    assert plain(sandbox, "CALC", "files") == "pkg/calc.py\ntests/test_calc.py"
    assert plain(sandbox, "test_*.py", "files") == "tests/test_calc.py"
    assert plain(sandbox, "pkg/*.py", "files") == "pkg/calc.py"
    assert plain(sandbox, "add", "definition") == "pkg/calc.py:2:    async def add(self, a):"
    assert plain(sandbox, "Calc.add", "definition").startswith("pkg/calc.py:2:")
    assert plain(sandbox, "LIMIT", "definition") == "pkg/calc.py:5:LIMIT = 3"
    assert "add_all" not in plain(sandbox, "add", "reference").replace("add(self", "")


def test_plain_search_says_when_there_is_more(sandbox):
    sandbox.write("/testbed/many.txt", b"word\n" * 50)
    found = plain(sandbox, "word", limit=5).splitlines()
    assert len(found) == 6
    assert "more than 5 lines" in found[-1]


@pytest.mark.parametrize(
    ("query", "kind", "path"),
    [("(", "regex", ""), (" ", "text", ""), ("a", "text", "/etc"), ("a", "text", ".git")],
)
def test_bad_searches_are_refused_with_words(sandbox, query, kind, path):
    with pytest.raises(EditRefused):
        plain(sandbox, query, kind, path=path)


def git(sandbox, *words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        cwd=sandbox.tree,
        check=True,
        capture_output=True,
    )


def test_what_commands_change_is_known_to_the_next_search(tmp_path):
    sandbox, graph = TempSandbox(tmp_path, {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}), DictSearch()
    git(sandbox, "init", "-q")
    git(sandbox, "add", "-A")
    git(sandbox, "commit", "-qm", "start")
    base = sandbox.run("git rev-parse HEAD", timeout=9).output.strip()
    lookup = SearchTool(sandbox, graph, base=base, limit=20, timeout=10)
    sandbox.ran.clear()

    assert lookup.search({"query": "zeta"}).startswith("Nothing found")
    assert sandbox.ran == [], "nothing changed, so nothing is asked"

    lookup.ran_command()
    sandbox.run("echo zeta > 'n w.py'; echo zeta >> a.py; git rm -q b.py", timeout=9)
    git(sandbox, "commit", "-qam", "hidden in a commit")
    assert lookup.search({"query": "zeta"}) == "a.py: zeta\nn w.py: zeta"
    assert graph.files_known["b.py"] is None

    told = len(graph.told)
    lookup.ran_command()
    lookup.search({"query": "zeta"})
    assert len(graph.told) == told, "what is known is not told again"

    lookup.ran_command()
    sandbox.run(f"git checkout -q {base} -- a.py; rm 'n w.py'", timeout=9)
    assert lookup.search({"query": "zeta"}).startswith("Nothing found")
    assert graph.files_known["a.py"] == b"a = 1\n"
    assert graph.files_known["n w.py"] is None


def test_a_deleted_git_folder_is_told_and_does_not_break_the_search(tmp_path):
    lookup = SearchTool(TempSandbox(tmp_path), DictSearch(), base="f" * 40, limit=20, timeout=10)
    lookup.ran_command()
    found = lookup.search({"query": "calc", "kind": "definition"})
    assert found.startswith("definition calc\n(git is broken")


def check(name, **arguments):
    offered = tools.tool_specs(("search", "edit", "bash", "submit"))
    return tools.checked_call(ToolCall(id="1", name=name, arguments=arguments), offered)


def test_arguments_are_brought_into_their_types():
    assert check("bash", command="ls", timeout="30").arguments == {"command": "ls", "timeout": 30.0}
    fitted = check("edit", action=" insert ", path="a", line="3", new=5, old=None)
    assert fitted.arguments == {"action": "insert", "path": "a", "line": 3, "new": "5"}
    assert check("edit", action="insert", path="a", line=2.0, new="").arguments["line"] == 2


@pytest.mark.parametrize(
    ("name", "arguments", "tells"),
    [
        ("bsh", {}, "Did you mean bash?"),
        ("bash", {}, "bash needs the argument command."),
        ("bash", {"command": ["ls"]}, "command must be a text, not list."),
        ("bash", {"command": True}, "not bool"),
        ("bash", {"command": "ls", "timeout": "soon"}, "timeout must be a number"),
        ("bash", {"command": "ls", "timeout": True}, "timeout must be a number"),
        ("bash", {"command": "ls", "timeout": 10**400}, "timeout must be a number"),
        ("bash", {"comand": "ls"}, "Did you mean command?"),
        ("edit", {"action": "delete", "path": "a"}, "one of create, replace, insert"),
        ("edit", {"action": "insert", "path": "a", "line": 1.5}, "whole number"),
        ("search", {"query": "a", "kind": "txt"}, "Did you mean text?"),
        ("submit", {"patch": "x"}, "its arguments are: none"),
    ],
)
def test_arguments_that_do_not_fit_are_corrected(name, arguments, tells):
    assert tells in check(name, **arguments).error
