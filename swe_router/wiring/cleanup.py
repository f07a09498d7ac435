"""What killed runs left on this machine, removed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from swe_router.errors import SandboxError, SweRouterError
from swe_router.lazy_imports import deferred_module
from swe_router.sandboxes import reaper

if TYPE_CHECKING:
    from swe_router.sandboxes import docker_engine
else:
    docker_engine = deferred_module("swe_router.sandboxes.docker_engine")


def sweep(run: str) -> None:
    """Remove what an earlier launch of ``run``, whose lock the caller holds, left behind."""
    with contextlib.suppress(SandboxError):
        reaper.reap(docker_if_any(), run=run, mine=True)


def docker_if_any() -> docker_engine.Engine | None:
    """The Docker engine, if one answers."""
    try:
        return docker_engine.Engine.connect()
    except SweRouterError:
        return None
