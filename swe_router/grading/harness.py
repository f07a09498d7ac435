"""The one door to swebench's grading functions: its test spec, its log parsers, its report.

Importing it takes a second; only local grading does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swebench import __version__ as version
from swebench.harness.constants import APPLY_PATCH_FAIL, APPLY_PATCH_PASS
from swebench.harness.grading import get_eval_report
from swebench.harness.run_evaluation import GIT_APPLY_CMDS
from swebench.harness.utils import make_test_spec

from swe_router.grading.gold import Gold

__all__ = ["APPLIED", "APPLY_COMMANDS", "NOT_APPLIED", "eval_script", "report", "version"]

APPLIED: str = APPLY_PATCH_PASS
NOT_APPLIED: str = APPLY_PATCH_FAIL
APPLY_COMMANDS: tuple[str, ...] = tuple(GIT_APPLY_CMDS)
"""Ways to apply a patch, tried in this order."""


def eval_script(gold: Gold) -> str:
    """The evaluation script as the harness runs it: with the tests' exit status written out."""
    return str(make_test_spec(gold.row()).eval_script)


def report(gold: Gold, patch: str, log: Path) -> dict[str, Any]:
    """The harness's report on an evaluation's output, by instance id."""
    prediction = {
        "instance_id": gold.instance_id,
        "model_patch": patch,
        "model_name_or_path": "swe-router",
    }
    return dict(
        get_eval_report(
            test_spec=make_test_spec(gold.row()),
            prediction=prediction,
            test_log_path=str(log),
            include_tests_status=True,
        )
    )
