"""What a trajectory reached for that it should not have: later history, or the project on the net.

Ordinary work on the past (``git log -- file``, ``git diff``, ``git stash``) is no finding. A
finding names the step and the command, with anything like a credential blotted out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from swe_router.records import Action, Finding, Instance, Step
from swe_router.shell import SHELLS, all_commands, program

_QUIET = frozenset({"edit", "search", "submit"})
"""Tools that start no program of the agent's."""
_MODULES = {"scikit-learn": "sklearn", "pillow": "PIL", "beautifulsoup": "bs4"}
_WALKS = frozenset(["log", "shortlog", "whatchanged", "show", "rev-list", "cherry"])
_DIGS = frozenset(
    ["reflog", "fsck", "verify-pack", "unpack-objects", "show-index", "for-each-ref", "show-ref"]
)
_EVERYWHERE = re.compile(r"--(all|remotes|reflog|branches|tags|glob|walk-reflogs)(=.*)?|-g")
_POINTS = frozenset(
    [
        "log",
        "show",
        "diff",
        "checkout",
        "switch",
        "restore",
        "cherry-pick",
        "merge",
        "rebase",
        "reset",
        "cat-file",
        "rev-parse",
        "rev-list",
        "archive",
        "format-patch",
        "worktree",
        "branch",
        "range-diff",
        "difftool",
        "read-tree",
        "ls-tree",
        "grep",
        "blame",
    ]
)
_ELSEWHERE_REF = re.compile(
    r"((refs/)?remotes/)?(origin|upstream)/\S+|(ORIG|FETCH|MERGE)_HEAD([~^:].*)?"
    r"|\S*@\{(u|upstream|push)\}|HEAD@\{[^}]*\}([~^:].*)?"
)
_SHA = re.compile(r"(?<![\w./-])[0-9a-f]{7,40}(?![\w./-])")
_INTERNALS = re.compile(
    r"(^|/)\.git/(packed-refs|(ORIG|FETCH|MERGE)_HEAD|logs|objects|refs/(remotes|tags|stash))(/|$|\*)"
)
_TAKES_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"})
_FETCHERS = frozenset({"curl", "wget", "http", "https", "aria2c", "axel", "lynx", "w3m", "gh"})
_INSTALLERS = frozenset({"pip", "pip3", "uv", "conda", "mamba", "easy_install", "poetry", "pipx"})
_READS_NET = re.compile(r"urlopen|urlretrieve|requests\.|httpx|http\.client|aiohttp|urllib3?\.")
_PYTHON = re.compile(r"python[\d.]*|ipython")
_STARTED = re.compile(
    r"""(['"])(?P<line>(?:git|pip3?)[ ][^'"\n]*)\1"""
    r"""|(['"])(?P<list>(?:git|pip3?)['"](?:\s*,\s*['"][^'"\n]*['"])+)"""
)
"""Commands in Python code: ``os.system("git log")`` and ``run(["git", "log"])``."""
_HOSTS = (
    r"(github\.com|githubusercontent\.com|gitlab\.com|bitbucket\.org|pypi\.org|pypi\.python\.org"
    r"|pythonhosted\.org|readthedocs\.io|jsdelivr\.net|sourcegraph\.com|archive\.org)"
)
_SECRET = re.compile(
    r"(?i)(authorization|api[-_]?key|token|secret|passw(or)?d)(['\"]?\s*[:=]\s*['\"]?|\s+)"
    r"((bearer|basic|token)\s+)?\S+"
    r"|//[^/\s@]+@|\b(sk|ghp|gho|glpat|xox[bp]|AKIA)[-_A-Za-z0-9]{8,}"
)
_SITE = r"(?i)https?://([\w-]+\.)*([\w-]*{name}[\w-]*)\.(org|com|io|dev|net)\b"
"""A project's own site, where its newer releases are documented; ``{name}`` is put in."""
SHOWN = 200
"""Characters of a command that a finding quotes."""


