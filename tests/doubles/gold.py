"""A SWE-bench row of one test to mend and one to keep, and its answer key."""

from __future__ import annotations

from swe_router.grading.evidence import END, START
from swe_router.grading.gold import Gold, gold_of_rows
from swe_router.records import Instance

ONE = Instance(id="o__r-1", repo="o/r", base_commit="c", problem="p", setup="hide it")
ROW = {
    "instance_id": "o__r-1", "repo": "o/r", "version": "1", "base_commit": "c", "image": "img",
    "patch": "gold", "test_patch": "tests", "FAIL_TO_PASS": '["a::x"]', "PASS_TO_PASS": ["a::y"],
    "eval_script": "run", "log_parser": "parse_log_pytest", "eval_type": "pass_and_fail",
    "hints_text": None, "difficulty": "easy", "image_assets": None,
}  # fmt: skip


def gold(**changes: object) -> Gold:
    """The answer key of ``ROW`` with a script that runs pytest, changed."""
    script = f": '{START}'\npytest -rA a.py\n: '{END}'"
    return gold_of_rows([{**ROW, "eval_script": script}])["o__r-1"].model_copy(update=changes)
