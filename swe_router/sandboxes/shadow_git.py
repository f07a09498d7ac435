"""A private git directory outside the work tree: it holds the start tree and nothing else.

The project's own ``.git`` may be rewritten, locked or deleted by the agent; none of that is
looked at again once the start tree is packed here. Bytes are taken as they lie on the disk: no
attribute, filter or line-end rule of the project applies. Repositories inside the work tree
(submodules, or ones that the agent made) are taken as plain folders of files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from swe_router.errors import SandboxError
from swe_router.sandboxes import git_in_sandbox, patch_excludes
from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.seams import Sandbox

CONFIG = """[core]
	repositoryformatversion = 0
	bare = false
	filemode = true
	symlinks = true
	ignorecase = false
	precomposeunicode = false
	autocrlf = false
	safecrlf = false
	quotepath = true
	protectNTFS = false
	protectHFS = false
	untrackedCache = false
	fsmonitor = false
	sparseCheckout = false
	checkStat = default
	trustctime = true
	hooksPath = /dev/null
	excludesFile = /dev/null
	attributesFile = /dev/null
	logAllRefUpdates = false
	bigFileThreshold = 512m
[apply]
	whitespace = nowarn
	ignorewhitespace = no
[gc]
	auto = 0
[index]
	sparse = false
"""
RAW = "-text !eol -crlf !filter -ident !working-tree-encoding !merge !whitespace !delta"
AS_TEXT = f"* {RAW} !diff\n".encode()
AS_BINARY = f"* {RAW} -diff\n".encode()

_HEAD = "ref: refs/heads/none\n"
_MADE = f"""
mkdir -p "$W/shadow/objects/info" "$W/shadow/objects/pack" "$W/shadow/refs" "$W/shadow/info"
cd "$W/shadow"
printf %s {shlex.quote(CONFIG)} > config
printf %s {shlex.quote(AS_TEXT.decode())} > info/attributes
printf %s {shlex.quote(_HEAD)} > HEAD
: > info/exclude
"""
_BORROW = """
(
objects=$(real rev-parse --git-path objects 2>/dev/null) || exit 0
format=$(real rev-parse --show-object-format 2>/dev/null || echo sha1)
[ "$format" = sha1 ] && [ -d "$objects" ] || exit 0
(cd "$objects" && pwd -P) > "$GIT_DIR/objects/info/alternates"
exclude=$(real rev-parse --git-path info/exclude 2>/dev/null) || exit 0
[ -f "$exclude" ] && cat "$exclude" > "$GIT_DIR/info/exclude" || :
)
"""
_PACK = """
tree=$(git write-tree)
git rev-list --objects "$tree" | cut -d' ' -f1 > "$W/objects"
pack=$GIT_DIR/objects/pack/pack
git pack-objects -q --window=0 --delta-base-offset "$pack" < "$W/objects" > /dev/null
rm -f "$GIT_DIR/objects/info/alternates" "$W/objects"
git rev-list --objects "$tree" > /dev/null
printf %s "$tree"
"""
_IGNORES = """
rm -rf "$W/ignores"; mkdir "$W/ignores"
git ls-files -z | grep -z -E '(^|/)\\.gitignore$' > "$W/rules" || :
[ ! -s "$W/rules" ] || git checkout-index -z --stdin --prefix="$W/ignores/" < "$W/rules"
: > "$W/marker"
"""


@dataclass(frozen=True)
class StartTree:
    """The start state: its tree, its paths, and what else was there."""

    git: SandboxGit
    tree: str
    """Object id of the start tree."""
    paths: frozenset[bytes]
    folders: frozenset[bytes]
    """Directories that hold paths of the start tree."""
    others: frozenset[bytes]
    """Files that were there and are in no patch: ignored ones and litter."""
    exclude: bytes
    """The start state's info/exclude."""


def take_start_tree(sandbox: Sandbox) -> StartTree:
    """Take the start state of the work folder. Raises ``SandboxError``."""
    git = shadow_git(sandbox, git_in_sandbox.find_git(sandbox))
    index = _real_index(sandbox, git)
    everything = list_others(sandbox, git, "")
    seen = list_others(
        sandbox, git, '--exclude-per-directory=.gitignore --exclude-from="$GIT_DIR/info/exclude"'
    )
    tracked = index & everything
    folders = patch_excludes.parent_folders(tracked)
    venvs = patch_excludes.virtual_environments(seen - tracked)
    paths = tracked | {p for p in seen if patch_excludes.litter_of(p, folders, venvs) is None}
    git.put(sandbox, "paths", git_in_sandbox.nul_joined(sorted(paths)))
    started = git.having(GIT_INDEX_FILE=f"{git.work}/start.index")
    script = f'git update-index -z --add --stdin < "$W/paths"\n{_PACK}\n{_IGNORES}'
    tree = started.ask(sandbox, script).decode("ascii").strip()
    return StartTree(
        git=git,
        tree=tree,
        paths=frozenset(paths),
        folders=patch_excludes.parent_folders(paths),
        others=frozenset(everything - paths),
        exclude=git.fetch(sandbox, "shadow/info/exclude"),
    )


