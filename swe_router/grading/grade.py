"""Predictions in, official verdicts out: every prediction is listed, whatever happened to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from swe_router import suggest
from swe_router.datasets import Grader, SupportsCheck
from swe_router.errors import UsageError
from swe_router.grading.predictions import Prediction
from swe_router.instances import splits
from swe_router.instances.rows import Hub
from swe_router.records import Grade, Instance


def _silent(grade: Grade) -> None:
    """Tell nobody."""


def grade_predictions(
    predictions: Sequence[Prediction],
    instances: Mapping[str, Instance],
    grader: Grader,
    *,
    workers: int = 2,
    run: str = "",
    progress: Callable[[Grade], None] = _silent,
) -> dict[str, Grade]:
    """The verdict on each prediction, by instance id, in the order given.

    One prediction an instance; otherwise as ``grade_patches``.
    """
    grades = grade_patches(
        predictions, instances, grader, workers=workers, run=run, progress=progress
    )
    return {name: grade for (name, _), grade in grades.items()}


def grade_patches(
    predictions: Sequence[Prediction],
    instances: Mapping[str, Instance],
    grader: Grader,
    *,
    workers: int = 2,
    run: str = "",
    progress: Callable[[Grade], None] = _silent,
) -> dict[tuple[str, str], Grade]:
    """The verdict on each patch, by instance id and SHA-256 of the patch, in the order given.

    Several patches of an instance may be given, each once. ``instances`` has each predicted id.
    ``progress`` is called with each grade as it comes, in this thread; the first ones given are
    begun first. ``run`` goes into the grades. Raises ``UsageError`` as the grader does.
    """
    todo = [one for one in predictions if one.patch.strip()]
    if isinstance(grader, SupportsCheck):
        grader.check(tuple(dict.fromkeys(one.instance_id for one in todo)))
    grades: dict[tuple[str, str], Grade] = {}

    def record(prediction: Prediction, grade: Grade) -> None:
        key = (prediction.instance_id, prediction.digest)
        grades[key] = grade.model_copy(update={"run": run})
        progress(grades[key])

    for one in predictions:
        if not one.patch.strip():
            record(one, _empty(one))
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="grade")
    try:
        waiting = {
            pool.submit(grader.grade, instances[one.instance_id], one.patch): one for one in todo
        }
        for future in as_completed(waiting):
            record(waiting[future], _outcome(future, waiting[future]))
    finally:
        # On an interrupt: no further evaluation starts, and those that run are stopped.
        pool.shutdown(wait=False, cancel_futures=True)
        grader.close()
    keys = ((one.instance_id, one.digest) for one in predictions)
    return {key: grades[key] for key in keys}


def predicted(
    predictions: Sequence[Prediction],
    split: str,
    dataset_reader: str = "",
    *,
    hub: Hub | None = None,
) -> dict[str, Instance]:
    """The instances of a split that are predicted, by id.

    Raises ``UsageError``: a split that cannot be read, an id that it does not have.
    """
    known = {
        one.id: one for one in splits.load_instances(split, dataset_reader=dataset_reader, hub=hub)
    }
    for one in predictions:
        if one.instance_id not in known:
            hint = suggest.did_you_mean_hint(one.instance_id, known)
            raise UsageError(
                f"split {split!r} has no instance {one.instance_id!r}, which is predicted{hint}"
            )
    return {one.instance_id: known[one.instance_id] for one in predictions}


def _outcome(future: Future[Grade], prediction: Prediction) -> Grade:
    try:
        return future.result()
    except UsageError:
        raise
    # Whatever broke one evaluation must not take the verdicts on the others with it.
    except Exception as error:
        return Grade(
            instance_id=prediction.instance_id,
            outcome="ungraded",
            evidence={"reason": f"the evaluation broke: {type(error).__name__}: {error}"},
            patch=prediction.digest,
        )


def _empty(prediction: Prediction) -> Grade:
    """As the official harness, which counts an empty patch as not resolved and runs nothing."""
    return Grade(
        instance_id=prediction.instance_id,
        outcome="unresolved",
        evidence={"reason": "empty patch"},
        patch=prediction.digest,
    )
