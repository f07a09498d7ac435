"""``--dry-run`` and ``doctor``: everything that a run needs, checked; all faults at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router.commands.result import CommandResult
from swe_router.commands.run import candidate_import
from swe_router.commands.run.run_header import resolved_header
from swe_router.errors import UsageError
from swe_router.journal.header import Header, run_name
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance
from swe_router.reports.view_parts import text_view
from swe_router.settings import Settings
from swe_router.wiring import acceptance_thresholds, connectivity, preflight
from swe_router.wiring.connectivity import ConnectivityCheck, run_check

if TYPE_CHECKING:
    from swe_router.commands.run import crew, forecast, run_estimate
else:
    crew = deferred_module("swe_router.commands.run.crew")
    forecast = deferred_module("swe_router.commands.run.forecast")
    run_estimate = deferred_module("swe_router.commands.run.run_estimate")

Say = Callable[[str], None]


def dry_run(
    settings: Settings,
    say: Say,
    *,
    runs_folder: Path = Path("runs"),
    calls_tiers: bool = False,
    outcome_table_path: str = "",
) -> CommandResult:
    """What a run would do, checked, at no cost.

    ``calls_tiers`` makes one short call per tier, which is paid.

    Exit code 1 when something in the environment would keep it from working. Raises ``UsageError``,
    which names those faults too, where the settings themselves are refused.
    """
    try:
        header, begun = resolved_header(settings, say)
        if settings.batch.enabled:
            crew.require_possible(header)
    except UsageError as error:
        raise UsageError(_with_environment_faults(str(error), settings, runs_folder)) from None
    known, lines = _preparation_facts(header, begun)
    checks = environment_checks(
        header.settings, begun.instances, header.sandbox, runs_folder, calls_tiers
    )
    problems = [f"{one.name}: {one.detail}" for one in checks if one.level == "no"]
    warnings = [f"{one.name}: {one.detail}" for one in checks if one.level == "warning"]
    if begun.cases:
        estimate = forecast.forecast_escalation(header, begun.instances, begun.cases)
        lines = [*forecast.forecast_lines(estimate), *lines]
        known["from"] = estimate
    else:
        hopes = run_estimate.estimate_run(header, begun.instances, outcome_table_path)
        lines = [*run_estimate.estimate_lines(hopes), *lines]
        known["outlook"] = hopes
    known |= {"ok": not problems, "problems": problems, "warnings": warnings,
              "checks": [one.row() for one in checks]}  # fmt: skip
    ends = [f"warning: {one}" for one in warnings] + [f"NO: {one}" for one in problems]
    spent = "nothing was started" if calls_tiers else "nothing was started or spent"
    text = text_view("\n".join([*lines, *ends, spent]))
    return CommandResult(facts=known, view=text, exit_code=1 if problems else 0)


def _preparation_facts(
    header: Header, preparation: candidate_import.RunInputs
) -> tuple[dict[str, Any], list[str]]:
    settings, instances = header.settings, preparation.instances
    came = sum(len(case.outcomes) for case in preparation.cases.values())
    known: dict[str, Any] = {
        "run": run_name(settings, header.created),
        "split": settings.split,
        "policy": settings.policy.name,
        "instances": len(instances),
        "budget": float(settings.budget),
        "sandbox": header.sandbox,
        "attempt_usd": {str(one.arm): float(one.budget.dollars) for one in header.ladder()},
        "usd_at_most": float(forecast.max_run_usd(header, len(instances), came)),
        "skipped": dict(header.skipped_tiers),
    }
    lines = [f"{name}: {_fact_text(value)}" for name, value in known.items() if value != {}]
    rows = acceptance_thresholds.threshold_rows(settings)
    known["acceptance"] = rows
    return known, lines + acceptance_thresholds.threshold_lines(rows)


def _fact_text(value: Any) -> str:
    """A fact as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


def environment_checks(
    settings: Settings,
    instances: Sequence[Instance],
    sandbox_kind: str,
    runs_folder: Path,
    calls_tiers: bool = False,
) -> list[ConnectivityCheck]:
    """Every check of what this run needs of its environment; one that fails stops no other."""
    names = list(dict.fromkeys([
        *preflight.policy_tiers(settings, settings.ladder), *preflight.verifier_tiers(settings),
    ]))  # fmt: skip
    poor = preflight.unpayable_tiers(settings, settings.ladder)
    docker = sandbox_kind == "docker"
    need = connectivity.MIN_IMAGES_GB if docker else connectivity.MIN_RUN_GB
    checks = [
        *connectivity.check_tiers(settings, names, with_test_call=calls_tiers),
        *(ConnectivityCheck(f"money for {name}", "warning", why) for name, why in poor.items()),
        run_check("disk", partial(connectivity.check_disk, runs_folder, min_gb=need)),
        run_check("cache", connectivity.check_caches),
        run_check("network", partial(connectivity.check_proxies, os.environ)),
        *connectivity.check_repositories(settings, instances, sandbox_kind),
    ]
    if docker:
        checks.append(run_check("images", partial(connectivity.check_images, settings, instances)))
    return checks


def require_images(header: Header, instances: Sequence[Instance]) -> None:
    """Refuse a run before it begins for what will not come by waiting: its images.

    A server that is away is waited for, since it may be starting. Raises ``UsageError``.
    """
    if header.sandbox == "docker":
        connectivity.check_images(header.settings, instances)


def _with_environment_faults(settings_fault: str, settings: Settings, runs_folder: Path) -> str:
    """The fault of the settings, with the faults of the environment added."""
    try:
        instances = candidate_import.read_run_inputs(settings, lambda line: None).instances
        sandbox = preflight.sandbox_kind(settings)
    except UsageError:
        return settings_fault
    checks = environment_checks(settings, instances, sandbox, runs_folder)
    more = [f"{one.name}: {one.detail}" for one in checks if one.level == "no"]
    return "; ".join(
        [settings_fault, *(one for one in more if one.partition(": ")[2] not in settings_fault)]
    )
