"""Scripts and tests that an agent made to try things out, as its steps tell: text, runs, prints."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from swe_router.records import Action, Step
from swe_router.verifiers import paths
from swe_router.verifiers.reproduction import printed, shelltext
from swe_router.verifiers.reproduction.shelltext import Command
from swe_router.verifiers.reproduction.trial import Test, Way

ROOT = "/testbed"
MOST_TEXT = 60_000
"""Characters of a script; longer ones are data."""
MOST_FILES = 20
"""Files that are laid beside a script."""
MOST_LEFT = 4
"""Scripts taken of one attempt, the most telling first."""
_PYTHON = re.compile(r"python[\d.]*\Z|pypy3?\Z")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.S)
_TAKES_VALUE = frozenset({"-W", "-X", "-k", "-m", "-p", "-c", "-o", "--settings", "--tb"})


@dataclass(frozen=True)
class Ran:
    """One recorded run of a script."""

    step: int
    exit_code: int | None
    output: str


@dataclass
class Left:
    """A script as it was when it was last run."""

    path: str
    """As the agent named it, from /testbed; ``inline-N.py`` for what never was a file."""
    test: Test
    runs: list[Ran] = field(default_factory=list)
    """Recorded runs of exactly this text."""

    @property
    def telling(self) -> int:
        """A hint how well its recorded runs show a bug and its end; 0 is not at all."""
        bad = [printed.is_bad(ran.exit_code, ran.output) for ran in self.runs]
        if True in bad and False in bad[bad.index(True) :]:
            return 3
        return 2 if True in bad else 0 if not bad else 1


@dataclass
class _Run:
    """One command line that runs a file."""

    path: str
    way: Way
    arguments: tuple[str, ...] = ()
    text: str | None = None
    """Of a script that is no file."""


def left(steps: Sequence[Step], is_known: Callable[[str], bool]) -> list[Left]:
    """What the steps of an attempt made and ran beside the repository, most telling first.

    ``is_known``: whether a path lies in the repository at the base commit, or in the patch that
    the attempt handed in.
    """
    return _Watch(is_known).through(steps)


class _Watch:
    """The files that an agent made, as they are at each moment."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self.is_known = is_known
        self.files: dict[str, str | None] = {}
        """Path -> text; None where it is not known any more."""
        self.found: dict[tuple[str, str], Left] = {}
        self.inline = 0
        self.order = 0

    def through(self, steps: Sequence[Step]) -> list[Left]:
        for step in steps:
            for action in step.actions:
                if action.call.name == "edit":
                    self._edit(action)
                elif action.call.name == "bash":
                    self._bash(action, str(action.call.arguments.get("command", "")), step.index)
        last: dict[str, Left] = {}
        for one in self.found.values():  # a later text of the same file takes the place
            last.pop(one.path, None)
            last[one.path] = one
        ranked = sorted(enumerate(last.values()), key=lambda pair: (-pair[1].telling, -pair[0]))
        return [one for _, one in ranked if one.telling][:MOST_LEFT]

    def _edit(self, action: Action) -> None:
        given = action.call.arguments
        path = _from_root(str(given.get("path", "")), ROOT)
        if self.is_known(path) or action.call.error:
            return
        kind, new = given.get("action"), str(given.get("new", ""))
        before = self.files.get(path)
        if kind == "create":
            self.files[path] = new
        elif kind == "replace" and before is not None and before.count(str(given.get("old"))) == 1:
            self.files[path] = before.replace(str(given.get("old")), new)
        elif path in self.files:
            self.files[path] = None

    def _bash(self, action: Action, script: str, step: int) -> None:
        where, text = ROOT, ""
        for command in shelltext.commands(script):
            words, variables = _bare(command.words)
            if words[:1] == ["cd"] and len(words) > 1:
                where = posixpath.normpath(posixpath.join(where, words[1]))
                continue
            self._moved(words, where)
            text = self._wrote(command, words, where, text)
            if not command.known and not command.document:
                continue
            piped = text if command.piped else ""
            for run in _runs(words, command.document or piped, where):
                self._note(run, where, variables, Ran(step, action.exit_code, action.observation))

    def _wrote(self, command: Command, words: Sequence[str], where: str, piped: str) -> str:
        """Follow what a command writes to files; its own output as far as that is known."""
        program = words[0] if words else ""
        output: str | None = None
        if (program == "cat" and len(words) == 1) or program == "tee":
            output = command.document if not command.piped else piped
        elif program == "echo" and command.known and not set(words[1:2]) & {"-e", "-n"}:
            output = " ".join(words[1:]) + "\n"
        targets = list(command.writes)
        if program == "tee":
            targets += [(w, "-a" in words) for w in words[1:] if not w.startswith("-")]
        for name, adds in targets:
            path = _from_root(name, where)
            if self.is_known(path) or path.startswith("/dev/"):
                continue
            before = self.files.get(path) if adds else ""
            whole = None if output is None or before is None else before + output
            self.files[path] = whole
        return output or ""

    def _moved(self, words: Sequence[str], where: str) -> None:
        names = [word for word in words[1:] if not word.startswith("-")]
        if words[:1] in (["mv"], ["cp"]) and len(names) == 2:
            source, target = (_from_root(name, where) for name in names)
            if source in self.files and not self.is_known(target):
                self.files[target] = self.files[source]
        elif words[:1] == ["sed"] and any(word.startswith("-i") for word in words):
            for path in (_from_root(name, where) for name in names):
                if path in self.files:
                    self.files[path] = None

    def _note(self, run: _Run, where: str, variables: Mapping[str, str], ran: Ran) -> None:
        text = run.text
        if text is None:
            text = self.files.get(run.path)
        if text is None or not text.strip() or len(text) > MOST_TEXT:
            return
        path = run.path
        known = self.found.get((path, text))
        if not path:
            same = [one for one in self.found.values() if one.test.text == text]
            known = same[0] if same else None
            self.inline += not same
            path = f"inline-{self.inline}.py"
        if known is None:
            beside = {
                name: body
                for name, body in self.files.items()
                if body is not None and name != path and len(body) <= MOST_TEXT
            }
            test = Test(
                text=text,
                way=run.way,
                place=posixpath.dirname(path),
                stem=_stem(path, run.way),
                arguments=run.arguments,
                files=_needed(text, beside),
                where="" if where == ROOT else where,
                variables=dict(variables),
            )
            known = self.found[(path, text)] = Left(path, test)
        known.runs.append(ran)


