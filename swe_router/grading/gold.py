"""The answer key: everything in a data-set row that could leak the answer, for grading alone."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.instances import sources
from swe_router.instances.rows import Hub
from swe_router.records import FrozenRecord

COLUMNS = (
    "instance_id",
    "repo",
    "version",
    "base_commit",
    "image",
    "patch",
    "test_patch",
    "FAIL_TO_PASS",
    "PASS_TO_PASS",
    "eval_script",
    "log_parser",
    "eval_type",
    "hints_text",
    "difficulty",
    "image_assets",
)


class Gold(FrozenRecord):
    """What the official harness needs of one instance, and what nobody else may see."""

    instance_id: str
    repo: str
    version: str
    base_commit: str
    image: str
    patch: str
    test_patch: str
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    eval_script: str
    log_parser: str
    eval_type: str
    hints: str = ""
    difficulty: str = ""
    image_assets: str = Field(default="", exclude_if=lambda text: not text)
    """JSON of the binary files that patch and test patch need (SWE-bench Multimodal)."""

    def row(self) -> dict[str, Any]:
        """The row as ``swebench.harness`` reads it."""
        return {
            "instance_id": self.instance_id,
            "repo": self.repo,
            "version": self.version,
            "base_commit": self.base_commit,
            "image": self.image,
            "patch": self.patch,
            "test_patch": self.test_patch,
            "FAIL_TO_PASS": json.dumps(self.fail_to_pass),
            "PASS_TO_PASS": json.dumps(self.pass_to_pass),
            "eval_script": self.eval_script,
            "log_parser": self.log_parser,
            "eval_type": self.eval_type,
            **({"image_assets": self.image_assets} if self.image_assets else {}),
        }


def read_gold(
    split: str, only: Container[str] | None = None, *, hub: Hub | None = None
) -> dict[str, Gold]:
    """The answer key of a split of SWE-bench's form, or of ``only`` these of its instances, by id.

    Read again from the split itself: it never travels through the solving side. Raises
    ``UsageError`` as ``sources.locate_split`` does, and as ``gold_of_rows``.
    """
    return gold_of_rows(sources.locate_split(split, hub=hub).any_rows(COLUMNS), only)


def gold_of_rows(
    rows: Iterable[Mapping[str, Any]], only: Container[str] | None = None
) -> dict[str, Gold]:
    """The answer key in rows with ``COLUMNS``, by id.

    Raises ``UsageError`` for an instance that could not be graded: test lists that are not lists,
    no evaluation script or log parser.
    """
    return {
        row["instance_id"]: _gold(row) for row in rows if only is None or row["instance_id"] in only
    }


def _gold(row: Mapping[str, Any]) -> Gold:
    def text(name: str) -> str:
        value = row[name]
        return "" if value is None else str(value)

    for name in ("eval_script", "log_parser"):
        if not text(name).strip():
            raise UsageError(f"instance {row['instance_id']!r} has no {name}: it cannot be graded")
    return Gold(
        instance_id=row["instance_id"],
        repo=text("repo"),
        version=text("version"),
        base_commit=text("base_commit"),
        image=text("image"),
        patch=text("patch"),
        test_patch=text("test_patch"),
        fail_to_pass=_tests(row, "FAIL_TO_PASS"),
        pass_to_pass=_tests(row, "PASS_TO_PASS"),
        eval_script=text("eval_script"),
        log_parser=text("log_parser"),
        eval_type=text("eval_type"),
        hints=text("hints_text"),
        difficulty=text("difficulty"),
        image_assets=_assets(row["image_assets"]),
    )


def _assets(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if value else ""


def _tests(row: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """Test names of a column: a list, or a list written as JSON text (as on the hub)."""
    value = row[column]
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"instance {row['instance_id']!r}: {column} is not a list of test names")
    return tuple(value)