@dataclass(frozen=True)
class _Simple:
    """A program with its arguments, the files that it reads and the one that it writes."""

    words: tuple[str, ...]
    """Program, arguments and input files."""
    body: str = ""
    """Its here-document."""
    target: str = ""

    @property
    def program(self) -> str:
        """Name of the program, without its folder."""
        return self.words[0].rpartition("/")[2]

    @property
    def text(self) -> str:
        """The words with blanks between."""
        return " ".join(self.words)


def _simple_commands(script: str) -> Iterator[_Simple]:
    for command in all_commands(script):
        words = program(command.words).words
        if words:
            target = command.writes[0][0] if command.writes else ""
            yield _Simple((*words, *command.reads), command.body, target)


class _Project:
    """How the project is called on the net, in package indexes and on the disk."""

    def __init__(self, instance: Instance) -> None:
        self.workdir = instance.workdir
        owner, _, name = instance.repo.lower().rpartition("/")
        self.name = re.sub(r"[-_.]+", "-", name)
        module = re.escape(_MODULES.get(name, name)).replace(r"\-", "[-_]")
        slug, bare = re.escape(f"{owner}/{name}"), re.escape(name)
        self.url = re.compile(
            rf"(?i)(https?://|git@|ssh://|git\+)\S*({slug}\b|{_HOSTS}\S*[/.:@]{bare}\b(?![-_]))"
            rf"|//{bare}\.readthedocs\."
        )
        self.site = re.compile(_SITE.format(name=module.replace("[-_]", "[-_]?")))
        self.slug = re.compile(rf"(?i)(^|[/:=])({slug})(\.git|/|$)")
        self.installed = re.compile(
            rf"(?i)(site-packages|dist-packages|_vendor)/(\S*/)?_?{module}(/|\.py|-\d|$|\*)"
        )


def audit_trajectory(steps: Sequence[Step], instance: Instance) -> tuple[Finding, ...]:
    """Findings over a trajectory, in its order, each once."""
    project = _Project(instance)
    seen = {instance.base_commit[:7]}
    written: dict[str, str] = {}
    found: dict[Finding, None] = {}
    for step in steps:
        for action in step.actions:
            for kind, command in _reached(action, project, seen, written):
                outcome = "" if action.exit_code in (0, None) else f" (exit {action.exit_code})"
                detail = f"step {step.index}: {_blotted(command)}{outcome}"
                found[Finding(kind=kind, detail=detail)] = None
            seen.update(sha[:7] for sha in _SHA.findall(action.observation))
    return tuple(found)


def _reached(
    action: Action, project: _Project, seen: set[str], written: dict[str, str]
) -> Iterator[tuple[str, str]]:
    given = action.call.arguments
    if action.call.name in _QUIET:
        if isinstance(path := given.get("path"), str) and isinstance(new := given.get("new"), str):
            written[_name(path, project)] = new
        return
    for value in given.values():
        if not isinstance(value, str):
            continue
        for simple in _simple_commands(value):
            code = _ran(simple, written, project)
            kind = _judged(simple, project, seen) or _by_python(simple, code, project, seen)
            if not kind and code and simple.program in SHELLS:
                kind = next(filter(None, (_judged(one, project, seen)
                                          for one in _simple_commands(code))), "")  # fmt: skip
            if kind:
                yield kind, simple.text
            if simple.body and simple.target:
                written[_name(simple.target, project)] = simple.body


def _name(path: str, project: _Project) -> str:
    return path.removeprefix(f"{project.workdir}/").removeprefix("./")


def _ran(simple: _Simple, written: Mapping[str, str], project: _Project) -> str:
    """The code of the file that is run, where the trajectory shows how it was written."""
    if simple.program not in SHELLS and not _PYTHON.fullmatch(simple.program):
        return written.get(_name(simple.words[0], project), "")
    names = (word for word in simple.words[1:] if not word.startswith("-"))
    return written.get(_name(next(names, ""), project), "")


def _by_python(simple: _Simple, ran: str, project: _Project, seen: set[str]) -> str:
    """What the commands that Python code starts reach for; looked for in code that is shown."""
    if not _PYTHON.fullmatch(simple.program):
        return ""
    code = f"{_code(simple)}\n{ran}"
    if _READS_NET.search(code) and (project.url.search(code) or project.site.search(code)):
        return "net"
    for match in _STARTED.finditer(code):
        line = match["line"] or re.sub(r"""['"]\s*,\s*['"]|['"]""", " ", match["list"])
        for started in _simple_commands(line):
            if kind := _judged(started, project, seen):
                return kind
    return ""


