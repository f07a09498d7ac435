"""Git inside a sandbox, deaf to everything that the sandbox's owner may have configured.

Every script runs under ``env -i`` with an absolute git found beforehand, no system or global
configuration, no hooks, no replace refs and no pager. Data comes and goes as files, because a
command's output is text and may be capped.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from swe_router.errors import DiskFull, Lost, SandboxError, WouldNotStart
from swe_router.records import Result
from swe_router.seams import Sandbox

LIMIT = 512_000_000
"""Bytes that one answer of git may have."""
CUT_SHORT = 130
"""Exit code of a command that the user's stop of the run cut; asked again, it runs normally."""

_CLEAN = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/nonexistent",
    "GIT_CONFIG_COUNT": "4",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_CONFIG_KEY_1": "core.hooksPath",
    "GIT_CONFIG_VALUE_1": "/dev/null",
    "GIT_CONFIG_KEY_2": "core.fsmonitor",
    "GIT_CONFIG_VALUE_2": "false",
    "GIT_CONFIG_KEY_3": "core.pager",
    "GIT_CONFIG_VALUE_3": "cat",
}
_FUNCTIONS = """
git() {{ {git} "$@"; }}
real() ( unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE; exec {git} "$@" )
"""
_FIND = r"""
git=$(command -v git) || {{ echo "no git"; exit 3; }}
case $git in /*) ;; *) git=$(PATH=/usr/local/bin:/usr/bin:/bin command -v git) ;; esac
for home in "${{HOME:-/root}}" /var/tmp /tmp; do
  [ -d "$home" ] && [ -w "$home" ] || continue
  work=$(mktemp -d "$home/.swe-router-git-XXXXXXXX" 2>/dev/null) || continue
  case $work in {workdir}/*) rmdir "$work"; continue ;; esac
  printf 'found\t%s\t%s\t%s\n' "$git" "$work" "$PATH"
  exit 0
done
echo "no writable folder outside {workdir}"; exit 4
"""


_FULL = ("No space left", "write failure on standard output")
"""How programs, and git of an answer that it could not end, say that a disk is full."""


@dataclass(frozen=True)
class SandboxGit:
    """A git of one sandbox, and a private folder outside the work tree for its files."""

    path: str
    """Absolute path of the program, as found at the start."""
    work: str
    """Private folder inside the sandbox."""
    search: str
    """PATH as it was at the start."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Further variables of every script, e.g. GIT_DIR."""

    def having(self, **env: str) -> SandboxGit:
        """The same git with further variables."""
        return SandboxGit(self.path, self.work, self.search, {**self.env, **env})

    def run(
        self, sandbox: Sandbox, script: str, *, timeout: float = 600.0, cwd: str = ""
    ) -> Result:
        """Run a POSIX sh script where ``git`` is a function, and ``$W`` the private folder.

        ``real`` is the same git without the GIT_DIR and index given by ``having``.
        """
        env = {**_CLEAN, "PATH": self.search, "HOME": self.work, "W": self.work, **self.env}
        pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in env.items())
        body = f"{_FUNCTIONS.format(git=shlex.quote(self.path))}\n{script}"
        command = f"exec env -i {pairs} sh -c {shlex.quote(body)}"
        result = sandbox.run(command, timeout=timeout, cwd=cwd)
        if result.exit_code == CUT_SHORT:
            result = sandbox.run(command, timeout=timeout, cwd=cwd)
        return result

    def must(self, sandbox: Sandbox, script: str, *, timeout: float = 600.0, cwd: str = "") -> str:
        """Output of a script that has to succeed. Raises ``SandboxError`` or ``DiskFull``."""
        result = self.run(sandbox, f"set -e\n{script}", timeout=timeout, cwd=cwd)
        if result.exit_code == 0 and not result.timed_out:
            return result.output
        if any(words in result.output for words in _FULL):
            raise DiskFull("no space left in the sandbox for git's files")
        why = f"no answer in {timeout:g} s" if result.timed_out else f"exit {result.exit_code}"
        raise SandboxError(f"git in the sandbox failed ({why}): {result.output.strip()[-600:]}")

    def ask(self, sandbox: Sandbox, script: str, *, timeout: float = 600.0, cwd: str = "") -> bytes:
        """Standard output of a script that has to succeed, whole and byte for byte."""
        wrapped = f'{{\n{script}\n}} >"$W/answer"'
        self.must(sandbox, wrapped, timeout=timeout, cwd=cwd)
        return self.fetch(sandbox, "answer")

    def fetch(self, sandbox: Sandbox, name: str) -> bytes:
        """A file of the private folder. Raises ``SandboxError`` when it is gone."""
        try:
            return sandbox.read(f"{self.work}/{name}", limit=LIMIT)
        except (OSError, ValueError) as error:
            raise Lost(f"git's private file {name} cannot be read: {error}") from None

    def put(self, sandbox: Sandbox, name: str, data: bytes) -> None:
        """Write a file of the private folder. Raises ``SandboxError`` when that is refused."""
        try:
            sandbox.write(f"{self.work}/{name}", data)
        except OSError as error:
            raise SandboxError(f"git's private file {name} cannot be written: {error}") from None

    def forget(self, sandbox: Sandbox) -> None:
        """Remove the private folder."""
        sandbox.run(f"rm -rf {shlex.quote(self.work)}", timeout=120.0, cwd="/")


def find_git(sandbox: Sandbox) -> SandboxGit:
    """The sandbox's git, with a fresh private folder.

    Raises ``WouldNotStart`` when the sandbox has no git or no place to write outside the work
    folder.
    """
    result = sandbox.run(_FIND.format(workdir=shlex.quote(sandbox.workdir)), timeout=60.0, cwd="/")
    for line in result.output.splitlines():
        word, _, rest = line.partition("\t")
        if word == "found":
            path, work, search = rest.split("\t", 2)
            return SandboxGit(path, work, search)
    raise WouldNotStart(f"the sandbox cannot keep a start state: {result.output.strip()[-300:]}")


def nul_joined(items: Iterable[bytes]) -> bytes:
    """Items as a NUL-terminated list."""
    return b"".join(item + b"\0" for item in items)


def nul_split(data: bytes) -> list[bytes]:
    """Items of a NUL-terminated list."""
    return [item for item in data.split(b"\0") if item]


def nul_lists(data: bytes) -> list[list[bytes]]:
    """NUL-terminated lists, each with one more NUL at its end; no item is empty."""
    found: list[list[bytes]] = [[]]
    for item in data.split(b"\0")[:-1]:
        if item:
            found[-1].append(item)
        else:
            found.append([])
    return found[:-1]


def printable_path(path: bytes) -> str:
    r"""A path as text that any JSON can hold; bytes that are no UTF-8 as ``\xNN``."""
    return path.decode("utf-8", "backslashreplace")
