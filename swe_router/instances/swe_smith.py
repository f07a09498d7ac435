"""SWE-smith: bugs made on purpose, each a branch of the repository in the project's image."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from swe_router.datasets import Row
from swe_router.errors import UsageError
from swe_router.instances.rowset import RowDataset, required_text
from swe_router.records import Instance

HUB = "SWE-bench/SWE-smith"
_PROJECT = re.compile(r"(?:swesmith/)?(.+?)__(.+)\.[0-9a-f]{8}")


class SweSmith(RowDataset):
    """SWE-smith, of which the rows with an issue text can be solved."""

    name = "swe-smith"
    grader = "swe-smith"
    marks = ("image_name", "repo")
    question = ("instance_id", "repo", "problem_statement", "image_name")

    @property
    def splits(self) -> Mapping[str, str]:
        """Its only split."""
        return {"smith": f"{HUB}@train"}

    def recognises(self, row: Row) -> bool:
        """Whether its repository is one that the data set's makers mirrored."""
        return bool(_PROJECT.fullmatch(str(row.get("repo") or "")))

    def instance(self, row: Row, label: str) -> Instance:
        """The issue; the work folder is set to the bug's branch before anybody works there.

        The repository's past is the answer: no base commit is named, so that the branch's state
        becomes the first commit of all.
        """
        name = row["instance_id"]
        match = _PROJECT.fullmatch(required_text(row, "repo", name, label))
        if match is None:
            raise UsageError(
                f"instance {name!r} of {label!r}: repo {row['repo']!r} is none of SWE-smith's"
                " (swesmith/OWNER__NAME.COMMIT)"
            )
        branch = shlex.quote(name)
        return Instance(
            id=name,
            repo=f"{match[1]}/{match[2]}",
            base_commit="",
            problem=required_text(row, "problem_statement", name, label),
            image=image_name(required_text(row, "image_name", name, label)),
            workdir="/testbed",
            setup=f"git checkout -q {branch} 2>/dev/null || git checkout -q origin/{branch}",
        )


def image_name(name: str) -> str:
    """The published name of an image; early rows have it without its owner."""
    return name if "/" in name else f"swebench/{name.replace('__', '_1776_')}".lower()