def _code(simple: _Simple) -> str:
    """Python code of a ``python -c`` or of a here-document."""
    words = simple.words[1:]
    return " ".join(words) + "\n" + (simple.body if not words or words[0] == "-" else "")


def _judged(simple: _Simple, project: _Project, seen: set[str]) -> str:
    """``history``, ``net``, ``copy`` or nothing."""
    if simple.program == "git":
        return _git(simple.words[1:], project, seen)
    if _fetches(simple, project):
        return "net"
    if simple.program in ("rm", "echo", "printf"):
        return ""
    words = simple.words[1:]
    excluding = {"-path", "-not", "-prune", "--exclude-dir", "-wholename"} & set(words)
    paths = [word for word in words if not word.startswith(("-", "!"))]
    if not excluding and any(_INTERNALS.search(path) for path in paths):
        return "history"
    return "copy" if any(project.installed.search(word) for word in words) else ""


def _fetches(simple: _Simple, project: _Project) -> bool:
    """Tell whether a program fetches the project from the net."""
    program, words = simple.program, simple.words[1:]
    if program in _FETCHERS:
        return _names(words, project, gh=program == "gh") or any(map(project.site.search, words))
    if program in _INSTALLERS:
        return _installs(words, project)
    if not _PYTHON.fullmatch(program):
        return False
    if words[:2] in (("-m", "pip"), ("-m", "uv")):
        return _installs(words[2:], project)
    return False


def _git(words: Sequence[str], project: _Project, seen: set[str]) -> str:
    rest = list(words)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in _TAKES_VALUE else rest[1:]
    if not rest:
        return ""
    verb, arguments = rest[0], rest[1:]
    adds = verb == "remote" and arguments[:1] in (["add"], ["update"])
    clones = verb in ("clone", "submodule") and _names(arguments, project)
    if verb in ("fetch", "pull", "ls-remote") or adds or clones:
        return "net"
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    everywhere = (
        verb in _DIGS
        or (verb == "cat-file" and "--batch-all-objects" in before)
        or (verb in _WALKS and any(_EVERYWHERE.fullmatch(word) for word in before))
        or (verb == "branch" and {"-a", "-r", "--all", "--remotes"} & set(before))
    )
    return "history" if everywhere or (verb in _POINTS and _leads_away(verb, before, seen)) else ""


def _leads_away(verb: str, words: Sequence[str], seen: set[str]) -> bool:
    """Tell whether a revision among the words lies outside of what the agent was shown."""
    plain = [word for word in words if not word.startswith("-")]
    ends = (end for word in plain for end in re.split(r"\.\.+", word))
    if any(_ELSEWHERE_REF.fullmatch(end) for end in ends):
        return True
    if verb in ("grep", "blame"):
        return False
    shas = [sha for word in plain for sha in _SHA.findall(re.sub(r"\.\.+|[~^:].*", " ", word))]
    return any(sha[:7] not in seen for sha in shas if re.search(r"\d", sha))


def _names(words: Sequence[str], project: _Project, *, gh: bool = False) -> bool:
    return any(project.url.search(w) or (gh and project.slug.search(w)) for w in words) or any(
        re.match(rf"(?i){_HOSTS}", word) and project.slug.search(word) for word in words
    )


def _installs(words: Sequence[str], project: _Project) -> bool:
    """Tell whether the installer fetches the project itself."""
    verbs = {"install", "download", "wheel", "index", "add", "sync", "upgrade", "update"}
    if not verbs & set(words):
        return False
    for word in words:
        if project.url.search(word):
            return True
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*?(?=$|[\[=<>!~@; ])", word)
        local = "/" in word or word in verbs or word in _INSTALLERS
        if name and not local and re.sub(r"[-_.]+", "-", name[0]).lower() == project.name:
            return True
    return False


def _blotted(command: str) -> str:
    flat = " ".join(_SECRET.sub("…", command).split())
    return flat if len(flat) <= SHOWN else flat[: SHOWN - 1] + "…"
