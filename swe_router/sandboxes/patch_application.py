"""Applies a patch that was made elsewhere, as the official harness would, and says how it fitted.

Images carry set-up edits of their own (sphinx's ``tox.ini``), and an agent that worked in one where
they were not committed has them in its patch. Such a part is no change here; the rest is applied.
Last comes what the official harness falls back to, ``patch --batch --fuzz=5``, which also reads
patches with DOS line ends: a patch that it resolves must not be refused here.
"""

from __future__ import annotations

import re
import secrets

from swe_router.patch_identity import chained_paths
from swe_router.records import Result
from swe_router.sandboxes import git_in_sandbox, shadow_git
from swe_router.sandboxes.git_in_sandbox import SandboxGit
from swe_router.seams import CONTINUED_PREFIX, FITTED_PREFIX, Sandbox

_APPLY = """
git apply --verbose --binary --whitespace=nowarn "$W/{name}" || exit
rm -rf "$W" 2>/dev/null || :
"""
_NAMES = 'git apply --numstat -z "$W/{name}"'
_MAGIC = re.compile(rb"([\[*?\\])")
MAX_FILES = 400
"""Files of a patch that are looked at one by one."""


def apply_patch(sandbox: Sandbox, patch_text: str) -> Result:
    """Apply a patch in the work folder byte for byte: all that is not there yet, or nothing.

    A non-zero exit says that some of it does not fit, that all of it is there already, that it is
    empty, or no patch. Raises ``SandboxError``.
    """
    if not patch_text.strip():
        return Result(exit_code=1, output="the patch is empty")
    git = shadow_git.shadow_git(sandbox, git_in_sandbox.find_git(sandbox))
    name = f"{secrets.token_hex(4)}.patch"
    git.put(sandbox, name, patch_text.encode("utf-8", "surrogateescape"))
    result = git.run(sandbox, _APPLY.format(name=name))
    if result.exit_code == 0 and not result.timed_out:
        return result
    lines = chained_paths(patch_text)
    git.put(sandbox, "named", "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    for otherwise in (_rest, _fuzzy):
        if result.exit_code != 0 and not result.timed_out:
            result = otherwise(sandbox, git, name, result)
    git.forget(sandbox)
    return result


def _rest(sandbox: Sandbox, git: SandboxGit, name: str, refused: Result) -> Result:
    """The parts that are not in place, when all others provably are; else git's first message."""
    listed = git.run(sandbox, f'{_NAMES.format(name=name)} > "$W/names"')
    if listed.exit_code != 0:
        return refused
    entries = git_in_sandbox.nul_split(git.fetch(sandbox, "names"))
    paths = [entry.split(b"\t", 2)[2] for entry in entries
             if entry.count(b"\t") >= 2 and not entry.endswith(b"\t")]  # fmt: skip
    if not 1 < len(paths) <= MAX_FILES:
        return refused
    git.put(
        sandbox, "paths", git_in_sandbox.nul_joined(_MAGIC.sub(rb"\\\1", path) for path in paths)
    )
    there = git.run(sandbox, _THERE.replace("NAME", name))
    if there.exit_code != 0:
        return refused
    places = [int(number) for number in git.fetch(sandbox, "there").split()]
    if not places or len(places) == len(paths):
        return refused
    named = ", ".join(git_in_sandbox.printable_path(paths[place]) for place in places)
    done = git.run(sandbox, _REST.replace("NAME", name))
    if done.exit_code != 0:
        return refused
    return done.model_copy(update={"output": f"{CONTINUED_PREFIX}{named}\n{done.output}"})


def _fuzzy(sandbox: Sandbox, git: SandboxGit, name: str, refused: Result) -> Result:
    """As the official harness does in the end, when all of it fits so; else git's first message."""
    done = git.run(sandbox, _FUZZY.replace("NAME", name))
    if done.exit_code != 0:
        return refused
    return done.model_copy(update={"output": f"{FITTED_PREFIX}patch --fuzz=5\n{done.output}"})


_THERE = """
: > "$W/there"
: > "$W/options"
number=0
tr '\\0' '\\n' < "$W/paths" > "$W/lines"
while IFS= read -r path; do
  if ! git apply --check --include="$path" "$W/NAME" 2>/dev/null; then
    git apply --check -R --include="$path" "$W/NAME" 2>/dev/null || exit 1
    echo "$number" >> "$W/there"
    printf '%s\\n' "$path" >> "$W/options"
  fi
  number=$((number + 1))
done < "$W/lines"
"""
_REST = """
set --
while IFS= read -r path; do set -- "$@" "--exclude=$path"; done < "$W/options"
git apply --verbose --binary --whitespace=nowarn "$@" "$W/NAME"
"""
_FUZZY = """
command -v patch >/dev/null || exit 1
fit() { patch --batch --forward --fuzz=5 -p1 --no-backup-if-mismatch "$@" -i "$W/NAME"; }
if [ -s "$W/named" ]; then
  mkdir -p "$W/trial" || exit 1
  while IFS= read -r path; do
    case "/$path/" in */../*) exit 1 ;; esac
    [ -e "$path" ] || continue
    mkdir -p "$W/trial/$(dirname "$path")" && cp -p "./$path" "$W/trial/$path" || exit 1
  done < "$W/named"
  fit -d "$W/trial" || exit 1
else
  fit --dry-run || exit 1
fi
fit
"""
"""A dry run tries each section on the start state: where one builds on another, it is tried on
copies of the files."""
