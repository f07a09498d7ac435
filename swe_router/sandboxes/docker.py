"""Sandboxes in Docker: the container's main process is the channel's loop itself.

So the process that holds the attached socket holds the container's life: when the driver dies, even
by kill -9, the engine closes the loop's input, the loop ends and ``AutoRemove`` takes the rest
away.
"""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router.errors import EngineGone, ImageMissing, SandboxError, WouldNotStart
from swe_router.lazy_imports import deferred_module
from swe_router.records import Instance
from swe_router.sandboxes.channel import ChannelSandbox
from swe_router.sandboxes.channel_loop import LAUNCH, LOOP
from swe_router.sandboxes.resource_limits import disk_bytes, memory_bytes
from swe_router.settings import SandboxSettings

if TYPE_CHECKING:
    import swe_router.sandboxes.docker_engine as engines
else:
    engines = deferred_module("swe_router.sandboxes.docker_engine")

RUN_LABEL = "swe-router.run"
LOCK_LABEL = "swe-router.lock"
INSTANCE_LABEL = "swe-router.instance"
HOST_LABEL = "swe-router.host"
"""Machine that the lock file lies on: an engine may serve several."""

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")
"""What tests that run as root in an official image take for granted: to own (CHOWN, FOWNER) and
to open (DAC_OVERRIDE) any file of the project, to drop to another user (SETUID, SETGID, as pip,
git and su do), and for the loop to kill what such a user started (KILL). Nothing that reaches
out of the container (NET_RAW, MKNOD, SYS_CHROOT, ...) is given back."""

SETUP = 600.0
"""Seconds for an instance's set-up lines."""


def _never() -> bool:
    return False


def _silent(line: str) -> None:
    return None


def check_engine() -> None:
    """See that an engine answers; raises ``UsageError`` that says how to get one."""
    engines.Engine.connect()


class DockerSandboxes:
    """Opens containers of the instances' images, on the engine that the environment names."""

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        run: str,
        lock: Path,
        stopping: Callable[[], bool] = _never,
        progress: Callable[[str], None] = _silent,
        engine: engines.Engine | None = None,
    ) -> None:
        """``lock`` is the run's lock file: while it is held the reaper spares our containers.

        Raises ``UsageError`` when no engine answers or the memory limit is no size.
        """
        self._memory = memory_bytes(settings)
        self._disk = disk_bytes(settings)
        self._settings = settings
        here = {LOCK_LABEL: str(lock.absolute()), HOST_LABEL: socket.gethostname()}
        self._labels = {RUN_LABEL: run, **here}
        self._stopping = stopping
        self._progress = progress
        self._engine = engine or engines.Engine.connect()

    def prepare(self, instance: Instance) -> None:
        """See that the image is on the engine, pulling it if the settings say so.

        Raises ``ImageMissing`` that names it and says what to do.
        """
        self._image_id(instance)

    @contextmanager
    def open(self, instance: Instance, files: bytes = b"") -> Iterator[ChannelSandbox]:
        """A fresh container of the instance's image; removed at the end of the ``with``.

        ``files`` is a tar that is unpacked in the work folder before it starts. Raises
        ``ImageMissing``, ``DiskFull`` or ``WouldNotStart``.
        """
        image = self._image_id(instance)
        sandbox = self._started(instance, image, self._limits(), files)
        try:
            yield sandbox
        finally:
            sandbox.close()

    @contextmanager
    def open_networked(self, instance: Instance) -> Iterator[ChannelSandbox]:
        """See ``datasets.SupportsNetwork``: the container is on the engine's bridge network."""
        limits = {**self._limits(), "network_mode": "bridge"}
        sandbox = self._started(instance, self._image_id(instance), limits)
        try:
            yield sandbox
        finally:
            sandbox.close()

    def _image_id(self, instance: Instance) -> str:
        image = instance.image
        if not image:
            raise ImageMissing(
                f"instance {instance.id} names no image: give its row an image column, or use "
                "--sandbox local for repositories that you trust"
            )
        found = self._engine.image_id(image)
        if found:
            return found
        if instance.build:
            self._engine.build(instance.build, image, self._progress)
            return self._engine.image_id(image)
        if not self._settings.pull:
            raise ImageMissing(
                f"image {image} is not on this engine and sandbox.pull is off: "
                f"docker pull {image}, or --set sandbox.pull=true"
            )
        self._engine.pull(image, self._progress)
        return self._engine.image_id(image)

    def _started(
        self, instance: Instance, image: str, limits: dict[str, Any], files: bytes = b""
    ) -> ChannelSandbox:
        container = self._engine.create(image, self._config(instance), limits)
        try:
            if files:
                self._engine.put(container, instance.workdir, files)
            wire = self._engine.attach(container)
            self._engine.start(container)
            sandbox = ChannelSandbox(
                wire,
                f"docker:{image}",
                workdir=instance.workdir,
                output_bytes=self._settings.output_bytes,
                stopping=self._stopping,
                empty=lambda: self._engine.empty(container),
            )
            sandbox.start()
            if instance.setup:
                _set_up(sandbox, instance)
        except BaseException as error:
            self._drop(container)
            final = isinstance(error, SandboxError) and not error.retry
            if final or isinstance(error, EngineGone):
                raise
            if isinstance(error, SandboxError):
                message = f"the container of {instance.image} would not start: {error}"
                raise WouldNotStart(message) from None
            raise
        return sandbox

    def _drop(self, container: str) -> None:
        try:
            self._engine.remove(container)
        except SandboxError:
            return  # the engine is gone too; the reaper finds the container by its label

    def _config(self, instance: Instance) -> dict[str, Any]:
        return {
            "entrypoint": ["sh", "-c", LAUNCH],
            "command": [],
            "name": f"swe-router-{secrets.token_hex(6)}",
            "stdin_open": True,  # docker-py sets StdinOnce with it: our end closes the input
            "tty": False,
            "working_dir": "/",
            "user": instance.user or None,
            "environment": {"SWE_ROUTER_LOOP": LOOP, "SWE_ROUTER_SCOPE": "namespace"},
            "labels": {**self._labels, INSTANCE_LABEL: instance.id},
            "healthcheck": {"test": ["NONE"]},
        }

    def _limits(self) -> dict[str, Any]:
        return {
            # The loop is the first process itself: no signal from inside ends it.
            "init": False,
            "auto_remove": True,
            "network_mode": "none",
            "cap_drop": ["ALL"],
            "cap_add": list(CAPABILITIES),
            "security_opt": ["no-new-privileges"],
            "mem_limit": self._memory,
            "memswap_limit": self._memory,
            "pids_limit": self._settings.pids,
            "ulimits": [{"Name": "fsize", "Soft": self._disk, "Hard": self._disk}],
            "storage_opt": {"size": str(self._disk)},
            "nano_cpus": int(self._settings.cpus * 1e9) or None,
            # The output comes to us by the socket; a log of it would fill the engine's disk.
            "log_config": {"Type": "none", "Config": {}},
        }


def _set_up(sandbox: ChannelSandbox, instance: Instance) -> None:
    """Carry out the instance's set-up lines. Raises ``WouldNotStart``."""
    place = shlex.quote(instance.workdir)
    script = (
        f"git config --global --add safe.directory {place}; cd {place} && {{ {instance.setup}\n}}"
    )
    result = sandbox.run(script, timeout=SETUP, cwd="/")
    if result.exit_code or result.timed_out:
        message = result.output.strip()[-300:] or f"exit {result.exit_code}"
        raise WouldNotStart(f"{instance.id}: the image cannot be set up for the issue: {message}")
