"""Whether a name that only the hidden tests have turns up in what verifiers say they saw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from swe_router.datasets import SupportsHiddenTests
from swe_router.errors import UsageError
from swe_router.grading import graders
from swe_router.grading.gold import Gold
from swe_router.instances.rows import Hub

_ADDED = re.compile(r"^([+-])\s*(?:async\s+)?(?:def|func|function|fn)\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class HiddenTestSearch:
    """What was looked for and where it was found."""

    instances: int
    """Instances whose hidden tests have a name of their own."""
    names: int
    found: tuple[tuple[str, str], ...]
    """(instance id, place) of each text that holds such a name."""


def search_hidden_tests(
    split: str,
    texts: Mapping[str, Mapping[str, str]],
    *,
    dataset_reader: str = "",
    hub: Hub | None = None,
) -> HiddenTestSearch:
    """Look for each instance's hidden test names in its texts: instance id -> place -> text.

    Sought are the functions that the test patch adds and the answer key lists as FAIL_TO_PASS: at
    the base commit they do not exist, so no honest run of tests there can name them. A model may
    choose the same name by itself, which a reader of the place must judge. Names themselves are
    not given out. Raises ``UsageError`` for a split that cannot be read.
    """
    grader = graders.reading_grader(split, dataset_reader, hub=hub)
    if not isinstance(grader, SupportsHiddenTests):
        raise UsageError(f"the grader of {split!r} does not know which tests are hidden")
    names = {name: own for name in texts if (own := grader.hidden_tests(name))}
    found = [
        (instance, place)
        for instance, own in names.items()
        for place, text in texts[instance].items()
        if any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) for one in own)
    ]
    return HiddenTestSearch(len(names), sum(len(own) for own in names.values()), tuple(found))


def new_tests(gold: Gold) -> frozenset[str]:
    """Functions of FAIL_TO_PASS that the test patch adds and does not move."""
    marks: dict[str, set[str]] = {}
    for sign, name in _ADDED.findall(gold.test_patch):
        marks.setdefault(name, set()).add(sign)
    listed = {_bare(name) for name in gold.fail_to_pass}
    return frozenset(name for name, signs in marks.items() if signs == {"+"} and name in listed)


def _bare(test: str) -> str:
    """``test_x`` of ``t.py::TestA::test_x[1]``, ``test_x (app.tests.TestA)`` or ``test_x``."""
    last = test.rsplit("::", maxsplit=1)[-1]
    return re.split(r"\[| \(", last, maxsplit=1)[0].strip()
