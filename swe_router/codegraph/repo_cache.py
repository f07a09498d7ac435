"""The cache of bare repositories: each project is brought to this machine once.

Workers and processes share it. One of them builds an entry under a lock, in a folder of its own
that is renamed when whole; the others wait and find it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.codegraph.git_objects import GitObjects, RepoError
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance

if TYPE_CHECKING:
    from swe_router.codegraph import repo_building
else:
    repo_building = deferred_module("swe_router.codegraph.repo_building")

GITHUB = "https://github.com/{repo}.git"
DEMO_OWNER = "demo"
ASKED_AGAIN_SECONDS = 60.0
"""A repository that could not be had is asked for again after so long: the network may be back."""
_MARK = "swe-router-whole"
"""A file in every entry that was built to its end."""


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/swe-router/repos``, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "swe-router" / "repos"


def _silent(line: str) -> None:
    """Progress that nobody asked for."""


def _no_copy(instance: Instance, place: Path) -> Path | None:
    """No image to copy from."""
    return None


@dataclass(frozen=True)
class RepoSources:
    """Where a repository may come from."""

    repos: Path | None = None
    """The user's own folder of repositories: used in place, never written to."""
    streams: Path | None = None
    """Folder of ``NAME.fi`` fast-import texts for the repositories ``demo/NAME``."""
    copy_out: Callable[[Instance, Path], Path | None] = _no_copy
    """A repository copied out of an image that is on this machine into a folder, or None.
    Never pulls."""
    url: str = GITHUB
    """Where to clone from; empty forbids the network."""
    progress: Callable[[str], None] = _silent


