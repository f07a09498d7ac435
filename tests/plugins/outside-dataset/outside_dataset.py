"""A data set and its grader from another package, in one file: other columns, another folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_router.datasets import GradingContext, Source
from swe_router.records import Grade, Instance, patch_digest


class Stories:
    """Rows with ``story``, ``project`` and ``code_commit``."""

    name = "outside-dataset"
    grader = "outside-grader"
    marks = ("story", "code_commit")
    question = ("story_id", "story", "project", "code_commit")
    splits: Mapping[str, str] = {}

    def load(self, source: Source) -> Sequence[Instance]:
        return [
            Instance(
                id=row["story_id"],
                repo=row["project"],
                base_commit=row["code_commit"],
                problem=row["story"],
                suite=source.label,
                dataset=self.name,
                workdir="/home/project",
                language="text",
            )
            for row in source.rows(self.question)
        ]


class FileGrader:
    """Resolved when the file that the answer names holds what the answer says."""

    answers = ("wanted_file", "wanted_text")

    def __init__(self, context: GradingContext) -> None:
        self.context = context

    def grade(self, instance: Instance, patch: str) -> Grade:
        rows = self.context.rows(("story_id", *self.answers))
        (row,) = (one for one in rows if one["story_id"] == instance.id)
        assert self.context.open is not None
        with self.context.open(instance) as sandbox:
            sandbox.write("change.diff", patch.encode())
            applied = sandbox.run("git apply change.diff", timeout=self.context.timeout)
            found = sandbox.run(f"cat {row['wanted_file']}", timeout=self.context.timeout)
        right = applied.exit_code == 0 and found.output.strip() == row["wanted_text"]
        return Grade(
            instance_id=instance.id,
            outcome="resolved" if right else "unresolved",
            evidence={"outside-grader": found.output.strip()},
            patch=patch_digest(patch),
        )

    def close(self) -> None:
        """Nothing runs on."""
