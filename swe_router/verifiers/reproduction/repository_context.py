"""What the repository shows of its own tests: the runner, and an existing test near the issue."""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from swe_router.seams import Sandbox
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.reproduction.single_run import RunMode
from swe_router.verifiers.start_state import StartStateFacts
from swe_router.verifiers.testing import runners

EXCERPT_LINES = 40
EXCERPT_BYTES = 3000
RUN_MODE_BY_RUNNER: dict[str, RunMode] = {
    "django": "django",
    "pytest": "pytest",
    "sympy": "module",
    "unittest": "module",
}
_COMMON_PATH_WORDS = frozenset({"test", "testing", "python", "unit"})
_DATA_FOLDER = re.compile(r"(\A|/)(examples?\w*|data|testdata|fixtures)/")
"""Folders whose tests are what other tests are made of."""
SOURCE_SUFFIXES = ("py", "js", "ts", "tsx", "go", "rs", "java", "rb", "php", "c", "cpp", "cc")
"""Suffixes of source files; of equally many the first counts."""
RUNNER_DESCRIPTIONS = {
    "django": "Django's own runner (tests/runtests.py, SQLite); the file is a module of the test"
    " app in whose folder it lies and uses django.test.TestCase or SimpleTestCase",
    "pytest": "pytest",
    "sympy": "plain functions named test_* with assert statements; pytest is not installed",
    "unittest": "unittest test cases; pytest is not installed",
    "": "plain functions named test_* with assert statements, standard library only",
}


@dataclass(frozen=True)
class RepositoryContext:
    """What a writer may see of the repository, and what a run needs to know of it."""

    runner: str
    python: str
    """Path of the interpreter inside the sandbox; empty when there is none."""
    base_files: tuple[str, ...]
    """Every file at the base commit."""
    example_path: str
    """Path of an existing test module; empty when there is none."""
    excerpt: str

    @property
    def can_run_written_test(self) -> bool:
        """Whether a written test could be run: a project of Python, with its interpreter."""
        languages = Counter(path.rpartition(".")[2] for path in self.base_files)
        most = max(SOURCE_SUFFIXES, key=lambda suffix: languages[suffix])
        return bool(self.python) and most == "py" and languages["py"] > 0

    @property
    def run_mode(self) -> RunMode:
        """How a test of this project is run."""
        return RUN_MODE_BY_RUNNER.get(self.runner, "module")

    @property
    def test_folder(self) -> str:
        """The folder in which a written test is put."""
        return posixpath.dirname(self.example_path)

    @property
    def runner_description(self) -> str:
        """The runner, in words."""
        return RUNNER_DESCRIPTIONS.get(self.runner, self.runner)


def read_repository(
    start: StartStateFacts, fresh_sandbox: Callable[[], Sandbox], problem: str
) -> RepositoryContext:
    """What a start state shows; ``fresh_sandbox`` is opened only to read an example."""
    chosen = runners.choose_runner(set(start.runner_facts))
    runner = chosen if start.python_path else ""
    tests = [path for path in start.files if _is_example_for(path, runner)]
    example = nearest_test_module(problem, tests)
    excerpt = _read_excerpt(fresh_sandbox(), example) if example else ""
    return RepositoryContext(runner, start.python_path, start.files, example, excerpt)


def nearest_test_module(problem: str, tests: Sequence[str]) -> str:
    """The test module whose path has most words of the issue, rare words first; or the first."""
    words = _path_words(problem)
    parts = {
        path: set(_path_words(path.removesuffix(".py"))) - _COMMON_PATH_WORDS for path in tests
    }
    often: dict[str, int] = {}
    for found in parts.values():
        for word in found:
            often[word] = often.get(word, 0) + 1
    counted = {word: words.count(word) for word in set(words)}

    def score(path: str) -> float:
        return sum(
            min(3, counted[word]) * math.log((1 + len(tests)) / often[word])
            for word in parts[path]
            if word in counted
        )

    return min(tests, key=lambda path: (-score(path), len(path), path), default="")


def _is_example_for(path: str, runner: str) -> bool:
    if not path_kinds.is_test_module(path) or _DATA_FOLDER.search(path):
        return False
    known = runners.RUNNERS.get(runner)
    if known is not None and not known.is_test_file(path):
        return False
    # Django's app is the folder: a module right under tests/ has none.
    return runner != "django" or path.count("/") >= 2


def _path_words(text: str) -> list[str]:
    """Words, those in camel case both whole and in parts."""
    found = []
    for word in re.findall(r"[A-Za-z]{3,}", text.replace("_", " ")):
        parts = re.findall(r"[A-Z]?[a-z]{2,}", word)
        found += [word.lower(), *(part.lower() for part in parts if len(parts) > 1)]
    return _singular(found)


def _singular(words: Iterable[str]) -> list[str]:
    return [word.removesuffix("s") if len(word) > 4 else word for word in words]


def _read_excerpt(sandbox: Sandbox, example: str) -> str:
    try:
        data = sandbox.read(example, limit=2_000_000)
    except (FileNotFoundError, ValueError):
        return ""
    lines = data[: 10 * EXCERPT_BYTES].decode("utf-8", "replace").splitlines()[:EXCERPT_LINES]
    return "\n".join(lines)[:EXCERPT_BYTES]
