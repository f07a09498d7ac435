"""Files of folders that came from elsewhere: only plain ones are read, and none is written outside.

A run folder may have been received from a stranger, so a name in it may be a link that leads out
of it, or a pipe that never ends.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swe_router.errors import UsageError


def path_within(folder: Path, name: str) -> Path:
    """``folder/name``, links resolved as far as they exist, where that is inside ``folder``.

    Raises ``UsageError`` that names the place which would have been left.
    """
    home = folder.resolve()
    try:
        found = (home / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
        raise UsageError(f"{name[:80]!r} is no file under {folder}: {error}") from None
    if not found.is_relative_to(home) or found == home:
        raise UsageError(f"{folder / name} leads out of {folder}: nothing is read or written there")
    return found


def check_plain_folder(folder: Path) -> None:
    """Raise ``UsageError`` for a link that leads out of a folder, a pipe, a socket or a device."""
    home = folder.resolve()
    open_ = [home]
    while open_:
        try:
            entries = list(os.scandir(open_.pop()))
        except FileNotFoundError:  # a run under way tidies up
            continue
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        for entry in entries:
            if entry.is_symlink():
                path_within(home, str(Path(entry.path).relative_to(home)))
            elif entry.is_dir(follow_symlinks=False):
                open_.append(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                raise UsageError(
                    f"{entry.path} is {_file_kind(Path(entry.path))}, not a file: remove it"
                )


def check_regular_file(path: Path) -> None:
    """Raise ``UsageError`` for what is there and is no regular file; reading it may never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is {_file_kind(path)}, not a file")


def _file_kind(path: Path) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    try:
        return kinds.get(stat.S_IFMT(path.stat().st_mode), "something else")
    except OSError:
        return "something else"
