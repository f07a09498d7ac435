"""Temporary folders that carry a card saying whose they are, so that the reaper knows orphans."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swe_router.sandboxes import resource_limits

PREFIX = "swe-router-box-"
"""Start of the name of every temporary folder of a sandbox; the reaper looks for it."""
CARD = "box.json"
"""In such a folder: whose it is."""


def folder_prefix(run: str) -> str:
    """Start of the names of a run's folders: a driver may be killed before the card is written."""
    return f"{PREFIX}{hashlib.sha256(run.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}-"


@contextmanager
def temp_folder(run: str, lock: Path) -> Iterator[Path]:
    """A temporary folder for something else than a sandbox; removed at the end of the ``with``."""
    # Its name is short: Ray puts sockets in it, whose paths may hold 107 letters.
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    with (made / CARD).open("w", encoding="utf-8") as card:
        fcntl.flock(card, fcntl.LOCK_EX)
        card.write(json.dumps({"run": run, "lock": str(lock.absolute()), "groups": []}))
        card.flush()
        try:
            yield made
        finally:
            discard_folder(made)


def discard_folder(folder: Path) -> None:
    """Remove a sandbox's folder and its cgroups, whatever modes the agent gave to them."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        resource_limits.remove_cgroups(
            [Path(path) for path in card["groups"] if Path(path).name == folder.name]
        )
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for path in [folder, *(p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink())]:
            path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
