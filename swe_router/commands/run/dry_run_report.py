"""``--dry-run`` and ``doctor``: all that a run would meet, looked at; every fault at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from swe_router.commands.result import CommandResult
from swe_router.commands.run import candidate_import
from swe_router.errors import UsageError
from swe_router.journal.header import Header, run_name
from swe_router.lazy_imports import deferred
from swe_router.records import Instance
from swe_router.settings import Settings
from swe_router.wiring import acceptance_thresholds, connectivity, preflight
from swe_router.wiring.connectivity import ConnectivityCheck, looked

if TYPE_CHECKING:
    from swe_router.commands.run import forecast, run_estimate
else:
    forecast = deferred("swe_router.commands.run.forecast")
    run_estimate = deferred("swe_router.commands.run.run_estimate")

Say = Callable[[str], None]
Begun = tuple[Header, candidate_import.ImportStart]


def plan(
    settings: Settings,
    say: Say,
    resolved: Callable[[Settings, Say], Begun],
    *,
    out: Path = Path("runs"),
    knocking: bool = False,
    outcomes: str = "",
) -> CommandResult:
    """What a run would do, checked, at no cost; with ``knocking`` at that of one call a tier.

    Exit code 1 when something outside would keep it from working. Raises ``UsageError``, which
    names those faults too, where the settings themselves are refused.
    """
    try:
        header, begun = resolved(settings, say)
    except UsageError as error:
        raise UsageError(_with_all(str(error), settings, out)) from None
    known, lines = _facts(header, begun)
    checks = surroundings(header.settings, begun.instances, header.sandbox, out, knocking)
    problems = [f"{one.name}: {one.detail}" for one in checks if one.level == "no"]
    warnings = [f"{one.name}: {one.detail}" for one in checks if one.level == "warning"]
    if begun.cases:
        said = forecast.forecast(header, begun.instances, begun.cases)
        lines = [*forecast.lines(said), *lines]
        known["from"] = said
    else:
        hopes = run_estimate.outlook(header, begun.instances, outcomes)
        lines = [*run_estimate.lines(hopes), *lines]
        known["outlook"] = hopes
    known |= {"ok": not problems, "problems": problems, "warnings": warnings,
              "checks": [one.row() for one in checks]}  # fmt: skip
    ends = [f"warning: {one}" for one in warnings] + [f"NO: {one}" for one in problems]
    spent = "nothing was started" if knocking else "nothing was started or spent"
    text = Text("\n".join([*lines, *ends, spent]))
    return CommandResult(facts=known, view=text, code=1 if problems else 0)


def _facts(header: Header, begun: candidate_import.ImportStart) -> tuple[dict[str, Any], list[str]]:
    settings, instances = header.settings, begun.instances
    came = sum(len(case.outcomes) for case in begun.cases.values())
    known: dict[str, Any] = {
        "run": run_name(settings, header.created),
        "split": settings.split,
        "policy": settings.policy.name,
        "instances": len(instances),
        "budget": float(settings.budget),
        "sandbox": header.sandbox,
        "attempt_usd": {str(one.arm): float(one.budget.dollars) for one in header.ladder()},
        "usd_at_most": float(forecast.at_most(header, len(instances), came)),
        "skipped": dict(header.skipped),
    }
    lines = [f"{name}: {_told(value)}" for name, value in known.items() if value != {}]
    rows = acceptance_thresholds.facts(settings)
    known["acceptance"] = rows
    return known, lines + acceptance_thresholds.words(rows)


def _told(value: Any) -> str:
    """A fact as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


def surroundings(
    settings: Settings,
    instances: Sequence[Instance],
    sandbox: str,
    out: Path,
    knocking: bool = False,
) -> list[ConnectivityCheck]:
    """Everything outside that this run would need, whatever is found on the way."""
    names = list(dict.fromkeys([
        *preflight.policy_tiers(settings, settings.ladder), *preflight.asked_tiers(settings),
    ]))  # fmt: skip
    poor = preflight.unpayable(settings, settings.ladder)
    docker = sandbox == "docker"
    need = connectivity.IMAGES_GB if docker else connectivity.RUN_GB
    checks = [
        *connectivity.tiers(settings, names, knocking=knocking),
        *(ConnectivityCheck(f"money for {name}", "warning", why) for name, why in poor.items()),
        looked("disk", partial(connectivity.disk, out, need=need)),
        looked("cache", connectivity.caches),
        looked("network", partial(connectivity.proxies, os.environ)),
        *connectivity.repository(settings, instances, sandbox),
    ]
    if docker:
        checks.append(looked("images", partial(connectivity.images, settings, instances)))
    return checks


def must_do(header: Header, instances: Sequence[Instance]) -> None:
    """Refuse a run before it begins for what will not come by waiting: its images.

    A server that is away is waited for, since it may be starting. Raises ``UsageError``.
    """
    if header.sandbox == "docker":
        connectivity.images(header.settings, instances)


def _with_all(said: str, settings: Settings, out: Path) -> str:
    """The fault of the settings with those that looking brings up as well."""
    try:
        instances = candidate_import.begin(settings, lambda line: None).instances
        sandbox = preflight.sandbox_kind(settings)
    except UsageError:
        return said
    checks = surroundings(settings, instances, sandbox, out)
    more = [f"{one.name}: {one.detail}" for one in checks if one.level == "no"]
    return "; ".join([said, *(one for one in more if one.partition(": ")[2] not in said)])
