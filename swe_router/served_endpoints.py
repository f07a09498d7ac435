"""The model servers that ``swe-router serve`` supervises on this machine, and their keys.

One record per port in a folder of the user's alone. The supervisor holds the record's lock, so a
record of a dead one is no server. A run reads here why a server does not answer, and its key.
"""

from __future__ import annotations

import fcntl
import json
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

State = Literal["starting", "ready", "restarting", "stopping"]
COMING = frozenset({"starting", "restarting"})
"""States of a server that will answer by itself if one waits."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
KEY_VARIABLE = "SWE_ROUTER_SERVE_KEY"
"""Environment variable of a served endpoint's key, for both sides."""


@dataclass(frozen=True)
class ServedEndpoint:
    """A server as its supervisor knows it; ``since`` is a unix time."""

    port: int
    model: str
    state: State
    since: float
    supervisor: int
    """Process id of ``swe-router serve``."""
    restarts: int = 0
    why: str = ""
    """Why it is not ready, in one line."""


def endpoints_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the records are: ``$XDG_STATE_HOME/swe-router/servers``, else under the home."""
    home = environ.get("HOME") or "~"
    state = environ.get("XDG_STATE_HOME") or f"{home}/.local/state"
    return Path(state).expanduser() / "swe-router" / "servers"


def endpoint_at(base_url: str, folder: Path | None = None) -> ServedEndpoint | None:
    """The supervised server behind a tier's ``base_url``; None where there is none.

    Only addresses of this machine are looked up: a key is sent nowhere else.
    """
    port = _local_port(base_url)
    place = folder or endpoints_folder()
    if not port or not is_held(place / f"{port}.lock"):
        return None
    try:
        return ServedEndpoint(**json.loads((place / f"{port}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def key_at(base_url: str, folder: Path | None = None) -> str:
    """The key of the supervised server behind a ``base_url``; empty where there is none."""
    found = endpoint_at(base_url, folder)
    if found is None:
        return ""
    try:
        return key_file(found.port, folder).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def key_file(port: int, folder: Path | None = None) -> Path:
    """Where the key of a port's server lies while it is served."""
    return (folder or endpoints_folder()) / f"{port}.key"


def write_record(endpoint: ServedEndpoint, folder: Path) -> None:
    """Say how a server is, in one step."""
    fresh = folder / f"{endpoint.port}.json.{os.getpid()}"
    write_private(fresh, json.dumps(asdict(endpoint)))
    fresh.replace(folder / f"{endpoint.port}.json")


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def remove_record(port: int, folder: Path) -> None:
    """Forget a server: its record, key and lock."""
    for suffix in ("json", "key", "lock"):
        (folder / f"{port}.{suffix}").unlink(missing_ok=True)


def is_held(lock: Path) -> bool:
    """Whether a live supervisor holds the lock of a record."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _local_port(base_url: str) -> int:
    """The port of an ``http://`` address of this machine; 0 for any other."""
    try:
        parts = urllib.parse.urlsplit(base_url)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        return (parts.port or 80) if local else 0
    except ValueError:
        return 0
