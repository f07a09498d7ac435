"""Which kind of sandbox a run uses, decided once before it starts."""

from __future__ import annotations

from collections.abc import Callable

from swe_router.sandboxes import docker
from swe_router.sandboxes.local import best_wall
from swe_router.settings import SandboxSettings


def choose_kind(
    settings: SandboxSettings,
    *,
    check: Callable[[], None] = docker.check_engine,
    wall: Callable[..., str] = best_wall,
) -> str:
    """``docker``, ``local`` or the plugin that the settings name, known to be usable here.

    ``auto`` is docker: real instances live in their images, and one that runs without its
    environment would be judged wrongly. Raises ``UsageError`` that says how to get what is missing.
    """
    if settings.kind in ("docker", "auto"):
        check()
        return "docker"
    if settings.kind == "local":
        wall(unsafe=settings.unsafe)
    return settings.kind