def restored_start(sandbox: Sandbox, start: StartTree) -> StartTree:
    """The start state itself, or what can be made of it when its private folder was destroyed.

    Raises ``SandboxError`` when the project's ``.git`` no longer holds the start tree either.
    """
    quick = start.git.having(GIT_INDEX_FILE=f"{start.git.work}/start.index")
    opened = 'chmod -R u+rwX "$W" 2>/dev/null'  # after an agent's chmod of all that it met
    there = '[ -s "$W/start.index" ] && [ -d "$W/ignores" ]'
    probe = f"{opened}; {there} && git cat-file -e {start.tree}"
    if quick.run(sandbox, probe, timeout=120.0, cwd="/").exit_code == 0:
        return start
    git = shadow_git(sandbox, git_in_sandbox.find_git(sandbox))
    git.must(sandbox, _BORROW)
    git.put(sandbox, "shadow/info/exclude", start.exclude)
    fresh = git.having(GIT_INDEX_FILE=f"{git.work}/start.index")
    try:
        fresh.must(sandbox, f"git read-tree {start.tree}\n{_PACK}\n{_IGNORES}")
    except SandboxError as error:
        raise SandboxError(f"the start state in the sandbox was destroyed: {error}") from None
    return StartTree(git, start.tree, start.paths, start.folders, start.others, start.exclude)


def shadow_git(sandbox: Sandbox, git: SandboxGit) -> SandboxGit:
    """``git`` with an empty shadow directory at its private folder."""
    git.must(sandbox, _MADE, cwd="/")
    return git.having(
        GIT_DIR=f"{git.work}/shadow",
        GIT_WORK_TREE=sandbox.workdir,
        GIT_INDEX_FILE=f"{git.work}/none",
    )


def list_others(
    sandbox: Sandbox, git: SandboxGit, options: str, also: Iterable[bytes] = ()
) -> frozenset[bytes]:
    """Files of the work tree that are not in the index, those of repositories inside included.

    ``also`` names further repositories inside, each ending in ``/``.
    """
    found: set[bytes] = set()
    todo = [b"", *also]
    while todo:
        prefix = todo.pop()
        where = shlex.quote("./" + prefix.decode("utf-8", "surrogateescape"))
        script = f'cd {where}\nGIT_WORK_TREE="$PWD" git ls-files -z --others {options}'
        inner = git if not prefix else git.having(GIT_INDEX_FILE=f"{git.work}/none")
        for path in git_in_sandbox.nul_split(inner.ask(sandbox, script)):
            (todo.append if path.endswith(b"/") else found.add)(prefix + path)
    return frozenset(found)


def ignored_paths(sandbox: Sandbox, git: SandboxGit, paths: Iterable[bytes]) -> frozenset[bytes]:
    """Those of the untracked paths that the start state's rules ignore."""
    asked = [b"./" + path for path in sorted(paths)]
    if not asked:
        return frozenset()
    git.put(sandbox, "asked", git_in_sandbox.nul_joined(asked))
    view = git.having(GIT_WORK_TREE=f"{git.work}/ignores", GIT_INDEX_FILE=f"{git.work}/none")
    script = 'cd "$W/ignores"\ngit check-ignore --no-index -z --stdin < "$W/asked" || [ $? -eq 1 ]'
    return frozenset(path[2:] for path in git_in_sandbox.nul_split(view.ask(sandbox, script)))


def _real_index(sandbox: Sandbox, git: SandboxGit) -> frozenset[bytes]:
    """Paths that the project's own index tracks, submodules left out; empty without a ``.git``.

    Its objects and its info/exclude are borrowed on the way.
    """
    asked = f"{_BORROW}\nreal ls-files -s -z 2>/dev/null || :"
    lines = git_in_sandbox.nul_split(git.ask(sandbox, asked))
    entries = (line.partition(b"\t") for line in lines)
    return frozenset(path for head, _, path in entries if not head.startswith(b"160000"))
