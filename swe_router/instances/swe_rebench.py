"""SWE-rebench V2: issues of many languages, each with an interface; the project lies at /NAME."""

from __future__ import annotations

from collections.abc import Mapping

from swe_router.datasets import Row
from swe_router.instances.rowset import (
    RowDataset,
    checked_commit,
    optional_text,
    required_text,
    with_sections,
)
from swe_router.records import Instance

HUB = "nebius/SWE-rebench-V2"


class SweRebench(RowDataset):
    """SWE-rebench V2."""

    name = "swe-rebench"
    grader = "swe-rebench"
    marks = ("install_config", "interface", "language")
    question = (
        *("instance_id", "repo", "base_commit", "problem_statement"),
        *("interface", "language", "image_name"),
    )

    @property
    def splits(self) -> Mapping[str, str]:
        """Its only split."""
        return {"rebench": f"{HUB}@train"}

    def instance(self, row: Row, label: str) -> Instance:
        """The issue with its interface, which the hidden tests take for granted."""
        name = row["instance_id"]
        repo = required_text(row, "repo", name, label)
        problem = required_text(row, "problem_statement", name, label)
        return Instance(
            id=name,
            repo=repo,
            base_commit=checked_commit(row, "base_commit", name, label),
            problem=with_sections(problem, {"Interface": optional_text(row, "interface")}),
            image=optional_text(row, "image_name"),
            workdir=f"/{repo.rpartition('/')[2]}",
            language=optional_text(row, "language").lower(),
        )
