"""The graph of a commit: what is linked, what is skipped, what is cached."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import git
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.codegraph.fact_store import FactStore
from swe_router.codegraph.file_facts import MAX_BYTES, FileFacts, extract_facts
from swe_router.codegraph.git_objects import GitObjects, RepoError
from swe_router.codegraph.grammar import PYTHON
from swe_router.codegraph.graph import CodeGraph, build_graph

PROJECT: Mapping[str, str] = {
    "shop/__init__.py": "from .cart import Cart\n",
    "shop/cart.py": (
        "from shop import money\n"
        "from .base import Base\n"
        "RATE = 2\n"
        "class Cart(Base):\n"
        "    def total(self):\n"
        "        return self.add(money.convert(1)) + super().price()\n"
        "    def add(self, n):\n"
        "        return helper(n)\n"
        "def helper(n):\n"
        "    def inner():\n"
        "        return n\n"
        "    return inner()\n"
    ),
    "shop/base.py": "class Base:\n    def price(self):\n        return 1\n",
    "shop/money.py": "def convert(n):\n    return round(n)\n",
    "tests/test_cart.py": "import shop\ndef test_total():\n    assert shop.Cart().total()\n",
    "tests/test_money.py": "from shop.money import convert\ndef test_it():\n    convert(2)\n",
    "tests/test_other.py": "def test_nothing():\n    pass\n",
}


def commit(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Path, str]:
    """Write files into a repository (made if need be), commit all, give its path and commit."""
    if not (folder / ".git").exists():
        git.Repo.init(folder).close()
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", *who, "commit", "-qm", "work"], cwd=folder, check=True)
    with git.Repo(folder) as repo:
        return folder, repo.head.commit.hexsha


@pytest.fixture
def graph(tmp_path: Path) -> CodeGraph:
    return build_graph(*commit(tmp_path, PROJECT))


def edges(graph: CodeGraph, kind: str) -> set[tuple[str, str]]:
    return {(a, b) for a, b, k in graph.nx.edges(data="kind") if k == kind}


def test_calls_resolve_through_self_super_imports_and_scopes(graph: CodeGraph) -> None:
    assert edges(graph, "call") == {
        ("shop/cart.py::Cart.total", "shop/cart.py::Cart.add"),
        ("shop/cart.py::Cart.total", "shop/money.py::convert"),
        ("shop/cart.py::Cart.total", "shop/base.py::Base.price"),
        ("shop/cart.py::Cart.add", "shop/cart.py::helper"),
        ("shop/cart.py::helper", "shop/cart.py::helper.inner"),
        ("tests/test_cart.py::test_total", "shop/cart.py::Cart"),
        ("tests/test_money.py::test_it", "shop/money.py::convert"),
    } - {("shop/cart.py::helper", "shop/cart.py::helper.inner")}  # its edge is `define` already
    assert edges(graph, "inherit") == {("shop/cart.py::Cart", "shop/base.py::Base")}


def test_imports_reach_definitions_through_a_re_export(graph: CodeGraph) -> None:
    found = edges(graph, "import")
    assert ("module:shop/__init__.py", "shop/cart.py::Cart") in found
    assert ("module:shop/cart.py", "module:shop/money.py") in found
    assert ("module:tests/test_cart.py", "module:shop/__init__.py") in found


def test_covers_edges_go_from_tests_to_sources_only(graph: CodeGraph) -> None:
    assert edges(graph, "test-covers") == {
        ("tests/test_cart.py", "shop/__init__.py"),
        ("tests/test_cart.py", "shop/cart.py"),
        ("tests/test_money.py", "shop/money.py"),
    }


def test_tests_reaching_puts_direct_importers_first_and_leaves_strangers_out(
    graph: CodeGraph,
) -> None:
    assert graph.tests_reaching(["shop/money.py"]) == ["tests/test_money.py", "tests/test_cart.py"]
    assert graph.tests_reaching(["shop/base.py"]) == ["tests/test_cart.py"]
    assert graph.tests_reaching(["shop/money.py"], limit=1) == ["tests/test_money.py"]
    assert graph.tests_reaching(["README.md"]) == []


def test_definitions_by_bare_qualified_and_module_name(graph: CodeGraph) -> None:
    [place] = graph.definitions("Cart.total")
    assert (place.path, place.line, place.kind) == ("shop/cart.py", 5, "function")
    assert graph.definitions("total") == [place]
    assert graph.definitions("shop.cart.Cart.total") == [place]
    assert [p.kind for p in graph.definitions("RATE")] == ["variable"]
    assert graph.definitions("nowhere.Cart") == []


def test_awkward_files_are_counted_and_never_crash(tmp_path: Path) -> None:
    files = {
        "good.py": "def ok():\n    pass\n",
        "broken.py": "def half(:\n  ][\nclass Whole:\n    pass\n",
        "latin.py": "# caf\xe9\nx = 1\n".encode("latin-1"),
        "binary.py": b"x = 1\0\0",
        "huge.py": "x = 1\n" * (MAX_BYTES // 6 + 1),
        "data.json": "{}",
        "empty.py": "",
    }
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "link.py").symlink_to("good.py")
    folder, _ = commit(tmp_path / "w", files)
    sub = f"160000,{'1' * 40},vendored"
    subprocess.run(["git", "update-index", "--add", "--cacheinfo", sub], cwd=folder, check=True)
    repo = git.Repo(folder)
    who = git.Actor("a", "a@b.c")
    tree = repo.git.write_tree()
    head = git.Commit.create_from_tree(repo, tree, "sub", author=who, committer=who).hexsha
    graph = build_graph(folder, head)
    assert graph.skipped == dict.fromkeys(
        ["binary", "encoding", "large", "submodule", "symlink", "syntax"], 1
    )
    assert graph.files == ("broken.py", "empty.py", "good.py", "latin.py")
    assert graph.definitions("ok")


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_give_facts(content: bytes) -> None:
    facts = extract_facts(content, PYTHON)
    for call in facts.calls:
        assert -1 <= call.scope < len(facts.definitions)


@pytest.mark.parametrize(
    "source",
    [
        "from a import *\n",
        "from . import *\nfrom .. import x\n",
        "import a.b.c as d, e\n",
        "class A(A): pass\nA.x()\n",
        "class A(B): pass\nclass B(A):\n    def f(self): self.g()\n",
    ],
)
def test_circles_and_odd_imports_end(tmp_path: Path, source: str) -> None:
    files = {"p/__init__.py": "from .a import *\n", "p/a.py": source, "a.py": "from p import *\n"}
    assert build_graph(*commit(tmp_path, files)).files == ("a.py", "p/__init__.py", "p/a.py")


def test_next_commit_parses_only_what_changed(tmp_path: Path) -> None:
    repo, first = commit(tmp_path / "r", PROJECT)
    store = FactStore(tmp_path / "facts.sqlite")
    build_graph(repo, first, store)
    with sqlite3.connect(tmp_path / "facts.sqlite") as db:
        before = {row[0] for row in db.execute("SELECT key FROM facts")}
    _, second = commit(repo, {"shop/money.py": "def convert(n):\n    return 3\n"})
    cached = build_graph(repo, second, store)
    with sqlite3.connect(tmp_path / "facts.sqlite") as db:
        added = {row[0] for row in db.execute("SELECT key FROM facts")} - before
    assert len(added) == 1
    fresh = build_graph(repo, second)
    assert cached.facts == fresh.facts
    assert list(cached.nx.edges(data=True)) == list(fresh.nx.edges(data=True))


@pytest.mark.parametrize("damage", [b"", b"not a database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_store_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    repo, sha = commit(tmp_path / "r", PROJECT)
    (tmp_path / "facts.sqlite").write_bytes(damage)
    store = FactStore(tmp_path / "facts.sqlite")
    expected = build_graph(repo, sha).facts
    assert build_graph(repo, sha, store).facts == expected
    store.close()
    again = FactStore(tmp_path / "facts.sqlite")
    assert build_graph(repo, sha, again).facts == expected


def test_a_store_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    repo, sha = commit(tmp_path / "r", PROJECT)
    (tmp_path / "file").write_text("")
    assert build_graph(repo, sha, FactStore(tmp_path / "file" / "facts.sqlite")).files


def test_the_commit_decides_not_the_work_tree(tmp_path: Path) -> None:
    repo, sha = commit(tmp_path, PROJECT)
    (repo / "shop" / "money.py").write_text("def other(): pass\n")
    assert build_graph(repo, sha).definitions("convert")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="not a git repository"):
        GitObjects(tmp_path)
    repo, _ = commit(tmp_path, PROJECT)
    with pytest.raises(RepoError, match="ls-tree failed"):
        build_graph(repo, "f" * 40)
    with pytest.raises(RepoError, match="is not a commit"):
        build_graph(repo, "--output=x")


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    repo, sha = commit(tmp_path, {"a.py": "x = 1\n"})
    [entry] = GitObjects(repo).tree(sha)
    with pytest.raises(RepoError, match="cannot be read"):
        list(GitObjects(repo).blobs([entry.sha, "e" * 40]))


def test_names_with_odd_bytes_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"od\xff d\n.py")
    repo, sha = commit(tmp_path, {name: "def f(): pass\n"})
    assert build_graph(repo, sha).files == (name,)


@pytest.mark.parametrize("source", [b"(" * 40_000, b"a()" + b".b()" * 100_000, b"f(" * 20_000])
def test_hostile_sources_end_soon(source: bytes) -> None:
    start = time.process_time()
    extract_facts(source, PYTHON)
    assert time.process_time() - start < 3


STEPS: tuple[Mapping[str, str | None], ...] = (
    {"shop/money.py": "def convert(n):\n    return 3\n"},
    {"shop/money.py": "def other(n):\n    return 3\n"},
    {"shop/base.py": "class Base:\n    def helper(self):\n        return self.price()\n"},
    {"shop/more.py": "def convert(n):\n    pass\n", "shop/money.py": "from .more import *\n"},
    {"shop/cart.py": "from .base import Base\nclass Cart(Base):\n    pass\n"},
    {"shop/__init__.py": "from .cart import Cart as Basket\n"},
    {"shop/base.py": None, "shop/base/__init__.py": "class Base:\n    def price(self): pass\n"},
    {"tests/money.py": "def convert(n):\n    pass\n", "tests/__init__.py": ""},
    {"shop/__init__.py": None},
    dict(PROJECT),
)


def test_a_graph_begun_from_another_is_the_same_as_one_made_afresh() -> None:
    def facts_of(files: Mapping[str, str]) -> dict[str, FileFacts]:
        return {path: extract_facts(text.encode(), PYTHON) for path, text in files.items()}

    files = dict(PROJECT)
    graph = CodeGraph(facts_of(files), {}, "0")
    for step, change in enumerate(STEPS):
        for path, text in change.items():
            files.pop(path, None) if text is None else files.update({path: text})
        facts = facts_of(files)
        graph, fresh = CodeGraph(facts, {}, str(step), graph), CodeGraph(facts, {}, str(step))
        assert list(graph.nx.nodes(data=True)) == list(fresh.nx.nodes(data=True))
        assert list(graph.nx.edges(data=True)) == list(fresh.nx.edges(data=True))
        for node in fresh.nx:
            assert list(graph.nx.pred[node]) == list(fresh.nx.pred[node])


def test_a_changed_body_links_one_file_again_and_a_changed_name_those_that_use_it() -> None:
    facts = {path: extract_facts(text.encode(), PYTHON) for path, text in PROJECT.items()}
    graph = CodeGraph(facts, {}, "0")
    body = extract_facts(b"def convert(n):\n\n    return other(n)\n", PYTHON)
    gone = extract_facts(b"def converted(n):\n    pass\n", PYTHON)
    assert CodeGraph({**facts, "shop/money.py": body}, {}, "1", graph).links.relinked == 1
    # itself, the cart that calls it, the test that imports it
    assert CodeGraph({**facts, "shop/money.py": gone}, {}, "1", graph).links.relinked == 3


def test_a_parameter_or_local_hides_a_function_of_the_same_name() -> None:
    source = (
        b"def run(): pass\n"
        b"def a(run): run()\n"
        b"def b():\n    run = 1\n    run()\n"
        b"def c(x: run, y=2): run()\n"
    )
    graph = CodeGraph({"m.py": extract_facts(source, PYTHON)}, {}, "0")
    assert edges(graph, "call") == {("m.py::c", "m.py::run")}


def test_deep_star_imports_and_circular_bases_end_soon() -> None:
    stars = "".join(f"from m{i} import *\n" for i in range(40))
    files = {f"m{i}.py": f"{stars}class C{i}(C{(i + 1) % 40}, C{i}.D): pass\nmissing()\n"
             for i in range(40)}  # fmt: skip
    facts = {path: extract_facts(text.encode(), PYTHON) for path, text in files.items()}
    start = time.process_time()
    CodeGraph(facts, {}, "0")
    assert time.process_time() - start < 2
