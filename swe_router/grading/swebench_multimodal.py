"""SWE-bench Multimodal: the official harness, which fetches the tests' pictures."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.datasets import may_reach
from swe_router.grading.swebench import SweBenchGrader
from swe_router.records import Grade, Instance, patch_digest


class SwebenchMultimodalGrader(SweBenchGrader):
    """As SWE-bench, where the network is allowed; else no verdict, with the reason."""

    answers: Sequence[str] = tuple(one for one in SweBenchGrader.answers if one != "image_assets")

    def grade(self, instance: Instance, patch: str) -> Grade:
        """See ``datasets.Grader``."""
        reason = may_reach(instance.network, self._context.network)
        if reason:
            return Grade(
                instance_id=instance.id,
                outcome="ungraded",
                evidence={"reason": reason},
                patch=patch_digest(patch),
            )
        return super().grade(instance, patch)
