"""Enumerate everything in a sandbox that leads past the base commit, by allow-lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swe_router.errors import WouldNotStart
from swe_router.records import Instance
from swe_router.sandboxes import git_in_sandbox
from swe_router.sandboxes.git_in_sandbox import SandboxGit, printable_path
from swe_router.seams import Sandbox

FILES = frozenset({"file", "reflog", "worktree", "garbage", "store", "bundle"})
"""Kinds that are taken out by removing a file or folder."""
REPACKED = frozenset({"object", "alternates", "index"})
"""Kinds that need the object store to be written anew; what the index alone held is loose then."""

_SECTIONS = re.compile(
    r"(remote|branch|url|credential|http|https|include|includeif)(\..*)?\.[^.]+", re.S
)
_KNOWN = re.compile(
    rb"HEAD|config|config\.worktree|description|index|packed-refs|shallow|commondir|gitdir"
    rb"|info/(exclude|attributes|sparse-checkout)|hooks/[^/]+\.sample|sharedindex\.[0-9a-f]+"
)
_STORED = re.compile(
    rb"pack/(pack-[0-9a-f]+\.(pack|idx|rev|bitmap|mtimes|keep|promisor)|multi-pack-index.*)"
    rb"|info/(packs|commit-graph|commit-graphs/.*|alternates)|[0-9a-f]{2}/[0-9a-f]{38,62}"
)
_NAMES = """
part() {{ printf '\\001%s\\n' "$1"; }}
part config
for file in "$COMMON/config" "$COMMON/config.worktree"; do
  [ -f "$file" ] || continue
  git config --file "$file" --no-includes --name-only --list | sed "s|^|$file |"
done
part allowed
git for-each-ref --merged=HEAD --format='%(refname)' refs/heads refs/tags
part refs
git for-each-ref --format='%(refname)'
cd "$COMMON"
[ ! -f packed-refs ] || sed -n 's/^[0-9a-f][0-9a-f]* \\(refs\\/.*\\)$/\\1/p' packed-refs
part common
find . -path ./objects -prune -o -path ./modules -prune -o -type f -print -o -type l -print
part stored
cd objects && find . -type f | grep -v -E '^\\./[0-9a-f]{{2}}/[0-9a-f]{{38,62}}$' || :
"""
_OBJECTS = """
git for-each-ref --merged=HEAD --format='%(objectname)' refs/heads refs/tags > "$W/roots"
printf 'HEAD\\n%s\\n' "$BASE" >> "$W/roots"
git rev-list --objects --indexed-objects --missing=allow-any --stdin < "$W/roots" \\
  | cut -d' ' -f1 | sort -u > "$W/reach"
git cat-file --batch-all-objects --batch-check='%(objectname)' > "$W/have"
comm -13 "$W/reach" "$W/have" > "$W/extra"
wc -l < "$W/extra"
[ ! -s "$W/extra" ] ||
  git cat-file --batch-check='%(objecttype) %(objectname)' < "$W/extra" | sort | sed -n '1,40p'
[ ! -f "$COMMON/shallow" ] ||
  sort "$COMMON/shallow" | comm -13 "$W/reach" - | sed 's/^/shallow /'
"""
_STAGED = "git diff-index --cached --raw -z --no-renames --full-index HEAD"
_ELSEWHERE = r"""
[ -z "$COMMON" ] || git ls-tree -r "$BASE" | cut -f1 | cut -d' ' -f3 | sort -u > "$W/blobs"
find {roots} \( -path /proc -o -path /sys -o -path /dev -o -path "$W" \) -prune -o \
  \( -type f \( -name HEAD -o -name '*.bundle' -o -name '*.pack' \) -o -type d -name objects \) \
  -print0 > "$W/suspects" 2>/dev/null || :
