"""The only door to Docker: what sandboxes, reaper and repository cache ask of an engine."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.api import APIClient
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env, parse_repository_tag
from urllib3.exceptions import HTTPError

from swe_router.errors import (
    DiskFull,
    EngineGone,
    ImageMissing,
    Lost,
    NoImageStore,
    SandboxError,
    UsageError,
    WouldNotStart,
)

BROKEN = (DockerException, OSError, HTTPError)
"""What docker-py raises when the engine refuses or is not there."""
SOCKETS = ("/var/run/docker.sock", "~/.docker/run/docker.sock", "~/.colima/default/docker.sock")
"""Where an engine listens when DOCKER_HOST does not say."""
_ABSENT = re.compile(
    r"manifest unknown|not found|no such image|does not exist|access denied|unauthorized"
    r"|no matching manifest|invalid reference|name unknown",
    re.IGNORECASE,
)
"""What registries say of an image that they do not have, or not for us."""
_NO_QUOTA = re.compile(r"storage-?opt|pquota|quota not|size is not supported", re.IGNORECASE)
"""What storage drivers say that cannot limit a container."""
TIMEOUT = 60
"""Seconds for one answer of the engine."""


@dataclass(frozen=True)
class Container:
    """A container of ours, as the reaper sees it."""

    id: str
    labels: Mapping[str, str]
    state: str


class Engine:
    """One Docker engine; failures are ``SandboxError``, only ``connect`` raises ``UsageError``."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.limits_disk = True
        """Whether a container can be given a size; False once the engine refused."""

    @classmethod
    def connect(cls) -> Engine:
        """The engine of DOCKER_HOST, or of the usual sockets; raises ``UsageError``."""
        where = os.environ.get("DOCKER_HOST") or _socket()
        try:
            given: dict[str, Any] = {**kwargs_from_env()}
            given.setdefault("base_url", where)
            return cls(APIClient(version="auto", timeout=TIMEOUT, **given))
        except BROKEN as error:
            raise UsageError(
                f"no Docker engine answers at {where} ({_words(error)}): start it, give yourself "
                "the right to use it, set DOCKER_HOST, or use --sandbox local"
            ) from None

    def ping(self) -> bool:
        """Whether the engine answers now."""
        try:
            return bool(self._api.ping())
        except BROKEN:
            return False

    def describe(self) -> dict[str, str]:
        """Version, storage driver, data folder and cgroup version, for ``doctor``."""
        try:
            info = self._api.info()
        except BROKEN as error:
            raise WouldNotStart(f"the Docker engine does not answer: {_words(error)}") from None
        names = ("ServerVersion", "Driver", "DockerRootDir", "CgroupVersion", "Architecture")
        return {name: str(info.get(name, "")) for name in names}

    def has(self, image: str) -> bool:
        """Whether the image is on this engine."""
        return bool(self.image_id(image))

    def bytes_of(self, image: str) -> int:
        """Size of a local image in bytes; 0 where it is not on this engine."""
        try:
            return int(self._api.inspect_image(image).get("Size") or 0)
        except NotFound:
            return 0
        except BROKEN as error:
            raise _translated(error, image) from None

    def image_id(self, image: str) -> str:
        """``sha256:…`` of a local image, or the empty string."""
        try:
            return str(self._api.inspect_image(image)["Id"])
        except NotFound:
            return ""
        except BROKEN as error:
            raise _translated(error, image) from None

    def offered(self, image: str) -> None:
        """See that the image's store has it, without pulling it.

        Raises ``ImageMissing`` where it has not, ``NoImageStore`` where it could not be asked.
        """
        try:
            self._api.inspect_distribution(image)
        except BROKEN as error:
            if isinstance(error, APIError):
                raise _not_pulled(image, _words(error)) from None
            raise _translated(error, image) from None

    def pull(self, image: str, progress: Callable[[str], None]) -> None:
        """Pull an image; ``progress`` gets lines for people. Raises ``ImageMissing``."""
        repository, tag = parse_repository_tag(image)
        # The official images exist for x86_64 only; other machines emulate it.
        platform = "linux/amd64" if "x86_64" in image else None
        layers: dict[str, str] = {}
        try:
            events = self._api.pull(
                repository, tag=tag or "latest", stream=True, decode=True, platform=platform
            )
            for event in events:
                if "error" in event:
                    raise _not_pulled(image, str(event["error"]))
                if event.get("id") and event.get("status"):
                    layers[event["id"]] = event["status"]
                    done = sum(s in ("Pull complete", "Already exists") for s in layers.values())
                    progress(f"{image}: {done} of {len(layers)} layers")
        except APIError as error:
            raise _not_pulled(image, _words(error)) from None
        except BROKEN as error:
            raise _translated(error, image) from None

    def build(self, folder: str, image: str, progress: Callable[[str], None]) -> None:
        """Build ``image`` from a folder with a Dockerfile; ``progress`` gets its lines.

        Raises ``ImageMissing`` with the builder's last words.
        """
        try:
            for event in self._api.build(path=folder, tag=image, rm=True, decode=True):
                if "error" in event:
                    raise ImageMissing(f"{folder} makes no image: {str(event['error'])[:400]}")
                line = str(event.get("stream", "")).strip()
                if line:
                    progress(f"{image}: {line[:200]}")
        except TypeError as error:  # docker-py's word for a folder without a Dockerfile
            raise ImageMissing(f"{folder} makes no image: {error}") from None
        except APIError as error:
            raise ImageMissing(f"{folder} makes no image: {_words(error)}") from None
        except BROKEN as error:
            raise _translated(error, image) from None

    def containers(self, label: str) -> list[Container]:
        """Every container, running or not, that bears ``label`` (``key`` or ``key=value``)."""
        try:
            rows = self._api.containers(all=True, filters={"label": label})
        except BROKEN as error:
            raise _translated(error) from None
        return [Container(row["Id"], row.get("Labels") or {}, row["State"]) for row in rows]

    def create(self, image: str, config: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
        """Id of a new container; raises ``ImageMissing``, ``DiskFull`` or ``WouldNotStart``."""
        wanted = dict(limits)
        if not self.limits_disk:
            wanted.pop("storage_opt", None)
        try:
            host = self._api.create_host_config(**wanted)
            made = self._api.create_container(image, host_config=host, **config)
        except BROKEN as error:
            if "storage_opt" in wanted and _NO_QUOTA.search(_words(error)):
                self.limits_disk = False
                return self.create(image, config, limits)
            raise _translated(error, image) from None
        return str(made["Id"])

    def put(self, container: str, path: str, files: bytes) -> None:
        """Unpack a tar at ``path`` of a container; raises ``SandboxError``."""
        try:
            self._api.put_archive(container, path, files)
        except BROKEN as error:
            raise _translated(error) from None

    def attach(self, container: str) -> ContainerChannel:
        """Its streams; to be called before ``start`` so that nothing is missed."""
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        try:
            return ContainerChannel(
                self, container, self._api.attach_socket(container, params=wanted)
            )
        except BROKEN as error:
            raise _translated(error) from None

    def start(self, container: str) -> None:
        """Start it; raises ``DiskFull`` or ``WouldNotStart``."""
        try:
            self._api.start(container)
        except BROKEN as error:
            raise _translated(error) from None

    def remove(self, container: str) -> None:
        """Kill and remove it, and wait until it is gone; not being there is fine."""
        until = time.monotonic() + 30.0
        while time.monotonic() < until:
            try:
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:
                    raise _translated(error) from None
                time.sleep(0.05)  # its own AutoRemove is at work
            except BROKEN as error:
                raise _translated(error) from None

    def empty(self, container: str) -> bool:
        """Kill all of a container but its first process; False when that cannot be done."""
        try:
            made = self._api.exec_create(container, ["sh", "-c", "kill -9 -1"])
            self._api.exec_start(made["Id"])
        except BROKEN:
            return False
        return True

    def fate(self, container: str) -> str:
        """Why a container may have ended, in a few words."""
        try:
            state = self._api.inspect_container(container)["State"]
        except NotFound:
            return "its container ended and was removed"
        except BROKEN:
            return "the Docker engine does not answer"
        if state.get("OOMKilled"):
            return "its container ran out of memory"
        return f"its container is {state.get('Status')} (exit {state.get('ExitCode')})"

    def export_path(
        self, image: str, path: str, labels: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """A tar stream of ``path`` in an image, which is not run.

        Raises ``ImageMissing``, ``FileNotFoundError`` when the image has no such path, or
        another ``SandboxError``.
        """
        container = self.create(image, {"command": ["true"], "labels": dict(labels or {})}, {})
        try:
            stream, _ = self._api.get_archive(container, path)
            yield from stream
        except NotFound:
            raise FileNotFoundError(f"{image} has no {path}") from None
        except BROKEN as error:
            raise _translated(error, image) from None
        finally:
            self.remove(container)


class ContainerChannel:
    """The transport to a container's main process; its end closes that process's input."""

    def __init__(self, engine: Engine, container: str, raw: Any) -> None:
        self._engine = engine
        self._container = container
        self._raw = raw
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._header = b""
        self._left = 0
        self._closed = False

    def send(self, data: bytes, timeout: float) -> None:
        """Write all of ``data``; raises ``Lost`` when that is not possible in time."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(data)
        except TimeoutError:
            raise Lost("the sandbox takes no more commands") from None
        except OSError:
            raise Lost(f"the sandbox went away: {self.epitaph()}") from None

    def recv(self, timeout: float) -> bytes | None:
        """Next bytes of its output, None when none came in time, empty at the end."""
        try:
            self._socket.settimeout(max(timeout, 0.001))
            if self._left == 0 and not self._next_frame():
                return b""
            data = self._socket.recv(min(self._left, 1 << 20))
        except TimeoutError:
            return None
        except OSError:
            return b""
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Remove the container; an engine that does not answer is left to the reaper."""
        if self._closed:
            return
        self._closed = True
        try:
            self._raw.close()
            self._socket.close()
            self._engine.remove(self._container)
        except (SandboxError, OSError):
            return

    def epitaph(self) -> str:
        """What became of the container; ``EngineGone`` where its engine went away with it."""
        if not self._engine.ping():
            raise EngineGone("the sandbox went away: the Docker engine does not answer")
        return self._engine.fate(self._container)

    def _next_frame(self) -> bool:
        """Read on to a frame's payload; False at the end. May time out and be called again."""
        while self._left == 0:
            while len(self._header) < 8:
                more = self._socket.recv(8 - len(self._header))
                if not more:
                    return False
                self._header += more
            self._left = struct.unpack(">BxxxL", self._header)[1]
            self._header = b""
        return True


def _socket() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    places = [*SOCKETS, f"{runtime}/docker.sock"] if runtime else SOCKETS
    found = (path for path in (Path(place).expanduser() for place in places) if path.exists())
    return f"unix://{next(found, Path(SOCKETS[0]))}"


def _words(error: BaseException) -> str:
    message = getattr(error, "explanation", None) or error
    return " ".join(str(message).split())[:300]


def _missing(image: str, why: str) -> ImageMissing:
    return ImageMissing(
        f"image {image} is neither on this engine nor could it be pulled ({why}): check the name, "
        "docker login or the network, or load it by hand (docker load, docker pull)"
    )


def _not_pulled(image: str, why: str) -> SandboxError:
    """Why an image could not be had: the store says no, or it could not be asked."""
    if "no space left" in why.lower():
        return DiskFull(f"the Docker engine has no space left: {why}")
    if _ABSENT.search(why):
        return _missing(image, why)
    return NoImageStore(
        f"image {image} is not on this engine and its store could not be asked ({why}): check "
        "the network, the proxy of the engine and docker login, or load it by hand (docker load)"
    )


def _translated(error: BaseException, image: str = "") -> SandboxError:
    message = _words(error)
    if not isinstance(error, APIError):
        return EngineGone(f"the Docker engine does not answer: {message}")
    if "no space left" in message.lower():
        return DiskFull(f"the Docker engine has no space left: {message}")
    if isinstance(error, NotFound) and image:
        return _missing(image, "it is not there")
    return WouldNotStart(f"Docker: {message}")
