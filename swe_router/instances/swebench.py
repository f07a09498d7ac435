"""SWE-bench: the rows of swebench 5.x, which hold image and evaluation script themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_router import assets
from swe_router.datasets import Row
from swe_router.instances.rowset import RowDataset, checked_commit, required_text
from swe_router.records import Instance

WORKDIR = "/testbed"
OFFICIAL: Mapping[str, str] = {
    "lite": "SWE-bench/SWE-bench_Lite",
    "verified": "SWE-bench/SWE-bench_Verified",
    "full": "SWE-bench/SWE-bench",
    "multilingual": "SWE-bench/SWE-bench_Multilingual",
}
"""Split name -> hub id."""
FORMER: Mapping[str, str] = {
    "princeton-nlp/SWE-bench_Lite": OFFICIAL["lite"],
    "princeton-nlp/SWE-bench_Verified": OFFICIAL["verified"],
    "princeton-nlp/SWE-bench": OFFICIAL["full"],
}
"""Hub ids of earlier days -> the ids under which the current revisions are."""
HARNESS = ("image", "eval_script", "log_parser", "eval_type")
"""Columns that swebench 5.x grades with; only their presence is looked at here."""


class SweBench(RowDataset):
    """SWE-bench, its subsets and its form; the demo suite has the same form."""

    name = "swe-bench"
    grader = "swe-bench"
    marks: Sequence[str] = HARNESS
    question: Sequence[str] = ("instance_id", "repo", "base_commit", "problem_statement", "image")

    @property
    def splits(self) -> Mapping[str, str]:
        """The demo suite of the package, and the official subsets."""
        demo = assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl"
        return {"demo": str(demo), **OFFICIAL, **FORMER}

    def instance(self, row: Row, label: str) -> Instance:
        """The question of one row; the image's name comes from the row."""
        name = row["instance_id"]
        return Instance(
            id=name,
            repo=required_text(row, "repo", name, label),
            base_commit=checked_commit(row, "base_commit", name, label),
            problem=required_text(row, "problem_statement", name, label),
            image=str(row["image"] or ""),
            workdir=WORKDIR,
        )
