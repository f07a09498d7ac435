"""Search: by the graph, kept in step with what commands change, or by plain find."""

import subprocess

import pytest

from swe_router.agents import tools
from swe_router.agents.edit_tool import EditRefused
from swe_router.agents.search_tool import Lookup
from swe_router.records import ToolCall
from tests.doubles.agent import DictSearch, TempBox

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
def box(tmp_path):
    return TempBox(tmp_path, FILES)


def plain(box, query, kind="text", limit=20, **more):
    lookup = Lookup(box, None, base="", limit=limit, timeout=10)
    return lookup.search({"query": query, "kind": kind, **more})


def test_plain_search_finds_text_in_order_and_leaves_git_out(box):
    found = plain(box, "Calc()")
    assert found == "tests/test_calc.py:3:calc = Calc().add(1)"
    assert ".git" not in plain(box, "add")
    assert plain(box, "add_all", path="pkg") == "pkg/calc.py:3:        return add_all(a)"
    assert plain(box, "add_all", path="/testbed/tests") == "Nothing found for 'add_all' (text)."
    assert plain(box, "-n") == "Nothing found for '-n' (text)."


def test_plain_search_knows_the_other_kinds(box):
    assert plain(box, r"a[d]+_all", "regex").startswith("pkg/calc.py:3:")
    assert plain(box, "CALC", "files") == "pkg/calc.py\ntests/test_calc.py"
    assert plain(box, "test_*.py", "files") == "tests/test_calc.py"
    assert plain(box, "pkg/*.py", "files") == "pkg/calc.py"
    assert plain(box, "add", "definition") == "pkg/calc.py:2:    async def add(self, a):"
    assert plain(box, "Calc.add", "definition").startswith("pkg/calc.py:2:")
    assert plain(box, "LIMIT", "definition") == "pkg/calc.py:5:LIMIT = 3"
    assert "add_all" not in plain(box, "add", "reference").replace("add(self", "")


def test_plain_search_says_when_there_is_more(box):
    box.write("/testbed/many.txt", b"word\n" * 50)
    found = plain(box, "word", limit=5).splitlines()
    assert len(found) == 6
    assert "more than 5 lines" in found[-1]


@pytest.mark.parametrize(
    ("query", "kind", "path"),
    [("(", "regex", ""), (" ", "text", ""), ("a", "text", "/etc"), ("a", "text", ".git")],
)
def test_bad_searches_are_refused_with_words(box, query, kind, path):
    with pytest.raises(EditRefused):
        plain(box, query, kind, path=path)


def git(box, *words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        cwd=box.tree,
        check=True,
        capture_output=True,
    )


def test_what_commands_change_is_known_to_the_next_search(tmp_path):
    box, graph = TempBox(tmp_path, {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}), DictSearch()
    git(box, "init", "-q")
    git(box, "add", "-A")
    git(box, "commit", "-qm", "start")
    base = box.run("git rev-parse HEAD", timeout=9).output.strip()
    lookup = Lookup(box, graph, base=base, limit=20, timeout=10)
    box.ran.clear()

    assert lookup.search({"query": "zeta"}).startswith("Nothing found")
    assert box.ran == [], "nothing changed, so nothing is asked"

    lookup.ran_command()
    box.run("echo zeta > 'n w.py'; echo zeta >> a.py; git rm -q b.py", timeout=9)
    git(box, "commit", "-qam", "hidden in a commit")
    assert lookup.search({"query": "zeta"}) == "a.py: zeta\nn w.py: zeta"
    assert graph.files_known["b.py"] is None

    told = len(graph.told)
    lookup.ran_command()
    lookup.search({"query": "zeta"})
    assert len(graph.told) == told, "what is known is not told again"

    lookup.ran_command()
    box.run(f"git checkout -q {base} -- a.py; rm 'n w.py'", timeout=9)
    assert lookup.search({"query": "zeta"}).startswith("Nothing found")
    assert graph.files_known["a.py"] == b"a = 1\n"
    assert graph.files_known["n w.py"] is None


def test_a_deleted_git_folder_is_told_and_does_not_break_the_search(tmp_path):
    lookup = Lookup(TempBox(tmp_path), DictSearch(), base="f" * 40, limit=20, timeout=10)
    lookup.ran_command()
    found = lookup.search({"query": "calc", "kind": "definition"})
    assert found.startswith("definition calc\n(git is broken")


def check(name, **arguments):
    offered = tools.specs(("search", "edit", "bash", "submit"))
    return tools.checked(ToolCall(id="1", name=name, arguments=arguments), offered)


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