@dataclass
class RepoCache:
    """Bare repositories by project, in one folder."""

    folder: Path
    sources: RepoSources = RepoSources()
    _failed: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Repository -> why it could not be had, and when that was found out."""

    def path(self, instance: Instance) -> Path:
        """A repository that holds the instance's base commit; builds or completes it if need be.

        Raises ``RepoError`` that says where was looked and what to do.
        """
        _check(instance)
        theirs = self._users(instance)
        if theirs is not None:
            return theirs
        entry = self.folder / f"{_flat(instance.repo)}.git"
        if _whole(entry) and _readable(entry, instance.base_commit):
            return entry
        try:
            with self._locked(instance):
                self._bring(instance, entry)
        except OSError as error:
            raise RepoError(f"cannot write the repository cache {self.folder}: {error}") from None
        return entry

    def offered(self, instance: Instance) -> str:
        """Where ``path`` would take the repository from; asks, and brings nothing.

        Raises ``RepoError`` where it would.
        """
        _check(instance)
        theirs = self._users(instance)
        if theirs is not None:
            return str(theirs)
        stream = self._stream(instance)
        if stream is not None:
            return str(stream)
        entry = self.folder / f"{_flat(instance.repo)}.git"
        if _whole(entry) and _readable(entry, instance.base_commit):
            return str(entry)
        url = self._address(instance)
        if instance.repo.startswith(f"{DEMO_OWNER}/") or not url:
            raise RepoError(self._nowhere(instance, "there is nowhere to clone it from"))
        try:
            repo_building.check_answers(url)
        except RepoError as error:
            raise RepoError(self._nowhere(instance, str(error))) from None
        return url

    def _bring(self, instance: Instance, entry: Path) -> None:
        own = re.compile(rf"\.new-{re.escape(_flat(instance.repo))}-[a-z0-9_]{{8}}")
        for left in filter(lambda one: own.fullmatch(one.name), self.folder.glob(".new-*")):
            shutil.rmtree(left, ignore_errors=True)  # a build that was killed
        if entry.exists() and not _sound(entry):
            self.sources.progress(f"{entry} is damaged: building it again")
            shutil.rmtree(entry)
        if entry.exists() and _readable(entry, instance.base_commit):
            return  # another worker was here while we waited
        stream = self._stream(instance)
        if stream is not None:
            self._from_stream(stream, entry, instance)
        elif not self._from_image(entry, instance):
            self._from_network(entry, instance)

    def _from_stream(self, stream: Path, entry: Path, instance: Instance) -> None:
        with self._new(entry) as fresh:
            repo_building.build_from_stream(stream, fresh)
            if not _readable(fresh, instance.base_commit):
                raise RepoError(f"{stream} does not hold commit {instance.base_commit}")

    def _from_image(self, entry: Path, instance: Instance) -> bool:
        with self._scratch(entry) as place:
            copied = self.sources.copy_out(instance, place)
            return copied is not None and self._taken(copied, entry, instance)

    def _taken(self, copied: Path, entry: Path, instance: Instance) -> bool:
        try:
            if entry.exists():
                _fetch_all(entry, copied, instance.base_commit)
            else:
                with self._new(entry) as fresh:
                    repo_building.init_bare(fresh)
                    _fetch_all(fresh, copied, instance.base_commit)
        except RepoError as error:
            self.sources.progress(f"the repository in the image of {instance.id}: {error}")
            return False
        return _readable(entry, instance.base_commit)

    def _from_network(self, entry: Path, instance: Instance) -> None:
        url = self._address(instance)
        if instance.repo.startswith(f"{DEMO_OWNER}/") or not url:
            raise RepoError(self._nowhere(instance, "there is nowhere to clone it from"))
        why, at = self._failed.get(instance.repo, ("", 0.0))
        if why and time.monotonic() - at < ASKED_AGAIN_SECONDS:
            raise RepoError(self._nowhere(instance, why))
        try:
            if not entry.exists():
                with self._new(entry) as fresh:
                    repo_building.clone_bare(url, fresh, self.sources.progress)
            if not _readable(entry, instance.base_commit):
                refspec = f"+{instance.base_commit}:refs/bases/{instance.base_commit}"
                repo_building.fetch_refspec(entry, url, refspec)
        except RepoError as error:
            self._failed[instance.repo] = str(error), time.monotonic()
            raise RepoError(self._nowhere(instance, str(error))) from None
        if not _readable(entry, instance.base_commit):
            raise RepoError(self._nowhere(instance, f"{url} does not hold the commit"))

    def _nowhere(self, instance: Instance, why: str) -> str:
        looked = f"; looked in {self.sources.repos}" if self.sources.repos else ""
        return (
            f"no repository of {instance.repo} with commit {instance.base_commit[:12]}: {why}"
            f"{looked}. Give a folder that holds {_flat(instance.repo)}.git with --repos DIR"
        )

    def _address(self, instance: Instance) -> str:
        return instance.repository or self.sources.url.format(repo=instance.repo)

    def _users(self, instance: Instance) -> Path | None:
        given = Path(instance.repository)
        if given.is_absolute():
            if _readable(given, instance.base_commit):
                return given
            raise RepoError(f"{given} is no git repository with commit {instance.base_commit}")
        if self.sources.repos is None:
            return None
        flat, name = _flat(instance.repo), instance.repo.partition("/")[2]
        names = (f"{flat}.git", flat, f"{instance.repo}.git", instance.repo, f"{name}.git", name)
        for found in (self.sources.repos / one for one in names):
            if found.is_dir() and _readable(found, instance.base_commit):
                return found
        return None

    def _stream(self, instance: Instance) -> Path | None:
        owner, _, name = instance.repo.partition("/")
        if owner != DEMO_OWNER or self.sources.streams is None:
            return None
        stream = self.sources.streams / f"{name}.fi"
        return stream if stream.is_file() else None

    @contextlib.contextmanager
    def _locked(self, instance: Instance) -> Iterator[None]:
        locks = self.folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / f"{_flat(instance.repo)}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.sources.progress(f"waiting for another worker to bring {instance.repo}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _new(self, entry: Path) -> Iterator[Path]:
        """A folder to build in; it becomes the entry when the block ends well."""
        with self._scratch(entry) as work:
            yield work / "repo"
            (work / "repo" / _MARK).touch()
            if entry.exists():
                shutil.rmtree(entry)
            (work / "repo").rename(entry)

    @contextlib.contextmanager
    def _scratch(self, entry: Path) -> Iterator[Path]:
        work = Path(tempfile.mkdtemp(prefix=f".new-{entry.stem}-", dir=self.folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _fetch_all(into: Path, source: Path, commit: str) -> None:
    """HEAD of an image (its set-up commits) or, where that lacks the commit, all of its refs."""
    with contextlib.suppress(RepoError):
        repo_building.fetch_refspec(into, str(source), f"+HEAD:refs/images/{commit}/HEAD")
    if not _readable(into, commit):
        repo_building.fetch_refspec(into, str(source), f"+refs/*:refs/images/{commit}/*")
    if not _readable(into, commit):
        raise RepoError(f"does not hold commit {commit}")


def _check(instance: Instance) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", instance.repo) or ".." in instance.repo:
        raise RepoError(f"{instance.id}: {instance.repo!r} is not owner/name of a repository")
    if not instance.base_commit:
        raise RepoError("its data set names no base commit")
    if not re.fullmatch(r"[0-9a-f]{7,64}", instance.base_commit):
        raise RepoError(f"{instance.id}: {instance.base_commit!r} is not a commit id")


def _flat(repo: str) -> str:
    return repo.replace("/", "__")


def _whole(entry: Path) -> bool:
    return (entry / _MARK).exists()


def _sound(entry: Path) -> bool:
    """Built to its end, and git can read its newest commits."""
    if not _whole(entry):
        return False
    try:
        return GitObjects(entry).sound()
    except RepoError:
        return False


def _readable(repo: Path, commit: str) -> bool:
    """The commit is there, and so are all objects of its tree."""
    try:
        objects = GitObjects(repo)
        return objects.has(commit) and objects.complete(commit)
    except RepoError:
        return False


def cache_folder() -> tuple[Path, Path]:
    """Where repositories are kept, and where they would be if that could be written to.

    A home that is read only (a container, a cluster's node) is no reason to fail: they go to a
    folder of this user among the temporary ones then.
    """
    wanted = default_folder()
    if _writable(wanted):
        return wanted, wanted
    own = Path(tempfile.gettempdir()) / f"swe-router-{os.getuid()}"
    with contextlib.suppress(OSError):
        own.mkdir(mode=0o700, exist_ok=True)
        if own.is_symlink() or own.stat().st_uid != os.getuid():
            return wanted, wanted  # somebody else's: using it would be worse than failing
    place = own / "repos"
    return (place, wanted) if _writable(place) else (wanted, wanted)


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if need be; ``access`` may be wrong."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
