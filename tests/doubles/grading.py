"""What a grading of a file of SWE-bench rows is called with, over a backend of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.datasets import GradingContext
from swe_router.grading.swebench import SweBenchGrader
from swe_router.instances import sources
from swe_router.records import Instance


def grading(split: str, backend: Any) -> tuple[Mapping[str, Instance], SweBenchGrader]:
    """Instances by id, and the grader of SWE-bench in front of ``backend``."""
    origin = sources.locate_split(split)
    context = GradingContext(label=split, rows=origin.any_rows, path=origin.path)
    found = {one.id: one for one in origin.instances()}
    return found, SweBenchGrader(context, backend=backend)
