"""The one door to swebench's grading functions: its test spec, its log parsers, its report.

Importing it takes a second; only local grading does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swebench import __version__ as version
from swebench.harness.constants import APPLY_PATCH_FAIL, APPLY_PATCH_PASS
from swebench.harness.grading import get_eval_report
from swebench.harness.log_parsers import PARSER_REGISTRY
from swebench.harness.run_evaluation import GIT_APPLY_CMDS
from swebench.harness.utils import make_test_spec

from swe_router.grading.gold import Gold

__all__ = [
    "APPLIED",
    "APPLY_COMMANDS",
    "NOT_APPLIED",
    "PARSERS",
    "eval_script",
    "parse_log",
    "report",
    "version",
]

APPLIED: str = APPLY_PATCH_PASS
NOT_APPLIED: str = APPLY_PATCH_FAIL
APPLY_COMMANDS: tuple[str, ...] = tuple(GIT_APPLY_CMDS)
"""Ways to apply a patch, tried in this order."""
PARSERS: frozenset[str] = frozenset(PARSER_REGISTRY)
"""Names of swebench's log parsers."""


def parse_log(parser: str, log: str) -> Mapping[str, str]:
    """Test -> status by one of ``PARSERS``, for a row that is none of SWE-bench's.

    Four parsers look at the instance's id too; they get an empty one.
    """
    spec = SimpleNamespace(instance_id="", repo="", version="")
    return dict(PARSER_REGISTRY[parser](log, spec))


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
