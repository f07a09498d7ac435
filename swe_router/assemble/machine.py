"""Around the machine: what a run needs of it, and what killed runs left on it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.table import Table
from rich.text import Text

from swe_router import settings as settings_
from swe_router.assemble import preflight
from swe_router.assemble.repositories import check_git
from swe_router.assemble.shown import Shown
from swe_router.deferred import deferred
from swe_router.errors import SandboxError, SweRouterError, UsageError
from swe_router.sandboxes import local, reaper

if TYPE_CHECKING:
    from swe_router.sandboxes import engine
else:
    engine = deferred("swe_router.sandboxes.engine")

OPEN_FILES = 1024
"""Fewer than this and many workers run out of file descriptors."""
CONNECT_SECONDS = 3.0
DISK_GB = 20
"""Less free than this and a handful of official images fill the disk."""


def clean() -> Shown:
    """Remove what killed runs left; spares live runs."""
    found = _engine()
    removed = reaper.reap(found)
    text = "\n".join(f"removed {name}" for name in removed) or "nothing was left behind"
    if found is None:
        text += "\n(no Docker engine answers: only local boxes were looked for)"
    return Shown(facts={"removed": removed, "docker": found is not None}, view=Text(text))


def sweep(run: str) -> None:
    """Remove what an earlier launch of ``run``, whose lock the caller holds, left behind."""
    with contextlib.suppress(SandboxError):
        reaper.reap(_engine(), run=run, mine=True)


def _engine() -> engine.Engine | None:
    """The Docker engine, if one answers."""
    try:
        return engine.Engine.connect()
    except SweRouterError:
        return None


def doctor(preset: str, out: Path) -> Shown:
    """Check what a run needs; exit code 1 when something is missing."""
    resolved = settings_.load(preset)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("git", check_git),
        ("docker", _docker),
        ("local sandbox", _local),
        ("disk", lambda: _disk(out)),
        ("open files", _open_files),
        *((f"tier {name}", _tier(resolved, name)) for name in resolved.tiers),
    ]
    table = Table(box=None, pad_edge=False)
    rows = []
    for name, check in checks:
        try:
            said, fine = check(), True
        except SweRouterError as error:
            said, fine = str(error), False
        rows.append({"check": name, "ok": fine, "detail": said})
        table.add_row(Text("ok" if fine else "no", "green" if fine else "red"), name, said)
    boxes = [row["ok"] for row in rows if row["check"] in {"docker", "local sandbox"}]
    usable = any(boxes) and any(row["ok"] for row in rows if str(row["check"]).startswith("tier"))
    return Shown(facts={"ok": usable, "checks": rows}, view=table, code=0 if usable else 1)


def _python() -> str:
    return f"{sys.version.split()[0]} on {sys.platform}"


def _docker() -> str:
    found = engine.Engine.connect().describe()
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _local() -> str:
    return f"isolated by {local.best_wall(unsafe=False)}"


def _disk(out: Path) -> str:
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free < DISK_GB:
        raise UsageError(f"{free:.1f} GB free at {place}: official images need more")
    return f"{free:.0f} GB free at {place}"


def _open_files() -> str:
    return preflight.open_files(OPEN_FILES)


def _answers(base_url: str) -> None:
    """Raises ``UsageError`` when nobody listens where a tier's server should."""
    place = urlsplit(base_url)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"nobody answers at {base_url} ({why}): start the server") from None


def _tier(resolved: settings_.Settings, name: str) -> Callable[[], str]:
    def check() -> str:
        gap = preflight.tier_gap(resolved, name)
        if gap:
            raise UsageError(gap)
        tier = resolved.tiers[name]
        if tier.base_url:
            _answers(tier.base_url)
        notice = preflight.notice(tier, name)
        return f"{tier.model} by {tier.dialect}" + (f"; {notice}" if notice else "")

    return check
