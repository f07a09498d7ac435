"""SWE-bench Pro: long issues with requirements and an interface; the project lies at /app."""

from __future__ import annotations

from collections.abc import Mapping

from swe_router.datasets import Row
from swe_router.instances.rowset import RowDataset, checked_commit, optional_text, required_text
from swe_router.records import Instance

HUB = "ScaleAI/SWE-bench_Pro"
IMAGES = "jefzda/sweap-images"
MAX_TAG = 128
"""Characters of a Docker tag."""
SPELLED_OUT = "instance_element-hq__element-web-ec0f940ef0e8e3b61078f145f34dc40d1938e6c5-vnan"
"""The one instance of its project whose image has the project's whole name."""


class SwebenchPro(RowDataset):
    """The public instances of SWE-bench Pro."""

    name = "swe-bench-pro"
    grader = "swe-bench-pro"
    marks = ("requirements", "interface", "dockerhub_tag")
    question = (
        *("instance_id", "repo", "base_commit", "problem_statement", "requirements"),
        *("interface", "repo_language", "dockerhub_tag"),
    )

    @property
    def splits(self) -> Mapping[str, str]:
        """Its only split."""
        return {"pro": f"{HUB}@test"}

    def instance(self, row: Row, label: str) -> Instance:
        """The issue with its two sections, worded as in the data set's own problem statements."""
        name = row["instance_id"]
        repo = required_text(row, "repo", name, label)
        problem = required_text(row, "problem_statement", name, label)
        problem += f"\n\nRequirements:\n{optional_text(row, 'requirements')}"
        problem += f"\n\nNew interfaces introduced:\n{optional_text(row, 'interface')}"
        tag = optional_text(row, "dockerhub_tag") or image_tag(name, repo)
        return Instance(
            id=name,
            repo=repo,
            base_commit=checked_commit(row, "base_commit", name, label),
            problem=problem,
            image=f"{IMAGES}:{tag}",
            workdir="/app",
            language=optional_text(row, "repo_language").lower(),
        )


def image_tag(instance_id: str, repo: str) -> str:
    """The tag of an instance's image, for rows that name none."""
    owner, _, project = repo.lower().partition("/")
    rest = instance_id.replace("instance_", "")
    if instance_id != SPELLED_OUT:
        rest = rest.removesuffix("-vnan")
        if (owner, project) == ("element-hq", "element-web"):
            project = "element"
    return f"{owner}.{project}-{rest}"[:MAX_TAG]
