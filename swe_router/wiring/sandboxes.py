"""The one factory of sandboxes: a plugin by its kind, with what it names of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swe_router import plugins
from swe_router.codegraph.repo_cache import RepoCache
from swe_router.seams import SandboxFactory
from swe_router.settings import SandboxSettings


def sandbox_factory(
    kind: str,
    settings: SandboxSettings,
    repos: RepoCache,
    *,
    run: str,
    lock: Path,
    stopping: Callable[[], bool],
    progress: Callable[[str], None],
) -> SandboxFactory:
    """What opens the sandboxes of a run or a command.

    ``run`` names them, ``lock`` is a file that stays locked while their driver lives. Raises
    ``UsageError`` for an unknown kind, and when no engine answers.
    """
    plugin = plugins.load_plugin("sandboxes", kind)
    extra = plugins.accepted_keywords(plugin, {"start": repos.path, "progress": progress})
    made: SandboxFactory = plugin(settings, run=run, lock=lock, stopping=stopping, **extra)
    return made
