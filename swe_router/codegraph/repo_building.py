"""The ways in which a bare repository comes to be: cloned, fetched, or built from a stream."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import git

from swe_router.codegraph.git_objects import RepoError, git_env

ASK_SECONDS = 10.0
"""For an answer of a repository that is only asked whether it is there."""
STALL_SECONDS = 30
"""A transfer slower than 1 kB/s for this long is given up."""

_FETCH = ("--quiet", "--no-tags", "--no-auto-gc", "--update-shallow", "--no-write-fetch-head")
Report = Callable[[str], None]
"""Takes one line of progress at a time."""


class _CloneProgress(git.RemoteProgress):
    """Hands every tenth of the download to a callback, and keeps what git complained of."""

    def __init__(self, url: str, report: Report) -> None:
        super().__init__()
        self._url, self._report, self._last = url, report, 0

    def update(
        self,
        op_code: int,
        cur_count: str | float,
        max_count: str | float | None = None,
        message: str = "",
    ) -> None:
        """One line of git's progress."""
        if not max_count or op_code & self.OP_MASK != self.RECEIVING:
            return
        share = int(float(cur_count) / float(max_count) * 10) * 10
        if share > self._last:
            self._last = share
            self._report(f"cloning {self._url}: {share}% {message}".rstrip())


def clone_bare(url: str, into: Path, report: Report) -> None:
    """Clone ``url`` bare into a folder that does not exist. Raises ``RepoError``."""
    report(f"cloning {url}")
    progress = _CloneProgress(url, report)
    try:
        git.Repo.clone_from(
            url,
            into,
            progress=progress,  # type: ignore[arg-type]  # its stub tells of functions only
            env=_net_env(),
            bare=True,
            multi_options=["--template="],
            allow_unsafe_options=True,
        ).close()
    except git.GitCommandError as error:
        output = "\n".join([str(error.stderr), *progress.other_lines, *progress.error_lines])
        raise RepoError(f"cannot clone {url}: {_last_message(output)}") from None


def fetch_refspec(repo: Path, source: str, refspec: str) -> None:
    """Fetch one refspec into a bare repository. Raises ``RepoError``."""
    _drop_stale_locks(repo)
    _git(
        ["--git-dir", str(repo), "fetch", *_FETCH, source, refspec],
        f"cannot fetch from {source}",
    )


def check_answers(url: str) -> None:
    """See that a repository answers at ``url``. Raises ``RepoError``."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--quiet", "--exit-code", "--heads", url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**_net_env(), **quiet},
            check=False,
            timeout=ASK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RepoError(f"{url} gave no answer in {ASK_SECONDS:g} s") from None
    if done.returncode != 0:
        raise RepoError(
            f"cannot read {url}: {_last_message(done.stderr.decode('utf-8', 'replace'))}"
        )


def init_bare(into: Path) -> None:
    """An empty bare repository without hooks."""
    _git(["init", "--quiet", "--bare", "--template=", str(into)], f"cannot make {into}")


def build_from_stream(stream: Path, into: Path) -> None:
    """Build a repository from a ``git fast-import`` text: the same bytes give the same commits."""
    init_bare(into)
    with stream.open("rb") as source:
        _git(
            ["--git-dir", str(into), "fast-import", "--quiet"],
            f"cannot build a repository from {stream}",
            stdin=source.fileno(),
        )


def _git(args: list[str], failed: str, stdin: int = subprocess.DEVNULL) -> None:
    done = subprocess.run(
        ["git", *args],
        stdin=stdin,
        capture_output=True,
        env=_net_env(),
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise RepoError(f"{failed}: {_last_message(done.stderr.decode('utf-8', 'replace'))}")


def _net_env() -> dict[str, str]:
    slow = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": str(STALL_SECONDS)}
    return {**git_env(), **slow}


def _last_message(stderr: str) -> str:
    """The last line in which git says what went wrong."""
    lines = [line.strip(" '\n") for line in stderr.splitlines() if line.strip(" '\n")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or ["git gave no reason"])[-1]


def _drop_stale_locks(repo: Path) -> None:
    """Remove lock files of a git that was killed; only the holder of our own lock calls this."""
    for lock in [*repo.glob("*.lock"), *repo.glob("refs/**/*.lock")]:
        with contextlib.suppress(OSError):
            lock.unlink()
