"""Multi-SWE-bench: pull requests of seven languages; the project lies at /home/NAME.

The images hold the answer (``/home/fix.patch``, ``/home/test.patch``): it is taken out of a
sandbox before anybody works there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.datasets import Row
from swe_router.errors import UsageError
from swe_router.instances.rowset import RowDataset
from swe_router.records import Instance

HUB = "ByteDance-Seed/Multi-SWE-bench"
SETUP = "rm -f /home/*.patch /home/fix-run.sh /home/test-run.sh"


class MultiSwebench(RowDataset):
    """Multi-SWE-bench, its subsets, and Multi-SWE-RL, which have one form."""

    name = "multi-swe-bench"
    grader = "multi-swe-bench"
    marks = ("org", "number", "resolved_issues", "base")
    question = ("instance_id", "org", "repo", "number", "base", "resolved_issues", "lang")

    @property
    def splits(self) -> Mapping[str, str]:
        """The whole, and the two published subsets."""
        return {
            "multi-swe-bench": f"{HUB}@train",
            "multi-swe-bench-mini": f"{HUB}_mini@train",
            "multi-swe-bench-flash": f"{HUB}-flash@train",
        }

    def identifier(self, row: Row) -> Any:
        """The row's id, or the one that the data set makes of project and number."""
        return row.get("instance_id") or f"{row.get('org')}__{row.get('repo')}-{row.get('number')}"

    def instance(self, row: Row, label: str) -> Instance:
        """The issues that the pull request resolved; title and text of the request are answers."""
        name = self.identifier(row)
        base = row.get("base")
        sha = base.get("sha") if isinstance(base, Mapping) else None
        issues = row.get("resolved_issues")
        if not isinstance(sha, str) or not isinstance(issues, list) or not issues:
            raise UsageError(f"instance {name!r} of {label!r} has no base.sha or no resolved issue")
        org, repo, number = (str(row[key]) for key in ("org", "repo", "number"))
        return Instance(
            id=name,
            repo=f"{org}/{repo}",
            base_commit=sha.lower(),
            problem="\n\n".join(_issue(one) for one in issues),
            image=f"mswebench/{org}_m_{repo}:pr-{number}".lower(),
            workdir=f"/home/{repo}",
            language=str(row.get("lang") or "").lower(),
            setup=SETUP,
        )


def _issue(issue: Mapping[str, Any]) -> str:
    parts = (str(issue.get(key) or "").strip() for key in ("title", "body"))
    return "\n\n".join(part for part in parts if part)
