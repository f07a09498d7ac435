"""What a row is that no data set here reads, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OLD = ("repo", "base_commit", "problem_statement", "version")
"""Columns that SWE-bench's rows had before the harness kept its scripts in them."""
OWNERS = frozenset(
    ("astropy", "django", "matplotlib", "mwaskom", "pallets", "psf", "pydata", "pylint-dev",
     "pytest-dev", "scikit-learn", "sphinx-doc", "sympy", "marshmallow-code", "pvlib", "pyvista",
     "sqlfluff", "pydicom")
)  # fmt: skip
"""Owners of SWE-bench's repositories."""
OTHERS: Mapping[str, Sequence[str]] = {
    "SWE-bench Pro": ("selected_test_files_to_run", "before_repo_set_cmd", "dockerhub_tag"),
    "Multi-SWE-bench": ("resolved_issues", "f2p_tests", "fix_patch"),
    "SWE-rebench": ("install_config",),
    "SWE-bench-Live": ("test_cmds", "rebuild_cmds"),
    "SWE-bench Multimodal": ("image_assets",),
    "SWE-Lancer": ("price_limit", "manager_data"),
}
"""Other data sets -> columns that only they have."""


def describe_unknown_row(row: Mapping[str, Any], *, named: bool = False) -> str:
    """What the row seems to be, in one clause that says what to do.

    ``named``: it comes from the hub, by the name of a data set.
    """
    for name, marks in OTHERS.items():
        if any(mark in row for mark in marks):
            return f"it is a row of {name}; name its data set by --dataset NAME"
    if all(name in row for name in OLD):
        if not named and str(row["repo"]).partition("/")[0] not in OWNERS:
            return (
                "it has SWE-bench's form from before swebench 5, and"
                f" {str(row['repo'])[:60]!r} is no repository of SWE-bench: how it is evaluated is"
                " not known; give a file that has these columns"
            )
        return (
            "it is a revision from before swebench 5; take the current revision of the data set,"
            " or give a file that has these columns"
        )
    names = [str(name)[:30] for name in row]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (
        f"its columns ({', '.join(names[:8])}{more}) are not those of SWE-bench; give a file that"
        " has these columns, or name its data set by --dataset NAME"
    )
