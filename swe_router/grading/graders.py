"""The grader that a split's data set names: made to read the answer key, or to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_router import plugins
from swe_router.datasets import (
    CountsByGold,
    Grader,
    GradingContext,
    OpensSandbox,
    SupportsCheck,
    SupportsGold,
)
from swe_router.errors import UsageError
from swe_router.grading.predictions import Prediction
from swe_router.instances import sources
from swe_router.instances.rows import Hub

BUILT_IN: Mapping[str, str] = {
    "harbor": "swe_router.grading.harbor:Harbor",
    "multi-swe-bench": "swe_router.grading.multi_swe_bench:MultiSwebenchGrader",
    "swe-bench": "swe_router.grading.swebench:SweBenchGrader",
    "own-issue": "swe_router.grading.own_issue:OwnIssueGrader",
    "swe-bench-live": "swe_router.grading.swebench_live:SwebenchLiveGrader",
    "swe-bench-multimodal": "swe_router.grading.swebench_multimodal:SwebenchMultimodalGrader",
    "swe-bench-pro": "swe_router.grading.swebench_pro:SwebenchProGrader",
    "swe-gym": "swe_router.grading.swe_gym:SweGymGrader",
    "swe-rebench": "swe_router.grading.swe_rebench:SweRebenchGrader",
    "swe-smith": "swe_router.grading.swe_smith:SweSmithGrader",
}
"""Name -> ``module:Class``. Not in ``plugins``: no room of the solving side may load a grader."""
PARTS = ("answers", "grade", "close")


def reading_grader(
    split: str, dataset_reader: str = "", *, hub: Hub | None = None, code: str = ""
) -> Grader:
    """A grader that only reads the answer key: it has no sandbox. Raises ``UsageError``."""
    return _made(split, dataset_reader, hub, {"code": code})


def evaluating_grader(
    split: str,
    dataset_reader: str = "",
    *,
    folder: Path,
    timeout: float,
    sandbox: str,
    opens: OpensSandbox,
    network: tuple[str, ...] = (),
    code: str = "",
) -> Grader:
    """A grader that can evaluate patches; see ``GradingContext``. Raises ``UsageError``."""
    more = {
        "folder": folder,
        "timeout": timeout,
        "sandbox": sandbox,
        "open": opens,
        "network": network,
        "code": code,
    }
    return _made(split, dataset_reader, None, more)


def gold_outcomes_here(
    split: str, dataset_reader: str, instances: Sequence[str], *, folder: Path, gold_folder: Path
) -> Mapping[str, str] | None:
    """Instance id -> outcome of its gold patch, of those graded on this machine.

    ``folder`` and ``gold_folder`` as in ``GradingContext``. None for a data set that counts every
    instance, whatever its gold patch does here.
    """
    grader = _made(split, dataset_reader, None, {"folder": folder, "gold_folder": gold_folder})
    return grader.gold_outcomes(instances) if isinstance(grader, CountsByGold) else None


def check_answer_key(
    split: str,
    ids: tuple[str, ...],
    dataset_reader: str = "",
    *,
    hub: Hub | None = None,
    code: str = "",
) -> None:
    """Raise ``UsageError`` when the answer key of one of the instances cannot be used.

    To be asked before a run: after it the money is spent.
    """
    grader = reading_grader(split, dataset_reader, hub=hub, code=code)
    if isinstance(grader, SupportsCheck):
        grader.check(ids)


def gold_predictions(
    split: str, dataset_reader: str = "", *, hub: Hub | None = None
) -> list[Prediction]:
    """The answer key's own patches as predictions: what ``--predictions gold`` grades.

    Raises ``UsageError`` where the answer key holds none.
    """
    return gold_patches_of(reading_grader(split, dataset_reader, hub=hub), split)


def gold_patches_of(grader: Grader, split: str) -> list[Prediction]:
    """``gold_predictions`` by a grader that is there: some make their patches in a sandbox."""
    if not isinstance(grader, SupportsGold):
        raise UsageError(f"the answer key of {split!r} holds no patches: --predictions FILE")
    return [
        Prediction(instance_id=name, patch=patch, model="gold")
        for name, patch in grader.gold().items()
    ]


def _made(split: str, dataset_reader: str, hub: Hub | None, more: dict[str, Any]) -> Grader:
    origin = sources.locate_split(split, dataset_reader, hub=hub)
    name = origin.dataset.grader
    kind: Callable[[GradingContext], Any] = plugins.load_plugin("graders", name, BUILT_IN)
    made = kind(GradingContext(label=split, rows=origin.any_rows, path=origin.path, **more))
    if not isinstance(made, Grader):
        lacks = [part for part in PARTS if not hasattr(made, part)]
        raise UsageError(
            f"grader {name!r} ({kind!r}) is none: it lacks {', '.join(lacks)}"
            " (swe_router.datasets.Grader)"
        )
    shared = sorted({*made.answers} & {*origin.dataset.question})
    if shared:
        raise UsageError(
            f"data set {origin.dataset.name!r} shows {', '.join(shared)} to the solving side, which"
            f" its grader {name!r} keeps as an answer: a column is either question or answer"
        )
    return made
