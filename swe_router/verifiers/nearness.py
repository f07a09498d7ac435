"""Which existing tests lie near a change: by the graph, else by name."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

from swe_router.verifiers import paths


def nearest(
    changed: Sequence[str], known: Iterable[str], graph: Any, limit: int
) -> tuple[list[str], str]:
    """At most ``limit`` test files of ``known``, nearest first, and how they were found.

    ``known``: files that the runner can be pointed at.
    """
    modules = set(known)
    if graph is not None:
        found = [str(path) for path in graph.tests_reaching(list(changed), 4 * limit)]
        reached = [path for path in dict.fromkeys(found) if path in modules]
        if reached:
            # Stable: a module like pylint/testutils/lint_module_test.py is a helper, not a test.
            reached.sort(key=lambda path: not paths.is_test(posixpath.dirname(path) + "/x"))
            return reached[:limit], "graph"
    scored = [(max((likeness(c, test) for c in changed), default=0), test) for test in modules]
    near = sorted((-score, len(test), test) for score, test in scored if score > 0)
    return [test for _, _, test in near[:limit]], "name"


def likeness(source: str, test: str) -> int:
    """How alike a source file's and a test module's names are; 0 is not at all."""
    stem = posixpath.basename(source).split(".")[0].lower().strip("_")
    name = posixpath.basename(test).split(".")[0].lower()
    bare = name.removeprefix("unit").removeprefix("test_").removesuffix("_spec")
    bare = bare.removesuffix("tests").removesuffix("test").strip("_")
    folders = [part.lower() for part in posixpath.dirname(test).split("/")]
    own = [part.lower() for part in posixpath.dirname(source).split("/") if part]
    shared = sum(part in folders for part in own)
    if stem == bare:
        return 100 + shared
    if own and own[-1] in folders:
        return 80 + shared
    if stem in (*folders, *(folder.removesuffix("s") for folder in folders)):
        return 60 + shared
    if own and own[-1] == bare:
        return 40 + shared
    if len(stem) > 3 and stem in bare:
        return 20 + shared
    return 0
