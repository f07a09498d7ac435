"""SWE-bench-Live: fresh issues, with the commands that test them in the row; at /testbed."""

from __future__ import annotations

from collections.abc import Mapping

from swe_router.datasets import Row
from swe_router.errors import UsageError
from swe_router.instances.rowset import RowDataset, checked_commit, optional_text, required_text
from swe_router.records import Instance

PYTHON, MULTILANG = "SWE-bench-Live/SWE-bench-Live", "SWE-bench-Live/MultiLang"
LANGUAGES = ("c", "cpp", "csharp", "go", "java", "js", "rust", "ts")
"""Splits of MultiLang; the hub says which of them are there."""


class SwebenchLive(RowDataset):
    """SWE-bench-Live (Lite, Verified, Full) and its MultiLang rows for Linux."""

    name = "swe-bench-live"
    grader = "swe-bench-live"
    marks = ("test_cmds", "log_parser")
    question = ("instance_id", "repo", "base_commit", "problem_statement", "docker_image")

    @property
    def splits(self) -> Mapping[str, str]:
        """The frozen splits, the growing ones, and MultiLang by language."""
        python = {name: f"{PYTHON}@{name}" for name in ("lite", "verified", "full", "test")}
        languages = {f"multilang-{name}": f"{MULTILANG}@{name}" for name in LANGUAGES}
        return {f"live-{name}": place for name, place in {**python, **languages}.items()}

    def instance(self, row: Row, label: str) -> Instance:
        """The question of one row; its image by the data set's rule where the row names none.

        Raises ``UsageError`` for an issue of Windows: its containers do not run on Linux.
        """
        name = row["instance_id"]
        image = optional_text(row, "docker_image") or default_image(name)
        if ".win." in image:
            raise UsageError(f"instance {name!r} of {label!r} is an issue of Windows: not run here")
        _, _, language = label.partition("multilang-")
        return Instance(
            id=name,
            repo=required_text(row, "repo", name, label),
            base_commit=checked_commit(row, "base_commit", name, label),
            problem=required_text(row, "problem_statement", name, label),
            image=image,
            workdir="/testbed",
            language=language,
        )


def default_image(instance_id: str) -> str:
    """The image of an instance, for rows that name none."""
    return f"starryzhang/sweb.eval.x86_64.{instance_id.replace('__', '_1776_').lower()}"
