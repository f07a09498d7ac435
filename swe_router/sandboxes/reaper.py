"""Removes what dead runs left behind, and spares every run whose lock file is held."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module
from swe_router.sandboxes.docker import HOST_LABEL, LOCK_LABEL, RUN_LABEL
from swe_router.sandboxes.temp_folders import CARD, PREFIX, discard_folder, folder_prefix

if TYPE_CHECKING:
    import swe_router.sandboxes.docker_engine as engines
else:
    engines = deferred_module("swe_router.sandboxes.docker_engine")

YOUNG = 60.0
"""Seconds for which a sandbox folder without a card may still be in the making."""


def reap(engine: engines.Engine | None, *, run: str | None = None, mine: bool = False) -> list[str]:
    """What was removed, in words: containers of ours and folders of local sandboxes.

    Those of a run whose lock is held stay; ``run`` looks at one run only; ``engine`` None looks
    at this machine's folders alone. With ``mine`` the caller holds the lock of ``run`` itself and
    has opened no sandbox yet (a resume): all of that run is left over, as a container whose driver
    was killed between creating and starting it. Raises ``SandboxError`` when the engine breaks.
    """
    mine = mine and run is not None
    gone = _containers(engine, run, mine=mine) if engine is not None else []
    return gone + _folders(Path(tempfile.gettempdir()), run, mine=mine)


def is_locked(lock: Path) -> bool:
    """Whether another process, or another part of this one, holds the lock file."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it is there and not ours to open: somebody else's run
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _containers(engine: engines.Engine, run: str | None, *, mine: bool) -> list[str]:
    gone = []
    for container in engine.containers(RUN_LABEL if run is None else f"{RUN_LABEL}={run}"):
        labels, here = container.labels, socket.gethostname()
        if labels.get(HOST_LABEL, here) != here:
            continue
        if not mine and _live(labels.get(LOCK_LABEL, "")):
            continue
        engine.remove(container.id)
        gone.append(f"container {container.id[:12]} of run {container.labels.get(RUN_LABEL)}")
    return gone


def _folders(base: Path, run: str | None, *, mine: bool) -> list[str]:
    gone = []
    for folder in sorted(base.glob(f"{PREFIX}*")):
        if not folder.is_dir() or folder.is_symlink() or folder.stat().st_uid != os.getuid():
            continue
        if is_locked(folder / CARD):
            continue
        card = _card(folder)
        if card is None:
            old = run is None and time.time() - folder.stat().st_mtime >= YOUNG
            if not old and not (
                mine and run is not None and folder.name.startswith(folder_prefix(run))
            ):
                continue
        elif run not in (None, card["run"]) or (not mine and _live(card["lock"])):
            continue
        discard_folder(folder)
        gone.append(f"folder {folder}")
    return gone


def _card(folder: Path) -> dict[str, str] | None:
    with contextlib.suppress(OSError, ValueError):
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if isinstance(card, dict) and {"run", "lock"} <= card.keys():
            return card
    return None


def _live(lock: str) -> bool:
    return bool(lock) and is_locked(Path(lock))
