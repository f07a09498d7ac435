"""``run``: the command ``swe-router run`` as a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import settings as loading
from swe_router.api.driving import Progress, drive, silent
from swe_router.api.run_view import Run
from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.settings import Settings
from swe_router.settings.amounts import dollars

if TYPE_CHECKING:
    from swe_router.commands import signals
    from swe_router.commands.run import run_driver
else:
    run_driver = deferred_module("swe_router.commands.run.run_driver")
    signals = deferred_module("swe_router.commands.signals")


def run(
    split: str | None = None,
    budget: Decimal | float | str | None = None,
    policy: str | None = None,
    *,
    preset: str | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    instances: Iterable[str] | None = None,
    workers: int | None = None,
    grade: bool | None = None,
    hours: float | None = None,
    out: str | Path = "runs",
    progress: Progress | None = None,
) -> Run:
    """Solve a split under a budget, as ``swe-router run`` does, and return the run.

    ``budget``: USD that the run never exceeds. ``settings``: settings by their names, as in
    ``{"limits.instance_usd": 2}``, or a whole ``Settings`` in the place of a preset.
    ``instances``: ids; None is the whole split. ``workers``: Ray workers; 0 works in this
    process. ``hours``: stop after so many. ``out``: the folder of run folders. ``progress``:
    called with each line of progress, as ``print``; nothing is printed without it.

    An interrupt (the notebook's stop button) ends attempts at their next step and keeps what
    was done: ``Run.ended`` is ``stopped`` then, and ``Run.resume`` finishes the run. A second one
    is a ``KeyboardInterrupt``. Raises ``UsageError`` for what the command refuses.

    >>> import swe_router
    >>> run = swe_router.run("demo", budget=0.5, instances=["demo__confet-3"])
    >>> run.ended, run.instances[0]["standing"], run.spend["spent"] < 0.5
    ('done', 'resolved', True)
    """
    signals.require_positive_hours(hours)
    resolved = _resolved(
        preset,
        settings,
        split=split,
        budget=dollars(budget, "budget"),
        policy__name=policy,
        instances=None if instances is None else _ids(instances),
        workers=workers,
        grade__enabled=grade,
    )
    folder = run_driver.create_run(resolved, Path(out), progress or silent)
    ended = drive(folder, retry_kind="none", workers=workers, hours=hours, progress=progress)
    return Run(folder, ended)


def _resolved(
    preset: str | None, settings: Settings | Mapping[str, Any] | None, **flags: Any
) -> Settings:
    """The settings of a run: a preset or whole settings, with ``flags`` laid on top."""
    if not isinstance(settings, Settings):
        name = preset or loading.preset_of(flags["split"])
        return loading.load(name, table=settings or {}, **flags)
    if preset is not None:
        raise UsageError("settings is a whole Settings already: leave preset away")
    return loading.changed(settings, **flags)


def _ids(instances: Iterable[str]) -> list[str]:
    found = [instances] if isinstance(instances, str) else list(dict.fromkeys(instances))
    if not found:
        raise UsageError("instances names none: give ids, or None for the whole split")
    return found
