"""The only thing of an evaluation script that may leave this room: which runner it calls, and how.

Every word is one of a list written down here, so nothing of the row's own (a path, a test, a
package) can pass; what is not on the list is left out.
"""

from __future__ import annotations

import functools
import itertools
import re
import shlex

from swe_router.datasets import Grader, SupportsRunner
from swe_router.errors import UsageError
from swe_router.grading import graders
from swe_router.grading.gold import Gold

START, END = ">>>>> Start Test Output", ">>>>> End Test Output"
PROGRAMS: dict[str, str] = {
    "pytest": "pytest",
    "py.test": "pytest",
    "./tests/runtests.py": "django-runtests",
    "tests/runtests.py": "django-runtests",
    "bin/test": "sympy-test",
    "tox": "tox",
    **{name: name for name in ("go", "cargo", "npx", "npm", "yarn", "pnpm", "bundle", "ruby")},
    **{name: name for name in ("mvn", "gradle", "php", "ctest", "cmake", "make", "node")},
    **{name: name for name in ("jest", "vitest", "mocha", "rspec", "rake", "phpunit")},
    "./mvnw": "mvnw",
    "./gradlew": "gradlew",
    "vendor/bin/phpunit": "phpunit",
    "./vendor/bin/phpunit": "phpunit",
}
"""Program as it is called -> how it is named outside: without its folder."""
_SETTING = re.compile(r"\w+=")
_PYTHON = re.compile(r"\Apython[0-9.]*\Z")
_MODULES = frozenset({"pytest", "unittest"})
WORDS = frozenset(
    {
        *("-C", "--verbose", "-v", "-vv", "-x", "-q", "-rA", "-ra", "--tb=no", "--tb=short"),
        *("--verbosity", "--settings=test_sqlite", "--parallel", "1", "2"),
        *("--current-env", "-epy36", "-epy37", "-epy38", "-epy39", "-epy310", "-epy311"),
        *("--no-header", "-json", "--no-fail-fast", "--verbose", "-count=1"),
        *("test", "run", "exec", "check"),
        "PYTHONWARNINGS=ignore::UserWarning,ignore::SyntaxWarning",
    }
)


def runner_command_of(gold: Gold) -> str:
    """The test command of the row's script without any file or test, as ``pytest -rA``.

    One line a command, only those that call a runner that is known here; empty when there is
    none. Install lines stand outside of the test section and are not read.
    """
    section = gold.eval_script.partition(START)[2].partition(END)[0]
    lines = (_bare(line) for line in section.splitlines()[1:])
    return "\n".join(dict.fromkeys(line for line in lines if line))


def runner_name(gold: Gold) -> str:
    """Name of the runner in ``verifiers.runners.RUNNERS``; empty where it is none of them."""
    words = runner_command_of(gold).split()
    for word, runner in _NAMES.items():
        if word in words:
            return runner
    return ""


@functools.cache
def _grader(split: str, dataset_reader: str) -> Grader | None:
    """A grader that reads the answer key, or None where there is none.

    A split that can be solved and not graded is no error here: nobody asked for grades.
    """
    try:
        return graders.reading_grader(split, dataset_reader)
    except UsageError:
        return None


def runner_hint(split: str, instance_id: str, dataset_reader: str = "") -> str:
    """``name`` for an instance of a split, read once per process; empty where it is not known."""
    grader = _grader(split, dataset_reader)
    try:
        return grader.runner(instance_id) if isinstance(grader, SupportsRunner) else ""
    except UsageError:
        return ""


_NAMES = {
    "django-runtests": "django",
    "sympy-test": "sympy",
    "tox": "pytest",
    "unittest": "unittest",
    "pytest": "pytest",
    **{name: name for name in ("vitest", "jest", "mocha", "rspec", "phpunit", "go", "cargo")},
    "mvnw": "mvnw",
    "mvn": "maven",
    "gradlew": "gradle",
    "ctest": "ctest",
}


def _bare(line: str) -> str:
    try:
        words = shlex.split(line)
    except ValueError:
        return ""
    settings = list(itertools.takewhile(_SETTING.match, words))
    words = words[len(settings) :]
    if words and _PYTHON.match(words[0]):
        # Only a module that is run says more than that Python is.
        found = [word for word in words[2:3] if words[1] == "-m" and word in _MODULES]
        program, rest = [f"python -m {word}" for word in found], words[3:]
    else:
        program, rest = [PROGRAMS[word] for word in words[:1] if word in PROGRAMS], words[1:]
    if not program:
        return ""
    inner = [PROGRAMS[word] for word in rest if word in PROGRAMS][:1]
    kept = [word for word in (*settings, *rest) if word in WORDS]
    return " ".join([*program, *inner, *kept])
