"""SWE-Gym: rows of SWE-bench's older form, of eleven projects, with images of their own."""

from __future__ import annotations

from collections.abc import Mapping

from swe_router.datasets import Row
from swe_router.instances.rowset import RowDataset, checked_commit, required_text
from swe_router.records import Instance

HUB = "SWE-Gym/SWE-Gym"
PROJECTS = frozenset(
    {
        *("python/mypy", "getmoto/moto", "conan-io/conan", "dask/dask", "project-monai/monai"),
        *("iterative/dvc", "bokeh/bokeh", "modin-project/modin", "pydantic/pydantic"),
        *("pandas-dev/pandas", "facebookresearch/hydra"),
    }
)
"""Its repositories, in lower case."""


class SweGym(RowDataset):
    """SWE-Gym and its Lite subset."""

    name = "swe-gym"
    grader = "swe-gym"
    marks = ("version", "repo", "base_commit")
    question = ("instance_id", "repo", "base_commit", "problem_statement")

    @property
    def splits(self) -> Mapping[str, str]:
        """The whole and the Lite subset."""
        return {"gym": f"{HUB}@train", "gym-lite": f"{HUB}-Lite@train"}

    def recognises(self, row: Row) -> bool:
        """Whether the project is one of the data set's: SWE-bench's old rows look alike."""
        return str(row.get("repo") or "").lower() in PROJECTS

    def instance(self, row: Row, label: str) -> Instance:
        """The question of one row."""
        name = row["instance_id"]
        return Instance(
            id=name,
            repo=required_text(row, "repo", name, label),
            base_commit=checked_commit(row, "base_commit", name, label),
            problem=required_text(row, "problem_statement", name, label),
            image=f"xingyaoww/sweb.eval.x86_64.{name.replace('__', '_s_').lower()}",
            workdir="/testbed",
            language="python",
        )
