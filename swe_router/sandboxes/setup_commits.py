"""The image's own commits on top of the base: distinguished from the project's future, or refused.

Official SWE-bench images end with one commit of their own. A commit above the base is taken for
set-up when it says so (identity or message of the image makers); one by a person who wrote the
project's past, or one that another ref of the image leads to, is the project's future.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_router.errors import WouldNotStart
from swe_router.records import Finding
from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.seams import Sandbox

MAX_COUNT = 5
"""Set-up commits that an image may have."""
_EMAIL = "setup@swebench.config"
_MESSAGE = re.compile(
    r"swe[-_ ]?bench\b.{0,40}|(image|environment|env|testbed|docker)?[-_ ]?set[-_ ]?up"
    r"( commit| environment| env| image| testbed)?\.?",
    re.IGNORECASE,
)
_CHAIN = """
git merge-base --is-ancestor "$BASE" HEAD && echo above || echo apart
git rev-parse "$BASE^{tree}" "HEAD^{tree}"
format='%H%x09%P%x09%ae%x09%ce%x09%s%x09%b%x00'
git log --no-show-signature -n 20 --format="$format" "$BASE..HEAD"
"""
_FRESH = """
export GIT_AUTHOR_NAME=swe-router GIT_AUTHOR_EMAIL=setup@swe-router.invalid
export GIT_COMMITTER_NAME=swe-router GIT_COMMITTER_EMAIL=setup@swe-router.invalid
date=$(git log -1 --format=%ct "$BASE")
export GIT_AUTHOR_DATE="$date +0000" GIT_COMMITTER_DATE="$date +0000"
new=$(git commit-tree "HEAD^{tree}" -p "$BASE" -m "Start state of the image")
git update-ref HEAD "$new"
printf %s "$new"
"""
_EVIDENCE = """
git log --format='%ae%n%ce' "$BASE" | sort -u > "$W/people"
git log -n 20 --format='%ae%n%ce' "$BASE..HEAD" | sort -u > "$W/above"
cat "$W/people" "$W/above" | sort | uniq -d | sed 's/^/person /'
for sha in $(git rev-list -n 20 "$BASE..HEAD"); do
  git for-each-ref --contains="$sha" --format='%(refname)' | sed 's/^/ref /'
done | sort -u
"""


@dataclass(frozen=True)
class SettledHead:
    """What HEAD is now: the base with at most one set-up commit on top."""

    commits: tuple[str, ...]
    removed: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _SetupCommit:
    id: str
    parents: tuple[str, ...]
    recognised: bool


def settle_head(sandbox: Sandbox, git: SandboxGit, head: str, base: str) -> SettledHead:
    """Leave at most one set-up commit above the base; the work tree and its tree stay.

    Raises ``WouldNotStart`` when HEAD is a commit of the project that is not the base's past.
    """
    if head == base:
        return SettledHead(())
    text = git.ask(sandbox, _CHAIN).decode("utf-8", "replace")
    where, base_tree, head_tree, log = text.split("\n", 3)
    chain = [_parsed(entry) for entry in log.split("\0") if entry.strip()]
    linear = where == "above" and all(len(commit.parents) == 1 for commit in chain)
    ours = linear and len(chain) <= MAX_COUNT and all(commit.recognised for commit in chain)
    if ours and len(chain) == 1:
        return SettledHead((head,))
    dropped = Finding(kind="commit", detail=f"{len(chain)} commit(s) up to {head} above the base")
    if head_tree == base_tree:
        git.must(sandbox, f"git update-ref HEAD {base}")
        return SettledHead((), (dropped,))
    if not ours:
        _refuse_future(sandbox, git, head, base, chain)
    fresh = git.ask(sandbox, _FRESH).decode().strip()
    return SettledHead((fresh,), (dropped,))


def _refuse_future(
    sandbox: Sandbox, git: SandboxGit, head: str, base: str, chain: list[_SetupCommit]
) -> None:
    """Raise ``WouldNotStart`` when the commits above the base are the project's own."""
    if not chain:
        raise WouldNotStart(f"the image stands on {head}, which is older than the base {base}")
    evidence = git.ask(sandbox, _EVIDENCE).decode("utf-8", "replace").splitlines()
    branch = git.env.get("BRANCH", "")
    proof = [line for line in evidence if line != f"ref {branch}" and line.strip()]
    if any(not commit.recognised for commit in chain) and proof:
        what = proof[0].partition(" ")
        why = (
            "is by somebody who wrote the project's past"
            if what[0] == "person"
            else f"is also on {what[2]}"
        )
        raise WouldNotStart(
            f"the image stands on {head}, not on the base commit {base}: what lies between {why},"
            " so the work tree may hold the fix"
        )


def _parsed(entry: str) -> _SetupCommit:
    fields = (entry.strip("\n").split("\t", 5) + [""] * 6)[:6]
    sha, parents, author, committer, subject, body = fields
    by_makers = author == committer == _EMAIL
    says_so = bool(_MESSAGE.fullmatch(subject.strip())) and not body.strip()
    return _SetupCommit(sha, tuple(parents.split()), by_makers or says_so)
