"""``doctor`` and ``clean``: what a run needs of this machine, and what killed runs left on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.commands import local_cost_checks
from swe_router.commands.result import CommandResult
from swe_router.commands.run import candidate_import
from swe_router.commands.run.dry_run_report import environment_checks
from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance
from swe_router.reports.check_list import checks_view
from swe_router.reports.view_parts import text_view
from swe_router.sandboxes import local, reaper, resource_limits
from swe_router.settings import SandboxSettings, Settings
from swe_router.wiring import acceptance_thresholds, preflight
from swe_router.wiring.connectivity import ConnectivityCheck, run_check
from swe_router.wiring.repositories import check_git

if TYPE_CHECKING:
    from swe_router.sandboxes import docker_engine
else:
    docker_engine = deferred_module("swe_router.sandboxes.docker_engine")
from swe_router.wiring.cleanup import docker_if_any

MIN_OPEN_FILES = 1024
"""Fewer than this and many workers run out of file descriptors."""
QUOTA_STORAGE_DRIVERS = ("btrfs", "zfs", "devicemapper", "windowsfilter")
"""Storage drivers of Docker that limit a container always; overlay2 does on xfs with pquota."""


def remove_leftovers() -> CommandResult:
    """Remove what killed runs left; spares live runs."""
    found = docker_if_any()
    removed = reaper.reap(found)
    text = "\n".join(f"removed {name}" for name in removed) or "nothing was left behind"
    if found is None:
        text += "\n(no Docker engine answers: only local sandboxes were looked for)"
    return CommandResult(
        facts={"removed": removed, "docker": found is not None}, view=text_view(text)
    )


def doctor(
    settings: Settings,
    runs_folder: Path,
    begin: Callable[[Settings, Callable[[str], None]], object] | None = None,
) -> CommandResult:
    """Check what ``run`` with the same settings would need; exit code 1 when it could not work.

    ``begin`` is what a run begins with, to be refused as it would be.
    """
    kind, why = _sandbox_kind(settings)
    instances, missing = _check_instances(settings)
    kinds: list[tuple[str, Callable[[], str]]] = [
        ("docker", _check_docker),
        ("local sandbox", lambda: _check_local_sandbox(settings.sandbox)),
    ]
    found = [run_check(name, look) for name, look in kinds]
    wanted = "docker" if kind == "docker" else "local sandbox"
    found = [one if one.name == wanted or one.level == "ok" else _as_unneeded(one) for one in found]
    checks = [
        run_check("python", _check_python),
        run_check("git", check_git),
        *([why] if why else []),
        *found,
        run_check("open files", partial(_check_open_files, settings.workers)),
        run_check("workers", _check_workers),
        *([missing] if missing else []),
        *environment_checks(settings, instances, kind, runs_folder),
        *(
            ConnectivityCheck("acceptance", "ok", line)
            for line in acceptance_thresholds.threshold_lines(
                acceptance_thresholds.threshold_rows(settings)
            )
        ),
        *local_cost_checks.local_cost_checks(settings, runs_folder),
        *(
            _check_unused_tier(settings, name)
            for name in settings.tiers
            if name not in _used_tiers(settings)
        ),
    ]
    return _checks_result([*checks, *_run_refusals(settings, begin, checks)])


def _run_refusals(
    settings: Settings,
    begin: Callable[[Settings, Callable[[str], None]], object] | None,
    checks: Sequence[ConnectivityCheck],
) -> list[ConnectivityCheck]:
    """What ``run`` would refuse that no other check found: plugins, knobs, limits."""
    try:
        if begin is not None:
            begin(settings, lambda line: None)
    except UsageError as error:
        reported = [one.detail for one in checks if one.level == "no"]
        left = [part for part in str(error).split("; ") if not any(part in one for one in reported)]
        return [ConnectivityCheck("settings", "no", "; ".join(left))] if left else []
    return []


def _checks_result(checks: Sequence[ConnectivityCheck]) -> CommandResult:
    view = checks_view((one.level, one.name, one.detail) for one in checks)
    usable = all(one.level != "no" for one in checks)
    problems = [f"{one.name}: {one.detail}" for one in checks if one.level == "no"]
    facts = {"ok": usable, "problems": problems, "checks": [one.row() for one in checks]}
    return CommandResult(facts=facts, view=view, exit_code=0 if usable else 1)


def _sandbox_kind(settings: Settings) -> tuple[str, ConnectivityCheck | None]:
    """The sandbox that a run would use, or why there is none."""
    try:
        return preflight.sandbox_kind(settings), None
    except UsageError as error:
        return settings.sandbox.kind, ConnectivityCheck("sandbox", "no", str(error))


def _check_instances(settings: Settings) -> tuple[Sequence[Instance], ConnectivityCheck | None]:
    try:
        return candidate_import.read_run_inputs(settings, lambda line: None).instances, None
    except UsageError as error:
        return (), ConnectivityCheck(f"split {settings.split}", "no", str(error))


def _as_unneeded(check: ConnectivityCheck) -> ConnectivityCheck:
    return ConnectivityCheck(check.name, "warning", f"{check.detail} (this run does not use it)")


def _used_tiers(settings: Settings) -> set[str]:
    ladder = preflight.policy_tiers(settings, settings.ladder)
    return {*ladder, *preflight.verifier_tiers(settings)}


def _check_unused_tier(settings: Settings, tier: str) -> ConnectivityCheck:
    """A tier of the preset that this run does not use: its key and price only."""
    gap = preflight.tier_gap(settings, tier)
    return ConnectivityCheck(
        f"tier {tier}", "warning" if gap else "ok", gap or "not used by this run"
    )


def _check_python() -> str:
    return f"{sys.version.split()[0]} on {sys.platform}"


def _check_docker() -> str:
    found = docker_engine.Engine.connect().describe()
    rest = "; disk limited by file, by container only on xfs with pquota"
    rest = "" if found["Driver"] in QUOTA_STORAGE_DRIVERS else rest
    return ", ".join(f"{name} {value}" for name, value in found.items()) + rest


def _check_local_sandbox(sandbox: SandboxSettings) -> str:
    wall = local.best_wall(unsafe=False)
    rest = f"disk limited to {sandbox.disk} per file, not per sandbox"
    return f"isolated by {wall}; {rest}, {resource_limits.describe_limits(sandbox)}"


def _check_workers() -> str:
    address = os.environ.get("RAY_ADDRESS", "")
    threads = "one thread each (OMP_NUM_THREADS), which no sandbox inherits"
    if address:
        return (
            f"the Ray cluster at {address}: as nice as it was started (15 unless by"
            f" RAY_worker_niceness=0), and so are the tests in local sandboxes; {threads}"
        )
    return f"Ray of our own, as nice as this process unless RAY_worker_niceness is set; {threads}"


def _check_open_files(workers: int) -> str:
    return preflight.allow_open_files(
        max(MIN_OPEN_FILES, preflight.OPEN_FILES_PER_WORKER * workers)
    )
