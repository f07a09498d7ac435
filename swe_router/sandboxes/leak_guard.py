"""No future in the sandbox: what is not the base commit's past is taken out, and that is verified.

Ancestry decides, never a date. What may stay: the base commit, its ancestors, branches and tags
on them, and one set-up commit of the image on top, whose tree is the start state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_router.errors import SandboxError, WouldNotStart
from swe_router.records import Finding, Instance, LeakReport
from swe_router.sandboxes import first_commit, git_in_sandbox, leak_scan, setup_commits
from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.sandboxes.leak_scan import Leak
from swe_router.seams import Sandbox

_PLACE = """
dir=$(git rev-parse --absolute-git-dir 2>/dev/null) || exit 0
printf '%s\\n' "$dir"
(cd "$(git rev-parse --git-common-dir)" && pwd -P)
git rev-parse -q --verify 'HEAD^{commit}' || echo
git rev-parse -q --verify "$BASE^{commit}" || echo
git symbolic-ref -q HEAD || echo
"""
_REPACK = """
home=$PWD
cd "$COMMON/objects"
rm -rf info/commit-graph info/commit-graphs info/packs info/http-alternates
rm -f pack/*.keep pack/*.bitmap pack/multi-pack-index* pack/*.promisor
cd "$home"
git repack -a -d -q -n
rm -f "$COMMON/objects/info/alternates"
git prune --expire=now
rm -rf "$COMMON/objects/info/commit-graph" "$COMMON/objects/info/commit-graphs"
"""
_SHALLOW = """
cat "$COMMON/shallow" "$W/reach" | sort | uniq -d > "$W/shallow"
if [ -s "$W/shallow" ]; then cat "$W/shallow" > "$COMMON/shallow"; else rm -f "$COMMON/shallow"; fi
"""
_CONFIG = """
while IFS=' ' read -r file section; do
  git config --file "$file" --remove-section "$section" || :
done < "$W/sections"
"""
_REFS = """
while IFS= read -r ref; do
  git update-ref --no-deref -d "$ref" 2>/dev/null || :
  rm -f "$COMMON/$ref"
done < "$W/badrefs"
"""
_INDEX = 'git reset -q --pathspec-from-file="$W/hidden" --pathspec-file-nul HEAD'
_FILES = 'xargs -0 rm -rf -- < "$W/files"'
MAX_SHOWN = 100
"""Findings of one kind that a report names; the rest is a number."""


@dataclass(frozen=True)
class _GitPlace:
    git: SandboxGit
    head: str
    base: str


def remove_leaks(sandbox: Sandbox, instance: Instance) -> LeakReport:
    """Remove from the sandbox all that lies after the base commit, and prove that it is gone.

    The work tree stays as it is. Raises ``WouldNotStart`` when the base commit is missing, when
    the work tree itself may hold the future, or when something could not be taken out.
    """
    git = git_in_sandbox.find_git(sandbox)
    try:
        return _guarded(sandbox, instance, git)
    except WouldNotStart:
        raise
    except SandboxError as error:
        if type(error) is SandboxError:
            raise WouldNotStart(f"the leak guard could not look: {error}") from None
        raise
    finally:
        git.forget(sandbox)


def _guarded(sandbox: Sandbox, instance: Instance, git: SandboxGit) -> LeakReport:
    if not instance.base_commit:
        start = first_commit.make_first_commit(sandbox, git)
        instance = instance.model_copy(update={"base_commit": start})
    place = _find_place(sandbox, instance, git)
    if place is None:
        return _without_repository(sandbox, instance, git)
    setup = setup_commits.settle_head(sandbox, place.git, place.head, place.base)
    leaks = leak_scan.find_leaks(sandbox, place.git, instance, objects=True)
    if leaks:
        _clean(sandbox, place.git, leaks)
        # Taking files away cannot add objects: only a repack has to be looked at again.
        again = any(leak.kind in leak_scan.REPACKED for leak in leaks)
        left = leak_scan.find_leaks(sandbox, place.git, instance, objects=again)
        if left:
            raise WouldNotStart(f"the image leaks and cannot be cleaned: {_named(left)}")
    head = place.git.ask(sandbox, "git rev-parse HEAD").decode().strip()
    return LeakReport(
        head=head,
        base=place.base,
        setup_commits=setup.commits,
        removed=(*setup.removed, *_findings(leaks)),
        verified=True,
    )


def _find_place(sandbox: Sandbox, instance: Instance, git: SandboxGit) -> _GitPlace | None:
    """Where the repository stands; None when there is none."""
    wanted = instance.base_commit
    if not re.fullmatch(r"[0-9a-fA-F]{7,64}", wanted):
        raise WouldNotStart(f"{instance.id}: base commit {wanted!r} is no commit id")
    lines = git.having(BASE=wanted).ask(sandbox, _PLACE).decode("utf-8", "replace").split("\n")
    if len(lines) < 5:
        return None
    folder, common, head, base, branch = lines[:5]
    if not base:
        raise WouldNotStart(
            f"{instance.id}: the image stands on {head or 'no commit'} and does not hold the base"
            f" commit {wanted}"
        )
    if not head:
        raise WouldNotStart(f"{instance.id}: HEAD of the image is no commit (base is {base})")
    if folder != common:
        raise WouldNotStart(f"{instance.id}: {instance.workdir} is a linked work tree of {common}")
    return _GitPlace(git.having(COMMON=common, BASE=base, BRANCH=branch), head, base)


def _without_repository(sandbox: Sandbox, instance: Instance, git: SandboxGit) -> LeakReport:
    """No history at all: nothing to hide, if no copy of it lies elsewhere."""
    bare = git.having(COMMON="", BASE=instance.base_commit, BRANCH="")
    leaks = leak_scan.history_copies(sandbox, bare, instance)
    _clean(sandbox, bare, leaks)
    if left := leak_scan.history_copies(sandbox, bare, instance):
        raise WouldNotStart(f"the image leaks and cannot be cleaned: {_named(left)}")
    note = Finding(
        kind="no-repository", detail=f"{instance.workdir} has no .git: no history of any kind"
    )
    return LeakReport(base=instance.base_commit, removed=(note, *_findings(leaks)), verified=True)


def _clean(sandbox: Sandbox, git: SandboxGit, leaks: list[Leak]) -> None:
    """Take the leaks out, in the order in which they hold each other."""
    for kind, name, script in (
        ("config", "sections", _CONFIG),
        ("ref", "badrefs", _REFS),
    ):
        lines = [leak.target + b"\n" for leak in leaks if leak.kind == kind]
        if lines:
            git.put(sandbox, name, b"".join(dict.fromkeys(lines)))
            git.must(sandbox, script)
    hidden = [leak.target for leak in leaks if leak.kind == "index"]
    if hidden:
        git.put(sandbox, "hidden", git_in_sandbox.nul_joined(hidden))
        git.must(sandbox, _INDEX)
    files = [leak.target for leak in leaks if leak.kind in leak_scan.FILES]
    if files:
        git.put(sandbox, "files", git_in_sandbox.nul_joined(files))
        git.must(sandbox, _FILES)
    if any(leak.kind == "shallow" for leak in leaks):
        git.must(sandbox, _SHALLOW)
    if any(leak.kind in leak_scan.REPACKED for leak in leaks):
        git.must(sandbox, _REPACK, timeout=1800.0)


def _findings(leaks: list[Leak]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for kind in dict.fromkeys(leak.kind for leak in leaks):
        details = list(dict.fromkeys(leak.detail for leak in leaks if leak.kind == kind))
        found += [Finding(kind=kind, detail=detail) for detail in details[:MAX_SHOWN]]
        if len(details) > MAX_SHOWN:
            found.append(Finding(kind=kind, detail=f"and {len(details) - MAX_SHOWN} more"))
    return tuple(found)


def _named(leaks: list[Leak]) -> str:
    some = "; ".join(f"{leak.kind}: {leak.detail}" for leak in leaks[:10])
    return some + (f"; and {len(leaks) - 10} more" if len(leaks) > 10 else "")
