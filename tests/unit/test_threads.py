"""What two threads of this process do at once does not change what either of them is told."""

from __future__ import annotations

import ast
import gc
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import swe_router
from swe_router.codegraph.python_syntax import syntax_errors
from swe_router.silent_warnings import no_warnings
from tests.doubles.sources import nodes
from tests.unit.test_codegraph import commit

PACKAGE = Path(swe_router.__file__).parent

CALLS = b"x = [" + b", ".join(b"f(a, b.c[%d])" % n for n in range(300)) + b"]\n"
SECONDS = 10.0
"""For a thread that would wait for ever if it were wrong."""


@contextmanager
def broken_into(other: Callable[[], object]) -> Iterator[list[Any]]:
    """``other`` is called in another thread whenever this one collects garbage, which is often."""
    mine, said = threading.get_ident(), []

    def break_in(phase: str, info: object) -> None:
        if phase == "start" and threading.get_ident() == mine and len(said) < 50:
            thread = threading.Thread(target=lambda: said.append(other()))
            thread.start()
            thread.join(0.2)  # it may be waiting for a lock of this thread's

    before = gc.get_threshold()
    gc.callbacks.append(break_in)
    gc.set_threshold(20)
    try:
        yield said
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(break_in)


def test_a_source_that_is_parsed_while_another_thread_parses_is_told_right() -> None:
    """Python 3.11's ``ast.parse`` ends in a SystemError then."""

    def deep(number: int) -> list[tuple[int, int]]:
        return deep(number - 1) if number else syntax_errors(b"y = f(x)\n", "b.py")

    with broken_into(lambda: deep(7)) as said:
        for _ in range(20):
            assert syntax_errors(CALLS, "a.py") == []
    assert said
    assert all(one == [] for one in said)


def test_warnings_are_as_they_were_when_the_last_of_two_threads_is_done() -> None:
    inside, leave = threading.Event(), threading.Event()

    def second() -> None:
        with no_warnings():
            inside.set()
            leave.wait(SECONDS)

    before = list(warnings.filters)
    thread = threading.Thread(target=second)
    with no_warnings():
        thread.start()
        assert inside.wait(SECONDS)
    assert warnings.filters[0][0] == "ignore", "the other thread is to be left in peace"
    leave.set()
    thread.join(SECONDS)
    assert list(warnings.filters) == before


WAITED_FOR_ALONE = {
    "commands/run/notifier.py": "the user's hook, at the end",
    "commands/run/own_issue_file.py": "asks git for a repository, before a run",
    "codegraph/repo_building.py": "asks a server, before a run",
    "grading/official.py": "asks Docker; the evaluation itself is in a group of its own",
    "instances/rows.py": "asks the hub, before a run",
    "serving/cards.py": "asks the driver of the GPUs, before a server",
    "serving/guard.py": "lists processes, in a session of its own",
    "sandboxes/local.py": "tries the walls, before a run",
}
"""Where a child may hear of a Ctrl-C: the main thread waits for it, and hears of it too."""


def test_no_child_that_a_thread_waits_for_hears_of_a_ctrl_c() -> None:
    """A terminal sends it to the whole group: what git or a search said would be cut short."""
    starts = [
        (path.relative_to(PACKAGE).as_posix(), node.lineno)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run", "Popen")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "subprocess"
        and not any(given.arg == "start_new_session" for given in node.keywords)
        and not path.name.startswith(
            ("failure_recorder", "import_probe", "result_recorder")
        )  # run in sandboxes
    ]
    assert {name for name, _ in starts} == set(WAITED_FOR_ALONE), starts


def test_a_ctrl_c_at_a_terminal_does_not_reach_git(tmp_path: Path) -> None:
    """Its end by a signal was taken for a broken repository, and a paid step lost its results."""
    repo, sha = commit(tmp_path, {"a.py": "x = 1\n"})
    tools, seen = tmp_path / "bin", tmp_path / "groups"
    tools.mkdir()
    real = shutil.which("git")
    wrapper = f'#!/bin/sh\ncut -d" " -f5 /proc/$$/stat >>{seen}\nexec {real} "$@"\n'
    (tools / "git").write_text(wrapper)
    (tools / "git").chmod(0o755)
    script = (
        "import os, sys, git\n"
        "from pathlib import Path\n"
        "from swe_router.codegraph.graph import build_graph\n"
        "from swe_router.codegraph.commits import past_commits\n"
        "from swe_router.codegraph.search import GraphSearch\n"
        "repo, sha = Path(sys.argv[1]), sys.argv[2]\n"
        "print(os.getpgrp())\n"
        "Path(sys.argv[3]).write_text('')\n"  # GitPython asks for git's version when it is loaded
        "GraphSearch(repo, build_graph(repo, sha)).text('x', regex=False, path='', limit=1)\n"
        "past_commits(repo, sha)\n"
    )
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    words = [sys.executable, "-c", script, str(repo), sha, str(seen)]
    said = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    groups = seen.read_text().split()
    assert len(groups) > 2
    assert said.strip() not in groups