xargs -0 sh -c '
# A store of the project, however shallow: it holds more than half of the files of the base.
same() {{
  [ -s "$W/blobs" ] || return 1
  all=$(wc -l < "$W/blobs")
  no=$(GIT_OBJECT_DIRECTORY=$1 git --git-dir="$COMMON" cat-file --batch-check < "$W/blobs" |
    grep -c " missing$")
  [ $((no * 2)) -lt "$all" ]
}}
past() {{ git --git-dir="$COMMON" merge-base --is-ancestor "$1" "$BASE" 2>/dev/null; }}
for file do
  case $file in
  "$COMMON"/worktrees/*/HEAD)
    tree=$(cat "${{file%/HEAD}}/gitdir" 2>/dev/null); tree=${{tree%/.git}}
    case $PWD/ in "$tree"/*) continue ;; esac
    [ -d "$tree" ] || continue
    past "$(git --git-dir="${{file%/HEAD}}" rev-parse HEAD)" || printf "worktree %s\0" "$tree" ;;
  */HEAD)
    dir=${{file%/HEAD}}
    [ -d "$dir/objects" ] && [ -d "$dir/refs" ] || continue
    [ "$(cd "$dir" && pwd -P)" != "$COMMON" ] || continue
    if git --git-dir="$dir" cat-file -e "$BASE^{{commit}}" 2>/dev/null ||
       git config --file "$dir/config" --get-regexp "url" 2>/dev/null | grep -qiF "$REPO" ||
       same "$dir/objects"; then
      head=$(git --git-dir="$dir" rev-parse -q --verify HEAD 2>/dev/null || echo none)
      kind=store
      [ "${{dir##*/}}" != .git ] || past "$head" || kind=copy
      printf "%s %s\0" "$kind" "$dir"
    fi ;;
  */objects)
    dir=${{file%/objects}}
    [ ! -f "$dir/HEAD" ] || [ ! -d "$dir/refs" ] || continue
    set -- "$file"/pack "$file"/[0-9a-f][0-9a-f]
    [ -d "$1" ] || [ -d "$2" ] || continue
    [ "$(cd "$file" && pwd -P)" = "$COMMON/objects" ] || ! same "$file" ||
      printf "store %s\0" "$file" ;;
  */objects/pack/*.pack) ;;
  *)
    case $(head -c 15 "$file" | tr -d "\0") in
    "# v2 git bundle"|"# v3 git bundle"|PACK*) printf "bundle %s\0" "$file" ;;
    esac ;;
  esac
done' sh < "$W/suspects"
"""


@dataclass(frozen=True)
class Leak:
    """One thing to take out."""

    kind: str
    detail: str
    """What a report says of it; never a value that could be a secret."""
    target: bytes = b""
    """What the cleaning needs: a path, a ref, or a config file and section."""


def find_leaks(
    sandbox: Sandbox, git: SandboxGit, instance: Instance, *, objects: bool
) -> list[Leak]:
    """Everything that leads past the base commit; ``objects`` enumerates the object store too."""
    text = git.ask(sandbox, _NAMES.format())
    parts = dict(part.partition(b"\n")[::2] for part in text.split(b"\1")[1:])
    lines = {name.decode(): data.splitlines() for name, data in parts.items()}
    common = git.env["COMMON"].encode()
    names = [line.removeprefix(b"./") for line in lines["common"]]
    loose = [name for name in names if name.startswith(b"refs/")]
    leaks = [*_config(dict.fromkeys(lines["config"]))]
    leaks += _refs([*lines["refs"], *loose], lines["allowed"], git.env["BRANCH"].encode())
    leaks += _files((name for name in names if not name.startswith(b"refs/")), common)
    leaks += _stored(lines["stored"], common)
    leaks += _hidden_in_index(sandbox, git)
    if objects:
        leaks += _objects(git.ask(sandbox, _OBJECTS, timeout=1800.0))
    return leaks + history_copies(sandbox, git, instance)


def history_copies(sandbox: Sandbox, git: SandboxGit, instance: Instance) -> list[Leak]:
    """Copies of the project's history outside its own ``.git``.

    Only a container is searched whole: elsewhere the rest of the machine is not ours to look at.
    Raises ``WouldNotStart`` for a checked-out copy of another state of the project.
    """
    roots = "/" if sandbox.identity.startswith("docker") else sandbox.workdir
    script = _ELSEWHERE.format(roots=roots)
    found = git_in_sandbox.nul_split(git.having(REPO=f"/{instance.repo}").ask(sandbox, script))
    leaks = []
    for kind, _, path in (entry.partition(b" ") for entry in found):
        if kind == b"copy":
            raise WouldNotStart(
                f"the image holds another copy of the project: {printable_path(path)}"
            )
        if kind == b"bundle" and _is_tracked(sandbox, git, path):
            continue
        leaks.append(Leak(kind.decode(), printable_path(path), path))
    return leaks


def _config(lines: Iterable[bytes]) -> Iterator[Leak]:
    for line in lines:
        file, _, key = line.decode("utf-8", "surrogateescape").partition(" ")
        if _SECTIONS.fullmatch(key):
            section = key.rpartition(".")[0]
            target = f"{file} {section}".encode("utf-8", "surrogateescape")
            yield Leak("config", re.sub(r"//[^/@]*@", "//…@", section), target)


def _refs(found: Iterable[bytes], allowed: Iterable[bytes], branch: bytes) -> Iterator[Leak]:
    fine = {*allowed, branch}
    for ref in sorted(set(found) - fine):
        yield Leak("ref", printable_path(ref), ref)


def _files(names: Iterable[bytes], folder: bytes) -> Iterator[Leak]:
    """Files of a git directory that are not on the list of what may be there."""
    for name in names:
        if _KNOWN.fullmatch(name):
            continue
        top = name.partition(b"/")[0]
        if top in (b"logs", b"worktrees"):
            kind = "reflog" if top == b"logs" else "worktree"
            yield Leak(kind, printable_path(name), folder + b"/" + top)
        else:
            yield Leak("file", printable_path(name), folder + b"/" + name)


def _stored(lines: Iterable[bytes], common: bytes) -> Iterator[Leak]:
    """Files of the object store that hold objects which the enumeration does not see."""
    names = {line.removeprefix(b"./") for line in lines}
    for name in sorted(names):
        path = common + b"/objects/" + name
        lone = name.endswith(b".pack") and name[:-5] + b".idx" not in names
        if name == b"info/alternates":
            yield Leak("alternates", printable_path(name), path)
        elif lone or not _STORED.fullmatch(name):
            yield Leak("garbage", f"objects/{printable_path(name)}", path)


def _hidden_in_index(sandbox: Sandbox, git: SandboxGit) -> list[Leak]:
    """Index entries whose content is neither in HEAD nor in the work tree."""
    items = git_in_sandbox.nul_split(git.ask(sandbox, _STAGED))
    staged = dict(zip(items[1::2], (head.split(b" ") for head in items[::2]), strict=True))
    files = [path for path, head in staged.items() if head[1] != b"000000"]
    if not files:
        return []
    git.put(sandbox, "staged", git_in_sandbox.nul_joined(files))
    script = (
        'xargs -0 sh -c \'for f do if [ -L "$f" ]; then printf %s "$(readlink "$f")" |'
        ' git hash-object --stdin; else git hash-object -- "$f" 2>/dev/null || echo none; fi;'
        ' done\' sh < "$W/staged"'
    )
    hashes = git.ask(sandbox, script).split()
    hidden = [f for f, sha in zip(files, hashes, strict=True) if staged[f][3] != sha]
    return [
        Leak("index", printable_path(path), path) for path in hidden if staged[path][1] != b"160000"
    ]


def _objects(listing: bytes) -> list[Leak]:
    """Objects of no allowed commit, and shallow points that are none of its past."""
    first, *lines = listing.decode("ascii", "replace").splitlines()
    count = int(first)
    shallow = [line for line in lines if line.startswith("shallow ")]
    named = [line for line in lines if not line.startswith("shallow ")]
    leaks = [Leak("object", line) for line in named]
    if count > len(named):
        leaks.append(Leak("object", f"and {count - len(named)} more objects"))
    return leaks + [Leak("shallow", line.partition(" ")[2]) for line in shallow]


def _is_tracked(sandbox: Sandbox, git: SandboxGit, path: bytes) -> bool:
    git.put(sandbox, "tracked", path)
    script = (
        'path=$(cat "$W/tracked"; echo .); path=${path%.}; '
        'git ls-files --error-unmatch -- ":(literal)$path" >/dev/null 2>&1 && echo yes || echo no'
    )
    return git.ask(sandbox, script).strip() == b"yes"
