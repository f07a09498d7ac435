"""The patch of an attempt: start tree against end tree, by temporary indexes, proved.

Nothing of it depends on the project's ``.git`` or on what the agent did to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_router.errors import DiskFull, SandboxError
from swe_router.records import Candidate, patch_digest
from swe_router.sandboxes import git_in_sandbox, patch_excludes, shadow_git
from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.seams import Sandbox

FILE_CAPS = (10_000_000, 1_000_000, 100_000)
"""Bytes over which a changed file is left out; the next smaller cap is for a patch too large."""
PATCH_CAP = 50_000_000
"""Bytes that a patch may have."""

_DIFF = (
    "git diff-tree -r -p --binary --full-index --no-renames --no-ext-diff --no-textconv --no-color"
    " --no-relative --src-prefix=a/ --dst-prefix=b/ -U3 --diff-algorithm=myers"
)
_LOOK = """
find . -name .git -prune -o -type d ! -perm -700 -exec chmod u+rwx {{}} + 2>/dev/null || :
find . -name .git -prune -o -type f ! -perm -400 -exec chmod u+r {{}} + 2>/dev/null || :
cp -p "$W/start.index" "$W/end.index"
rm -f "$W/end.index.lock"
git diff-files --raw -z --no-renames --ignore-submodules=none
printf '\\0'
find . -name .git -prune -o -type f -size +{cap}c -print0
printf '\\0'
find . -name .git -prune -print0
printf '\\0'
find . -name .git -prune -o ! -type d -newer "$W/marker" -print0
printf '\\0'
"""
"""Four lists: what changed, large files, repositories inside, files newer than the start."""
_UPDATE = """
git update-index -z --force-remove --stdin < "$W/gone"
git update-index -z --add --replace --stdin < "$W/kept"
"""
_PROVE = """
export GIT_INDEX_FILE="$W/proof.index"
rm -f "$GIT_INDEX_FILE"
git read-tree {start}
[ ! -s "$W/patch" ] || git apply --cached --binary --whitespace=nowarn "$W/patch"
[ "$(git write-tree)" = {end} ]
"""
_ROOM = (
    "find /tmp /var/tmp /dev/shm -xdev -mindepth 1 -maxdepth 1 ! -name '.swe-router-*'"
    " -exec chmod -R u+rwx {} + -exec rm -rf {} +"
)
_REGULAR = (b"100644", b"100755")


@dataclass(frozen=True)
class _TreeChange:
    """One line of git's raw diff."""

    old_mode: bytes
    new_mode: bytes
    old: bytes
    new: bytes
    path: bytes

    @property
    def mode_only(self) -> bool:
        """Same bytes, other permission."""
        both = self.old_mode in _REGULAR and self.new_mode in _REGULAR
        return both and self.old == self.new and self.old_mode != self.new_mode


@dataclass(frozen=True)
class StartSnapshot:
    """The start state of a sandbox, to be compared with its end."""

    start: shadow_git.StartTree

    @classmethod
    def take(cls, sandbox: Sandbox) -> StartSnapshot:
        """Record the start state of the work folder.

        Raises ``SandboxError``; a sandbox without git is ``WouldNotStart``.
        """
        return cls(shadow_git.take_start_tree(sandbox))

    def candidate(self, sandbox: Sandbox, attempt_id: str) -> Candidate:
        """What changed since the start, as a proved patch. Raises ``SandboxError``."""
        try:
            return self._candidate(sandbox, attempt_id)
        except DiskFull:
            # What the agent left in the scratch folders is no part of any patch.
            sandbox.run(_ROOM, timeout=300.0, cwd="/")
            return self._candidate(sandbox, attempt_id)

    def _candidate(self, sandbox: Sandbox, attempt_id: str) -> Candidate:
        start = shadow_git.restored_start(sandbox, self.start)
        for cap in FILE_CAPS:
            changes, notes = _end_index(sandbox, start, cap)
            patch, proven = _patch(sandbox, start, _ending(start.git))
            if len(patch) <= PATCH_CAP:
                break
        else:
            raise SandboxError(f"the change is a patch of {len(patch)} bytes: too large to keep")
        if not proven:
            notes = (*notes, "(the patch could not be proved to give the end state)")
        files = tuple(sorted(git_in_sandbox.printable_path(change.path) for change in changes))
        return _made(attempt_id, patch.decode("utf-8", "surrogateescape"), files, notes, proven)


def _ending(git: SandboxGit) -> SandboxGit:
    return git.having(GIT_INDEX_FILE=f"{git.work}/end.index")


