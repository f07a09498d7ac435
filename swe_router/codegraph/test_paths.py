"""What a path says of its file: test, or not."""

from __future__ import annotations

import re
from functools import lru_cache

_TEST_FOLDERS = frozenset({"test", "tests", "testing", "__tests__"})
_TEST_FILE = re.compile(
    r"^(test_.*|.*_test|.*_tests|tests?|conftest)\.[a-z]+$|\.(test|spec)\.[a-z]+$"
    r"|^[a-z].*_spec\.rb$|^[A-Z]\w*Tests?\.(java|php)$"
)
_NOT_RUN = re.compile(r"^(__init__|conftest)\.")


@lru_cache(maxsize=65536)
def is_test(path: str) -> bool:
    """The file is test code, helpers included.

    ``django/test`` is a product: below the top, a ``test`` or ``testing`` folder says nothing.
    """
    folders, name = path.split("/")[:-1], path.rpartition("/")[2]
    if _TEST_FILE.search(name):
        return True
    if "/src/test/" in f"/{path}":  # Maven and Gradle
        return True
    return any(folder in ("tests", "__tests__") for folder in folders) or (
        bool(folders) and folders[0] in _TEST_FOLDERS
    )


def is_runnable_test(path: str) -> bool:
    """A test file that a test runner would collect, rather than a helper or a fixture."""
    name = path.rpartition("/")[2]
    if not is_test(path) or _NOT_RUN.match(name):
        return False
    return bool(_TEST_FILE.search(name))


def tested_name(path: str) -> str:
    """The name that a test file is about: ``foo`` of ``test_foo.py`` or ``foo_test.py``."""
    stem = path.rpartition("/")[2].split(".")[0]
    return stem.removeprefix("test_").removesuffix("_tests").removesuffix("_test")