def _runs(words: Sequence[str], given: str, where: str) -> list[_Run]:
    """The files that a command runs, by how it runs them."""
    if not words:
        return []
    program, rest = posixpath.basename(words[0]), list(words[1:])
    if program in ("pytest", "py.test"):
        return _files(rest, where, "pytest")
    if words[0].endswith("bin/test"):
        return _files(rest, where, "module")
    if program == "runtests.py":
        return _labels(rest)
    if not _PYTHON.match(program):
        return []
    return _interpreted(rest, given, where)


def _interpreted(rest: list[str], given: str, where: str) -> list[_Run]:
    """What ``python`` with these words runs."""
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "-m", "-c"):
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    first, more = (rest or ["-"])[0], rest[1:]
    if first in ("-", "-c"):
        text = given if first == "-" else "".join(more[:1])
        return [_Run("", "script", tuple(more[first == "-c" :]), text)] if text else []
    if first == "-m":
        return _modules("".join(more[:1]), more[1:], where)
    if first.endswith("bin/test"):
        return _files(more, where, "module")
    if posixpath.basename(first) == "runtests.py":
        return _labels(more)
    return [_Run(_from_root(first, where), "script", tuple(more))]


def _modules(module: str, rest: list[str], where: str) -> list[_Run]:
    """What ``python -m`` with these words runs."""
    if module in ("pytest", "py.test"):
        return _files(rest, where, "pytest")
    if module == "unittest":
        dotted = [w if w.endswith(".py") else f"{w.replace('.', '/')}.py" for w in rest]
        return _files(dotted, where, "module")
    return [_Run(_from_root(f"{module.replace('.', '/')}.py", where), "script", tuple(rest))]


def _files(words: Sequence[str], where: str, way: Way) -> list[_Run]:
    named = (word.split("::")[0] for word in words if not word.startswith("-"))
    return [_Run(_from_root(name, where), way) for name in named if name.endswith(".py")]


def _labels(words: Sequence[str]) -> list[_Run]:
    """Files behind the labels of Django's runner: ``app.module.Class.test``."""
    found = []
    for number, word in enumerate(words):
        if word.startswith("-") or (number and words[number - 1] in _TAKES_VALUE):
            continue
        parts = word.removesuffix(".py").replace("/", ".").removeprefix("tests.").split(".")
        # Class and test, if given, come after the module; of the longer names none was written.
        found += [
            _Run(f"tests/{'/'.join(parts[:n])}.py", "django") for n in range(1, len(parts) + 1)
        ]
    return found


def _bare(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """A command without what stands before its program, and the variables set for it."""
    rest, variables = list(words), dict[str, str]()
    while rest:
        assigned = _ASSIGNED.match(rest[0])
        if assigned:
            variables[assigned[1]] = assigned[2]
            rest = rest[1:]
        elif rest[0] in ("env", "time", "nohup", "sudo", "exec", "then", "do", "else", "!", "{"):
            rest = rest[1:]
        elif rest[0] == "timeout":
            rest = rest[1:]
            while rest and (rest[0].startswith("-") or re.fullmatch(r"[\d.]+[smhd]?", rest[0])):
                rest = rest[1:]
        else:
            break
    return rest, {key: value for key, value in variables.items() if key != "PATH"}


def _needed(text: str, beside: Mapping[str, str]) -> dict[str, str]:
    """Of the files that the agent had made, those whose name the text or one of them speaks of."""
    chosen: dict[str, str] = {}
    queue = [text]
    while queue and len(chosen) < MOST_FILES:
        said = queue.pop()
        for path, body in beside.items():
            name = posixpath.basename(path)
            stem = name.rsplit(".", 1)[0]
            folder = posixpath.basename(posixpath.dirname(path))
            spoken = [name, stem] if stem != "__init__" else [folder]
            if path not in chosen and any(_speaks(said, word) for word in spoken if word):
                chosen[path] = body
                queue.append(body)
    return chosen


def _speaks(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text))


def _stem(path: str, way: Way) -> str:
    """What the name of the file in the box begins with: a runner must take it for a test."""
    stem = posixpath.basename(path).removesuffix(".py")
    stem = re.sub(r"\W", "_", stem) or "script"
    if way in ("pytest", "django") and not paths.is_test_module(f"{stem}_0.py"):
        return f"test_{stem}"
    return stem


def _from_root(name: str, where: str) -> str:
    """A path as seen from /testbed; one outside of it stays absolute."""
    whole = posixpath.normpath(posixpath.join(where, name))
    return whole.removeprefix(f"{ROOT}/") if whole.startswith(f"{ROOT}/") else whole
