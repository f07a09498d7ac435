"""Stop-loss rules of a run: read from their file, and the one of a plan's tier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import StopLoss, TierStopLoss
from swe_router.journal.header import Header
from swe_router.lazy_imports import deferred_module
from swe_router.records import Plan

if TYPE_CHECKING:
    import swe_router.outcomes.tables.table as tables
    from swe_router.estimates.stop_loss import rule_fit
    from swe_router.outcomes.importers import forms
else:
    forms = deferred_module("swe_router.outcomes.importers.forms")
    tables = deferred_module("swe_router.outcomes.tables.table")
    rule_fit = deferred_module("swe_router.estimates.stop_loss.rule_fit")


def read_profiles(path: str, tiers: Sequence[str]) -> dict[str, TierStopLoss]:
    """The profiles of a file, by tier; none for an empty path.

    Raises ``UsageError`` when the file cannot be read, or knows a tier that the run has not.
    """
    if not path:
        return {}
    try:
        known = StopLoss.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"stop_loss {path}: {error.strerror or error}") from None
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UsageError(
            f"stop_loss {path} is no file of `swe-router calibrate --stop-loss`: {message}"
        ) from None
    for tier in known.tiers:
        if tier not in tiers:
            raise UsageError(f"stop_loss {path} is for tier {tier!r}, there is {', '.join(tiers)}")
    return dict(known.tiers)


def stop_loss_of_plan(header: Header, plan: Plan) -> Any:
    """``AttemptContext.stop_loss``: the rule of the tier as the run began with it, or None."""
    profile = header.stop_loss.get(plan.arm.model)
    return profile.gives_up if profile is not None and profile.points else None
