"""SWE-bench Multimodal: issues that show pictures; otherwise rows as SWE-bench's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.datasets import Row
from swe_router.instances.rowset import parsed_text
from swe_router.instances.swebench import HARNESS, SweBench
from swe_router.records import Instance

HUB = "SWE-bench/SWE-bench_Multimodal"


class SwebenchMultimodal(SweBench):
    """SWE-bench Multimodal, dev and test."""

    name = "swe-bench-multimodal"
    grader = "swe-bench-multimodal"
    marks = (*HARNESS, "image_assets")
    question = (*SweBench.question, "image_assets")

    @property
    def splits(self) -> Mapping[str, str]:
        """The official splits."""
        return {"multimodal": f"{HUB}@test", "multimodal-dev": f"{HUB}@dev"}

    def instance(self, row: Row, label: str) -> Instance:
        """The question of one row with the pictures of its issue.

        ``image_assets`` lists the pictures of patch and tests too: they stay where they are. The
        tests run in a browser that loads from the network.
        """
        made = super().instance(row, label)
        images = _shown(row.get("image_assets"))
        return made.model_copy(update={"images": images, "network": ("*",), "language": "js"})


def _shown(assets: Any) -> tuple[str, ...]:
    """Addresses of the pictures: texts or objects, in an object or in a text that spells one."""
    if isinstance(assets, str):
        assets = parsed_text(assets)
    listed = assets.get("problem_statement") if isinstance(assets, Mapping) else None
    found = (one.get("url") if isinstance(one, Mapping) else one for one in listed or [])
    return tuple(one for one in found if isinstance(one, str) and one)
