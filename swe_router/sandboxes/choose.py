"""Which kind of box a run uses, decided once before it starts."""

from __future__ import annotations

from collections.abc import Callable

from swe_router.errors import UsageError
from swe_router.sandboxes import docker
from swe_router.sandboxes.local import best_wall
from swe_router.settings import SandboxSettings


def choose(
    settings: SandboxSettings,
    *,
    check: Callable[[], None] = docker.check,
    wall: Callable[..., str] = best_wall,
) -> str:
    """``docker``, ``local`` or the plugin that the settings name, known to be usable here.

    ``auto`` is docker when an engine answers, else local. Raises ``UsageError`` that says how to
    get what is missing.
    """
    if settings.kind == "docker":
        check()
        return "docker"
    if settings.kind == "local":
        wall(unsafe=settings.unsafe)
        return "local"
    if settings.kind != "auto":
        return settings.kind
    try:
        check()
    except UsageError as no_docker:
        try:
            wall(unsafe=settings.unsafe)
        except UsageError as no_wall:
            raise UsageError(f"{no_docker}; {no_wall}") from None
        return "local"
    return "docker"
