"""Sandboxes on this machine without Docker: bubblewrap, else unshare, else, if asked, a process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from swe_router.errors import DiskFull, SandboxError, UsageError, WouldNotStart
from swe_router.records import Instance
from swe_router.sandboxes import bwrap, inner_processes, resource_limits, unshare, visible_mounts
from swe_router.sandboxes.channel import ChannelSandbox
from swe_router.sandboxes.channel_loop import LAUNCH, LOOP
from swe_router.sandboxes.pipes import Pipes, UnwalledSandbox
from swe_router.sandboxes.temp_folders import CARD, discard_folder, folder_prefix
from swe_router.sandboxes.work_trees import WorkTrees
from swe_router.settings import SandboxSettings

ETC = {
    "passwd": "root:x:0:0:root:/tmp:/bin/sh\nbox:x:{uid}:{gid}:box:/tmp:/bin/sh\n",
    "group": "root:x:0:\nbox:x:{gid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


def _never() -> bool:
    return False


class LocalSandboxes:
    """Opens sandboxes on this machine; ``start`` gives a bare repository with the base commit."""

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        start: Callable[[Instance], Path],
        run: str,
        lock: Path,
        stopping: Callable[[], bool] = _never,
        wall: str = "",
    ) -> None:
        """``wall`` names the isolation; empty takes the best there is.

        Raises ``UsageError`` when there is none and ``settings.unsafe`` is not set.
        """
        self._scratch = resource_limits.scratch_bytes(settings)
        self._settings = settings
        self._start = start
        self._run = run
        self._lock = lock
        self._stopping = stopping
        self.wall = wall or best_wall(unsafe=settings.unsafe, run=self._run)
        """``bwrap``, ``unshare``, ``unshare-user`` or ``process``."""
        self._owner = None if self.wall == "process" else visible_mounts.sandbox_owner()
        self._trees = WorkTrees(owner=self._owner)

    def prepare(self, instance: Instance) -> None:
        """See that the repository is there; raises what ``start`` raises."""
        self._start(instance)

    @contextmanager
    def open(self, instance: Instance) -> Iterator[ChannelSandbox]:
        """A sandbox with a fresh work tree of the base commit; removed at the end of the ``with``.

        Raises ``WouldNotStart`` or ``DiskFull``.
        """
        repository = self._start(instance)
        with _broken_disk():
            folder = Path(tempfile.mkdtemp(prefix=folder_prefix(self._run)))
        sandbox: ChannelSandbox | None = None
        # Held as long as the sandbox lives, so that the reaper knows an orphan from a sandbox in
        # use.
        with (folder / CARD).open("w", encoding="utf-8") as card:
            fcntl.flock(card, fcntl.LOCK_EX)
            try:
                sandbox = self._made(instance, repository, folder, card)
                yield sandbox
            finally:
                if sandbox is not None:
                    sandbox.close()
                discard_folder(folder)

    def _made(
        self, instance: Instance, repository: Path, folder: Path, card: TextIO
    ) -> ChannelSandbox:
        with _broken_disk():
            groups = (
                []
                if self.wall == "process"
                else resource_limits.make_cgroups(folder.name, self._settings)
            )
            owner = {"run": self._run, "lock": str(self._lock.absolute())}
            card.write(json.dumps({**owner, "groups": [str(group) for group in groups]}))
            card.flush()
            self._trees.make(repository, instance.base_commit, folder / "tree")
            return self._launched(instance.workdir, folder, groups)

    def _launched(self, workdir: str, folder: Path, groups: list[Path]) -> ChannelSandbox:
        tree = folder / "tree"
        variables = visible_mounts.command_environment()
        scope = {"SWE_ROUTER_LOOP": LOOP, "SWE_ROUTER_SCOPE": "namespace"}
        if self.wall == "process":
            (folder / "home").mkdir()
            variables |= {"HOME": str(folder / "home"), "SWE_ROUTER_BOX": folder.name}
            variables["PATH"] += os.pathsep + os.environ.get("PATH", "")
            scope["SWE_ROUTER_SCOPE"] = "group"
        command = resource_limits.enter_cgroups(
            groups, self._settings, self._command(workdir, folder, variables | scope)
        )
        pipes = Pipes(
            command, variables | scope if self.wall == "process" else None, owner=self._owner
        )
        identity = f"local:{self.wall}"
        if self.wall == "process":
            sandbox: ChannelSandbox = UnwalledSandbox(
                pipes, identity, self._settings.output_bytes, self._stopping, tree, workdir
            )
        else:
            sandbox = ChannelSandbox(
                pipes,
                identity,
                workdir=workdir,
                output_bytes=self._settings.output_bytes,
                stopping=self._stopping,
                empty=lambda: inner_processes.kill_inner_processes(pipes.pid),
            )
        try:
            sandbox.start()
        except SandboxError as error:
            raise WouldNotStart(
                f"the local sandbox ({self.wall}) would not start: {error}"
            ) from None
        return sandbox

    def _command(self, workdir: str, folder: Path, env: dict[str, str]) -> list[str]:
        launch = ["sh", "-c", LAUNCH]
        if self.wall == "process":
            return launch
        for name, text in ETC.items():
            who = self._owner or visible_mounts.SandboxOwner(os.getuid(), os.getgid())
            (folder / name).write_text(text.format(uid=who.uid, gid=who.gid), encoding="ascii")
            (folder / name).chmod(0o644)
        hidden = [Path.home(), self._lock.parent, Path(tempfile.gettempdir())]
        mounts = visible_mounts.mount_plan(
            folder / "tree", workdir, hidden, [folder / name for name in ETC]
        )
        if self.wall == "bwrap":
            return bwrap.bwrap_command(
                mounts, launch, env, owner=self._owner, scratch=self._scratch
            )
        (folder / "root").mkdir()
        user = self.wall == "unshare-user"
        return unshare.unshare_command(
            mounts,
            launch,
            env,
            root=folder / "root",
            user=user,
            owner=self._owner,
            scratch=self._scratch,
        )


@contextmanager
def _broken_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left in {tempfile.gettempdir()}") from None
        raise WouldNotStart(f"the local sandbox would not start: {error}") from None


def best_wall(
    *, unsafe: bool, run: str = "", works: Callable[[list[str]], bool] | None = None
) -> str:
    """The strongest isolation that works here. Raises ``UsageError`` when none does.

    What a killed process leaves of the trial has the name of a folder of ``run``: it is reaped.
    """
    works = works or _works
    with tempfile.TemporaryDirectory(prefix=folder_prefix(run)) as empty:
        for wall, command in _tried(Path(empty)).items():
            if works(command):
                _must_be_readable()
                return wall
    if unsafe:
        return "process"
    raise UsageError(
        "no local sandbox can be opened here: install bubblewrap (apt-get install bubblewrap) or "
        "start Docker, or accept plain processes with --sandbox local --unsafe"
    )


def _tried(empty: Path) -> dict[str, list[str]]:
    """Wall -> a sandbox that runs ``true``, the strongest wall first."""
    mounts, env, owner = (
        visible_mounts.system_mounts(),
        visible_mounts.command_environment(),
        visible_mounts.sandbox_owner(),
    )
    tried = {"bwrap": bwrap.bwrap_command(mounts, ["true"], env, owner=owner)}
    for wall, user in {"unshare": False, "unshare-user": True}.items():
        # Nobody can be had from root alone: a user namespace would hold one user.
        whom = None if user else owner
        tried[wall] = unshare.unshare_command(
            mounts, ["true"], env, root=empty, user=user, owner=whom
        )
    return tried


def _must_be_readable() -> None:
    """Raise ``UsageError`` where a sandbox would show an interpreter that its user cannot read."""
    if visible_mounts.sandbox_owner() is None:
        return
    for prefix in dict.fromkeys([sys.prefix, sys.base_prefix]):
        if not Path(prefix).stat().st_mode & stat.S_IXOTH:
            raise UsageError(
                f"a sandbox of root's runs as nobody, who cannot read {prefix}: run as an ordinary "
                f"user, or chmod -R o+rX {prefix}"
            )


def _works(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
