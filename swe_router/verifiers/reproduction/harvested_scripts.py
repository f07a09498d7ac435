"""Scripts and tests that an agent made, from its steps: text, runs, output."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from swe_router import shell
from swe_router.records import Action, Step
from swe_router.shell import Command
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.reproduction import invoked, printed_output
from swe_router.verifiers.reproduction.invoked import Folder, InvokedRun
from swe_router.verifiers.reproduction.single_run import RunMode, Test

MAX_SCRIPT_CHARS = 20_000
"""Characters of a script; longer ones are data."""
MAX_NEEDED_FILES = 20
"""Files put next to a script."""
_OPEN_FILE_COMMAND = re.compile(r"(create|open) +(\S+\.py)(?: \d+)?\s*\Z")
_EDIT_LINES_COMMAND = re.compile(r"edit +(\d+):(\d+)[^\n]*\n(.*?)\n?end_of_edit\s*\Z", re.S)
_COMMON_FOLDERS = frozenset(
    {"", "tests", "test", "testing", "tmp", "testbed", "src", "django", "sympy"}
)
"""Folders that a script speaks of without meaning the agent's files in them."""
MAX_SCRIPTS_PER_ATTEMPT = 6
"""Scripts taken of one attempt, the most telling first."""
MIN_USEFULNESS_OF_FIX = 3
"""``telling`` from which the runs of one text show a change between them."""
MAX_TEXTS_PER_FILE = 2
"""Texts per file: the best script may depend on files an earlier command created."""


@dataclass(frozen=True)
class RecordedRunOfScript:
    """One recorded run of a script."""

    step: int
    exit_code: int | None
    output: str


@dataclass
class HarvestedScript:
    """A script as it was when it was last run."""

    path: str
    """As the agent named it, from the work folder; ``inline-N.py`` for what never was a file."""
    test: Test
    recorded_runs: list[RecordedRunOfScript] = field(default_factory=list)
    """Recorded runs of exactly this text."""

    @property
    def usefulness_hint(self) -> int:
        """How well its recorded runs show a bug and its fix, 0 to 4; a hint only."""
        bad = [
            printed_output.seems_to_show_bug(ran.exit_code, ran.output)
            for ran in self.recorded_runs
        ]
        if True in bad and False in bad[bad.index(True) :]:
            return 4
        # Run again, it printed something else: something changed in between.
        if (
            len(
                {
                    printed_output.output_digest(ran.output)
                    for ran in (*self.recorded_runs[:1], *self.recorded_runs[-1:])
                }
            )
            == 2
        ):
            return MIN_USEFULNESS_OF_FIX
        return 2 if True in bad else 0 if not bad else 1


def harvest_scripts(
    steps: Sequence[Step], is_known: Callable[[str], bool], workdir: str
) -> list[HarvestedScript]:
    """Scripts that an attempt made next to the repository's own files and ran, best first.

    ``is_known``: whether a path lies in the repository at the base commit, or in the patch that
    the attempt handed in. ``workdir``: where the project lies in the attempt's sandbox.
    """
    return _ScriptWatcher(is_known, workdir).follow(steps)


