"""Predictions in, official verdicts out: every prediction is listed, whatever happened to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from swe_router import suggest
from swe_router.errors import UsageError
from swe_router.grading import gold as answer_key
from swe_router.grading.backend import Backend, Task
from swe_router.grading.predictions import Prediction
from swe_router.instances import rows, splits
from swe_router.instances.rows import Hub
from swe_router.records import Grade


def _silent(grade: Grade) -> None:
    """Tell nobody."""


def grade_predictions(
    predictions: Sequence[Prediction],
    split: str,
    backend: Backend,
    *,
    workers: int = 2,
    run: str = "",
    hub: Hub | None = None,
    progress: Callable[[Grade], None] = _silent,
) -> dict[str, Grade]:
    """The verdict on each prediction, by instance id, in the order given.

    One prediction an instance; otherwise as ``grade_patches``.
    """
    grades = grade_patches(
        predictions, split, backend, workers=workers, run=run, hub=hub, progress=progress
    )
    return {name: grade for (name, _), grade in grades.items()}


def grade_patches(
    predictions: Sequence[Prediction],
    split: str,
    backend: Backend,
    *,
    workers: int = 2,
    run: str = "",
    hub: Hub | None = None,
    progress: Callable[[Grade], None] = _silent,
) -> dict[tuple[str, str], Grade]:
    """The verdict on each patch, by instance id and SHA-256 of the patch, in the order given.

    Several patches of an instance may be given, each once. ``progress`` is called with each grade
    as it comes, in this thread; the first ones given are begun first. ``run`` goes into the
    grades. Raises ``UsageError``: a split that cannot be read, an id that it does not have.
    """
    tasks = _tasks(predictions, split, hub)
    grades: dict[tuple[str, str], Grade] = {}

    def told(prediction: Prediction, grade: Grade) -> None:
        key = (prediction.instance_id, prediction.digest)
        grades[key] = grade.model_copy(update={"run": run})
        progress(grades[key])

    for one in predictions:
        if not one.patch.strip():
            told(one, _empty(one))
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="grade")
    try:
        waiting = {pool.submit(_one, backend, task): task for task in tasks}
        for future in as_completed(waiting):
            told(waiting[future].prediction, _outcome(future, waiting[future]))
    finally:
        # On an interrupt: no further evaluation starts, and those that run are stopped.
        pool.shutdown(wait=False, cancel_futures=True)
        backend.close()
    keys = ((one.instance_id, one.digest) for one in predictions)
    return {key: grades[key] for key in keys}


def check_gradable(split: str, ids: Collection[str], *, hub: Hub | None = None) -> None:
    """Raise ``UsageError`` when the answer key of one of the instances cannot be used.

    To be asked before a run: after it the money is spent.
    """
    answer_key.read(split, frozenset(ids), hub=hub)


def gold_predictions(split: str, *, hub: Hub | None = None) -> list[Prediction]:
    """The answer key's own patches as predictions: what ``--predictions gold`` grades."""
    golds = answer_key.read(split, hub=hub)
    return [
        Prediction(instance_id=name, patch=gold.patch, model="gold") for name, gold in golds.items()
    ]


def _tasks(predictions: Sequence[Prediction], split: str, hub: Hub | None) -> list[Task]:
    golds = answer_key.read(split, {one.instance_id for one in predictions}, hub=hub)
    for one in predictions:
        if one.instance_id not in golds:
            known = [row["instance_id"] for row in rows.read(split, ("instance_id",), hub=hub)]
            hint = suggest.hint(one.instance_id, known)
            raise UsageError(
                f"split {split!r} has no instance {one.instance_id!r}, which is predicted{hint}"
            )
    todo = [one for one in predictions if one.patch.strip()]
    if not todo:
        return []
    ids = tuple(dict.fromkeys(one.instance_id for one in todo))
    instances = {one.id: one for one in splits.load(split, ids=ids, hub=hub)}
    return [Task(instances[one.instance_id], golds[one.instance_id], one) for one in todo]


def _one(backend: Backend, task: Task) -> Grade:
    return backend.grade(task)


def _outcome(future: Future[Grade], task: Task) -> Grade:
    try:
        return future.result()
    except UsageError:
        raise
    # Whatever broke one evaluation must not take the verdicts on the others with it.
    except Exception as error:
        return Grade(
            instance_id=task.gold.instance_id,
            outcome="ungraded",
            evidence={"reason": f"the evaluation broke: {type(error).__name__}: {error}"},
            patch=task.prediction.digest,
        )


def _empty(prediction: Prediction) -> Grade:
    """As the official harness, which counts an empty patch as not resolved and runs nothing."""
    return Grade(
        instance_id=prediction.instance_id,
        outcome="unresolved",
        evidence={"reason": "empty patch"},
        patch=prediction.digest,
    )