def _end_index(
    sandbox: Sandbox, start: shadow_git.StartTree, cap: int
) -> tuple[list[_TreeChange], tuple[str, ...]]:
    """Bring the end index up to date; what changed, and what was left out of it."""
    git = _ending(start.git)
    looked = git_in_sandbox.nul_lists(git.ask(sandbox, _LOOK.format(cap=cap)))
    changed = _raw(looked[0])
    big, inner, newer = ({path[2:] for path in paths} for paths in looked[1:])
    gone = {c.path for c in changed if c.new_mode in (b"000000", b"160000")}
    # A file that became a repository is hidden from the listing by its own old index entry.
    inner = {path[: -len("/.git")] for path in inner}
    new = shadow_git.list_others(sandbox, git, "", [path + b"/" for path in sorted(gone & inner)])
    kept, litter = _sorted_out(sandbox, start, new, newer)
    edited = {c.path for c in changed} - gone
    huge = (kept | edited) & big
    git.put(sandbox, "gone", git_in_sandbox.nul_joined(sorted(gone)))
    git.put(sandbox, "kept", git_in_sandbox.nul_joined(sorted((kept | edited) - huge)))
    changes = f"git diff-index --cached --raw --full-index -z {start.tree}"
    delta = _raw(git_in_sandbox.nul_split(git.ask(sandbox, f"{_UPDATE}{changes}")))
    modes = [change for change in delta if change.mode_only]
    if modes:
        lines = (b"%s %s\t%s" % (c.old_mode, c.old, c.path) for c in modes)
        git.put(sandbox, "modes", git_in_sandbox.nul_joined(lines))
        git.must(sandbox, 'git update-index -z --index-info < "$W/modes"')
    notes = [f"{git_in_sandbox.printable_path(c.path)} (mode only)" for c in modes]
    notes += [f"{git_in_sandbox.printable_path(path)} (over {cap} bytes)" for path in huge]
    return [c for c in delta if not c.mode_only], patch_excludes.listed_paths(litter, notes)


def _sorted_out(
    sandbox: Sandbox, start: shadow_git.StartTree, new: frozenset[bytes], newer: set[bytes]
) -> tuple[set[bytes], set[bytes]]:
    """New paths that a patch may carry, and the changed litter and ignored files next to them."""
    venvs = patch_excludes.virtual_environments(new)
    litters = {path: patch_excludes.litter_of(path, start.folders, venvs) for path in new}
    kept = {path for path, found in litters.items() if found is None}
    ignored = shadow_git.ignored_paths(sandbox, start.git, kept)
    touched = {path for path in new if path not in start.others or path in newer}
    listed = {litters[path] or path for path in touched if litters[path] or path in ignored}
    return kept - ignored, listed


def _patch(sandbox: Sandbox, start: shadow_git.StartTree, git: SandboxGit) -> tuple[bytes, bool]:
    """The patch from the start tree to the end index, and whether it was proved."""
    end = git.ask(sandbox, "git write-tree").decode("ascii").strip()
    if end == start.tree:
        return b"", True
    command = f"{_DIFF} {start.tree} {end}"
    git.put(sandbox, "shadow/info/attributes", shadow_git.AS_TEXT)
    text = git.ask(sandbox, command)
    if _is_plain(text) and _proves(sandbox, git, text, start.tree, end):
        return text, True
    git.put(sandbox, "shadow/info/attributes", shadow_git.AS_BINARY)
    binary = git.ask(sandbox, command)
    git.put(sandbox, "shadow/info/attributes", shadow_git.AS_TEXT)
    pairs = zip(_sections(text), _sections(binary), strict=True)
    mixed = b"".join(one if _is_plain(one) else other for one, other in pairs)
    for patch in (mixed, binary):
        if _proves(sandbox, git, patch, start.tree, end):
            return patch, True
    return binary, False


def _proves(sandbox: Sandbox, git: SandboxGit, patch: bytes, start: str, end: str) -> bool:
    """Tell whether the patch turns the start tree into the end tree, byte for byte."""
    git.put(sandbox, "patch", patch)
    result = git.run(sandbox, f"set -e\n{_PROVE.format(start=start, end=end)}")
    return result.exit_code == 0


def _is_plain(patch: bytes) -> bool:
    """Tell whether JSON and a UTF-8 file hold it without loss, and no NUL is in it."""
    try:
        patch.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in patch


def _sections(patch: bytes) -> list[bytes]:
    """One piece a file; no line of a file's content can begin like a header."""
    return re.split(rb"(?m)^(?=diff --git )", patch)[1:]


def _raw(items: list[bytes]) -> list[_TreeChange]:
    """Parse the items of ``--raw -z`` output (no renames)."""
    heads = (head[1:].split(b" ") for head in items[::2])
    return [
        _TreeChange(head[0], head[1], head[2], head[3], path)
        for head, path in zip(heads, items[1::2], strict=True)
    ]


def _made(
    attempt_id: str, patch: str, files: tuple[str, ...], notes: tuple[str, ...], proven: bool
) -> Candidate:
    return Candidate(
        attempt_id=attempt_id,
        patch=patch,
        digest=patch_digest(patch),
        files=files,
        left_out=notes,
        proven=proven,
    )