class _ScriptWatcher:
    """The files that an agent made, as they are at each moment."""

    def __init__(self, is_known: Callable[[str], bool], workdir: str) -> None:
        self.is_known, self.home = is_known, Folder(workdir, workdir)
        self.files: dict[str, str | None] = {}
        """Path -> text; None where it is not known any more."""
        self.found: dict[tuple[str, str], HarvestedScript] = {}
        self.inline = 0
        self.opened = ""

    def follow(self, steps: Sequence[Step]) -> list[HarvestedScript]:
        for step in steps:
            for action in step.actions:
                if action.call.name == "edit":
                    self._follow_edit_tool(action)
                elif action.call.name == "bash":
                    self._follow_bash(
                        action, str(action.call.arguments.get("command", "")), step.index
                    )
        return self._ranked_scripts()

    def _ranked_scripts(self) -> list[HarvestedScript]:
        """What is worth a run: the most telling first, then the later; other texts of a file last.

        Another text of a file is named for its place among them.
        """
        order = sorted(
            enumerate(self.found.values()), key=lambda pair: (-pair[1].usefulness_hint, -pair[0])
        )
        first: list[HarvestedScript] = []
        others: list[HarvestedScript] = []
        seen: Counter[str] = Counter()
        for one in (one for _, one in order if one.usefulness_hint):
            seen[one.path] += 1
            if seen[one.path] == 1:
                first.append(one)
            elif (
                seen[one.path] <= MAX_TEXTS_PER_FILE
                and one.usefulness_hint >= MIN_USEFULNESS_OF_FIX
            ):
                others.append(replace(one, path=f"{one.path} (text {seen[one.path]})"))
        return [*first, *others][:MAX_SCRIPTS_PER_ATTEMPT]

    def _follow_edit_tool(self, action: Action) -> None:
        """A call of our own tool."""
        given = action.call.arguments
        if not action.call.error:
            old, new = str(given.get("old", "")), str(given.get("new", ""))
            path = self.home.path(str(given.get("path", "")))
            self._change_file(path, given.get("action"), old, new)

    def _follow_swe_agent_editor(self, words: Sequence[str], where: Folder) -> None:
        """``str_replace_editor create PATH --file_text TEXT`` and the like, of SWE-agent."""
        if words[:1] != ["str_replace_editor"] or len(words) < 3:
            return
        given = dict(pairwise(words[3:]))
        kind = {"str_replace": "replace"}.get(words[1], words[1])
        new = given.get("--file_text", given.get("--new_str", ""))
        if kind != "view":
            self._change_file(where.path(words[2]), kind, given.get("--old_str", ""), new)

    def _follow_line_edits(self, script: str) -> bool:
        """``create PATH``, then ``edit 1:1`` and lines up to ``end_of_edit``: older SWE-agent.

        True when the script was such an action.
        """
        opened = _OPEN_FILE_COMMAND.match(script)
        if opened:
            self.opened = self.home.path(opened[2])
            if opened[1] == "create":
                self._change_file(self.opened, "create", "", "\n")
            return True
        edit = _EDIT_LINES_COMMAND.match(script)
        if edit is None:
            return False
        before = self.files.get(self.opened)
        if self.opened in self.files and before is not None:
            lines = before.removesuffix("\n").split("\n")
            lines[int(edit[1]) - 1 : int(edit[2])] = edit[3].splitlines()
            self.files[self.opened] = "".join(f"{line}\n" for line in lines)
        return True

    def _change_file(self, path: str, kind: object, old: str, new: str) -> None:
        """A file is created or some of its text replaced; after any other edit it is unknown."""
        before = self.files.get(path)
        if self.is_known(path):
            return
        if kind == "create":
            self.files[path] = new
        elif kind == "replace" and before is not None and before.count(old) == 1:
            self.files[path] = before.replace(old, new)
        elif path in self.files:
            self.files[path] = None

    def _follow_bash(self, action: Action, script: str, step: int) -> None:
        where, text = self.home, ""
        if self._follow_line_edits(script):
            return
        for command in shell.commands(script):
            program = shell.program(command.words)
            words = list(program.words)
            if words[:1] == ["cd"] and len(words) > 1:
                where = where.into(words[1])
                continue
            self._follow_move(words, where)
            self._follow_swe_agent_editor(words, where)
            piped, text = (
                text if command.piped else "",
                self._follow_writes(command, words, where, text),
            )
            if "xargs" in program.wrappers or (not command.known and not command.document):
                continue
            variables = {name: v for name, v in program.variables.items() if name != "PATH"}
            for run in invoked.invoked_runs(words, command.document or piped, where):
                self._note_run(
                    run,
                    where,
                    variables,
                    RecordedRunOfScript(step, action.exit_code, action.observation),
                )

    def _follow_writes(
        self, command: Command, words: Sequence[str], where: Folder, piped_text: str
    ) -> str:
        """Follow what a command writes to files; its own output as far as that is known."""
        program = words[0] if words else ""
        output: str | None = None
        if (program == "cat" and len(words) == 1) or program == "tee":
            output = command.document if not command.piped else piped_text
        elif program == "echo" and command.known and not set(words[1:2]) & {"-e", "-n"}:
            output = " ".join(words[1:]) + "\n"
        targets = list(command.writes)
        if program == "tee":
            targets += [(w, "-a" in words) for w in words[1:] if not w.startswith("-")]
        for name, adds in targets:
            path = where.path(name)
            if self.is_known(path) or path.startswith("/dev/"):
                continue
            before = self.files.get(path) if adds else ""
            whole = None if output is None or before is None else before + output
            self.files[path] = whole
        return output or ""

    def _follow_move(self, words: Sequence[str], where: Folder) -> None:
        names = [word for word in words[1:] if not word.startswith("-")]
        if words[:1] in (["mv"], ["cp"]) and len(names) == 2:
            source, target = (where.path(name) for name in names)
            if source in self.files and not self.is_known(target):
                self.files[target] = self.files[source]
        elif words[:1] == ["touch"]:
            for path in (where.path(name) for name in names):
                if not self.is_known(path):
                    self.files.setdefault(path, "")
        elif words[:1] == ["sed"] and any(word.startswith("-i") for word in words):
            for path in (where.path(name) for name in names):
                if path in self.files:
                    self.files[path] = None

    def _note_run(
        self,
        run: InvokedRun,
        where: Folder,
        variables: Mapping[str, str],
        recorded: RecordedRunOfScript,
    ) -> None:
        text = run.inline_source
        if text is None:
            text = self.files.get(run.path)
        if text is None or not text.strip() or len(text) > MAX_SCRIPT_CHARS:
            return
        path = run.path
        known = self.found.get((path, text))
        if not path:
            same = [one for one in self.found.values() if one.test.text == text]
            known = same[0] if same else None
            self.inline += not same
            path = f"inline-{self.inline}.py"
        if known is None:
            others = {
                name: body
                for name, body in self.files.items()
                if body is not None and name != path and len(body) <= MAX_SCRIPT_CHARS
            }
            test = Test(
                text=text,
                run_mode=run.run_by,
                folder=posixpath.dirname(path),
                file_stem=_file_stem_for(path, run.run_by),
                arguments=run.arguments,
                needed_files=_files_needed_by(text, others),
                working_directory="" if where == self.home else where.current,
                variables=dict(variables),
            )
            known = self.found[(path, text)] = HarvestedScript(path, test)
        known.recorded_runs.append(recorded)


def _files_needed_by(text: str, others: Mapping[str, str]) -> dict[str, str]:
    """Of the files that the agent had made, those whose name the text or one of them speaks of."""
    chosen: dict[str, str] = {}
    queue = [text]
    while queue and len(chosen) < MAX_NEEDED_FILES:
        text_read = queue.pop()
        for path, body in others.items():
            name = posixpath.basename(path)
            # A package of the agent's own comes along as a whole.
            folders = [
                part for part in posixpath.dirname(path).split("/") if part not in _COMMON_FOLDERS
            ]
            spoken = {name, name.rsplit(".", 1)[0], *folders} - {"__init__"}
            if path not in chosen and any(
                _mentions_word(text_read, word) for word in spoken if word
            ):
                chosen[path] = body
                queue.append(body)
    return chosen


def _mentions_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text))


def _file_stem_for(path: str, way: RunMode) -> str:
    """What the name of the file in the sandbox begins with: a runner must take it for a test."""
    stem = posixpath.basename(path).removesuffix(".py")
    stem = re.sub(r"\W", "_", stem) or "script"
    if way in ("pytest", "django") and not path_kinds.is_test_module(f"{stem}_0.py"):
        return f"test_{stem}"
    return stem
