"""Where the repositories come from: the cache, the user's folder, the demo's texts, an image."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router import assets
from swe_router.codegraph.commits import PastCommit, past_commits
from swe_router.codegraph.fact_store import FactStore
from swe_router.codegraph.git_objects import RepoError
from swe_router.codegraph.graph import CodeGraph, build_graph
from swe_router.codegraph.repo_cache import RepoCache, RepoSources
from swe_router.errors import SandboxError, UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance

if TYPE_CHECKING:
    import swe_router.sandboxes.docker_engine as engines
else:
    engines = deferred_module("swe_router.sandboxes.docker_engine")
from swe_router.codegraph.repo_cache import cache_folder

Say = Callable[[str], None]


def check_git(path: str | None = None) -> str:
    """Where git is, in PATH or in ``path``. Raises ``UsageError`` that says how to get it."""
    found = shutil.which("git", path=path)
    if found is None:
        raise UsageError("git is not in PATH, and repositories and patches need it: install git")
    return found


def repo_cache(repos: str, say: Say, *, images: bool = False) -> RepoCache:
    """The user's repository cache; ``images``: those on the Docker engine may be copied from.

    Raises ``UsageError`` without git, or when ``repos`` is no folder.
    """
    check_git()
    folder = Path(repos).expanduser() if repos else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--repos {repos}: there is no such folder")
    streams = assets.assets_root() / "eval" / "suites" / "demo" / "repos"
    sources = RepoSources(repos=folder, streams=streams, progress=say)
    if images:
        sources = replace(sources, copy_out=copy_git_folder)
    place, wanted = cache_folder()
    if place != wanted:
        say(f"{wanted} cannot be written to: repositories are kept in {place}")
    return RepoCache(place, sources)


def copy_git_folder(
    instance: Instance, target: Path, *, engine: engines.Engine | None = None
) -> Path | None:
    """The git folder of an image that is on this engine already, in ``target``; never pulls."""
    try:
        engine = engine or engines.Engine.connect()
        if not instance.image or not engine.has(instance.image):
            return None
        with tempfile.TemporaryFile() as file:
            for chunk in engine.export_path(instance.image, f"{instance.workdir}/.git"):
                file.write(chunk)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                tar.extractall(target, filter="data")
    except (UsageError, SandboxError, tarfile.TarError, OSError):
        return None
    return target / ".git"


def graph_of(repos: RepoCache, instance: Instance, say: Say) -> CodeGraph | None:
    """The code graph at the base commit, or None (and a message) when it cannot be read."""
    try:
        facts = FactStore(repos.folder / "facts.db")
        return build_graph(repos.path(instance), instance.base_commit, facts)
    except RepoError as error:
        say(f"{instance.id}: routed by its text alone: {error}")
        return None


def past_commits_of(repos: RepoCache, instance: Instance, say: Say) -> tuple[PastCommit, ...]:
    """Commits before the base commit; none (and a message) when they cannot be read."""
    try:
        return past_commits(repos.path(instance), instance.base_commit)
    except RepoError as error:
        say(f"{instance.id}: routed without its repository's history: {error}")
        return ()
