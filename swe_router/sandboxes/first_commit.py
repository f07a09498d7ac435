"""The start state as the first commit of all, for issues whose base commit is unknown.

So the image's past (in SWE-smith the answer itself) leads nowhere, and a work folder without a
repository gets one. The same tree makes the same commit in every sandbox.
"""

from __future__ import annotations

from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.seams import Sandbox

_MAKE = """
export GIT_AUTHOR_NAME=swe-router GIT_AUTHOR_EMAIL=setup@swe-router.invalid
export GIT_COMMITTER_NAME=swe-router GIT_COMMITTER_EMAIL=setup@swe-router.invalid
export GIT_AUTHOR_DATE="946684800 +0000" GIT_COMMITTER_DATE="946684800 +0000"
git rev-parse --git-dir >/dev/null 2>&1 || git init -q .
git add -A
new=$(git commit-tree "$(git write-tree)" -m "Start state of the instance")
git update-ref HEAD "$new"
printf %s "$new"
"""


def make_first_commit(sandbox: Sandbox, git: SandboxGit) -> str:
    """Id of a commit without parents that holds the work folder as it stands; HEAD is on it.

    What the repository ignores is not in it. Raises ``SandboxError``.
    """
    return git.ask(sandbox, _MAKE).decode().strip()
