"""Asks of every changed file that it still parses, and of every module that it still imports."""

from __future__ import annotations

import json
import posixpath
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tree_sitter import Node

from swe_router import patch_files
from swe_router.codegraph import grammar, python_syntax
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import Candidate, Instance, Outcome, Verdict
from swe_router.seams import Sandbox, VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifier_abilities import EvidenceRecord, Reuse, Stage
from swe_router.verifier_cache import CacheKey
from swe_router.verifiers.evidence_records import FileStatePair, SyntaxEvidence
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.verdict_making import verdict_of_facts

NAME = "syntax"
IMPORT_PROBE_FILE = Path(__file__).parent / "in_sandbox" / "import_probe.py"
MAX_CHECKED_FILES = 60
"""Changed files looked at; a patch of more says so in its evidence."""
PROBE_TIMEOUT_SECONDS = 120.0
"""For all compiling, or all importing, of one state."""
MAX_IMPORTED_MODULES = 12
MACRO_LANGUAGES = frozenset({"c", "cpp"})
"""Languages in which macros make right code unreadable: an error is noted, never held against."""
SYNTAX_CHECK_COMMANDS: Mapping[str, str] = {
    "javascript": "node --check",
    "php": "php -l",
    "ruby": "ruby -c",
    "go": "gofmt -e -l",
}
"""The languages' own tools, run in the sandbox to confirm an error that our grammar found."""


class SyntaxVerifier:
    """Verifier ``syntax``: fails on facts alone.

    A fact is a source file that parsed before (or is new, in a folder) and does not now, and a
    module that was imported before and raises now. A new file at the top is an agent's scratch.
    Test files are left out: a test of a parser may hold broken code on purpose.
    """

    evidence_type: type[EvidenceRecord] = SyntaxEvidence
    stage: Stage = "patch"
    decisive = True
    reuse: Reuse = "files"

    def __init__(self, settings: VerifySettings) -> None:
        self.settings = settings

    def verify(
        self,
        outcome: Outcome,
        peers: Sequence[Outcome],
        instance: Instance,
        context: VerificationContext,
    ) -> Verdict:
        """Look at the changed files before and after, in one sandbox. Raises ``SandboxError``."""
        candidate = outcome.candidate
        patch = candidate.patch if candidate else ""
        if not patch.strip():
            return _verdict_from(candidate, {"why": "there is no patch to read"})
        files = patch_files.patch_summaries(patch)
        if files is None:
            return _verdict_from(candidate, {"why": "the patch cannot be read as a diff"})
        is_test = path_kinds.is_test_predicate(context.graph)
        wanted = [
            f for f in files if not f.deleted and _grammar_name(f.path) and not is_test(f.path)
        ]
        if not wanted:
            return _verdict_from(
                candidate, {"why": "no changed source file is in a language known here"}
            )
        with context.open_sandbox(instance) as sandbox:
            facts = _facts_before_and_after(
                sandbox, wanted[:MAX_CHECKED_FILES], patch, instance, context
            )
        if len(wanted) > MAX_CHECKED_FILES:
            facts["not_looked_at"] = len(wanted) - MAX_CHECKED_FILES
        return _verdict_from(candidate, facts)

    def check(self, verdict: Verdict) -> str:
        """Recompute the outcome from the recorded words of each file and module."""
        return syntax_outcome(read_evidence(SyntaxEvidence, verdict))


def syntax_outcome(facts: SyntaxEvidence) -> str:
    """The outcome that the evidence stands for."""
    if any(map(_no_longer_parses, facts.files.values())):
        return "fail"
    if any(map(_no_longer_imports, facts.imports.values())):
        return "fail"
    return "pass" if any(file.after == "ok" for file in facts.files.values()) else "unknown"


def _no_longer_parses(file: FileStatePair) -> bool:
    """Whether a source file has a new syntax error; one outside the project is only noted."""
    return file.after == "error" and file.base in ("ok", "absent") and not file.aside


def _no_longer_imports(module: FileStatePair) -> bool:
    """Whether a module was imported before and now raises or ends the process."""
    return module.base == "ok" and module.after in ("raises", "died")


@dataclass(frozen=True)
class FileStates(CacheKey[dict[str, Any]]):
    """Path -> how the file reads and imports at a commit."""

    commit: str


def _facts_before_and_after(
    sandbox: Sandbox,
    files: Sequence[patch_files.PatchSummary],
    patch: str,
    instance: Instance,
    context: VerificationContext,
) -> dict[str, Any]:
    python = _find_python(sandbox)
    checker = _FileChecker(sandbox, python)
    base_states: dict[str, Any] = context.cache.setdefault(FileStates(instance.base_commit), {})
    before = [f.before for f in files if f.before]
    fresh = [path for path in dict.fromkeys(before) if path not in base_states]
    base = checker.states(fresh, is_imported=lambda path: True)
    base_states.update({path: base[path] for path in fresh})
    if context.apply(sandbox, patch).exit_code != 0:
        return {"why": "the patch does not apply"}

    def imported_before(path: str) -> bool:
        old = next((f.before for f in files if f.path == path), "")
        return bool(old) and base_states[old]["import"][0] == "ok"

    after = checker.states([f.path for f in files], is_imported=imported_before)
    if any(after[f.path]["import"][0] in ("raises", "died") for f in files):
        again = checker.states([f.path for f in files], is_imported=imported_before)
        after = {path: _state_unless_import_works(after[path], again[path]) for path in after}
    return _evidence_facts(files, base_states, after, checker)


class _FileChecker:
    """Looks at files of one sandbox."""

    def __init__(self, sandbox: Sandbox, python: str) -> None:
        self.sandbox, self.python = sandbox, python

    def states(self, files: Sequence[str], is_imported: Callable[[str], bool]) -> dict[str, Any]:
        """Path -> ``{"parse": [word, message], "import": [word, message]}``."""
        own = [path for path in files if self.python and _grammar_name(path) == "python"]
        parsed = self._run_probe("compile", own)
        parsed |= {path: self._parse_by_grammar(path) for path in files if path not in parsed}
        loaded = [path for path in own if parsed[path][0] == "ok" and is_imported(path)]
        modules = self._run_probe("import", loaded[:MAX_IMPORTED_MODULES])
        none = ["none", ""]
        return {path: {"parse": parsed[path], "import": modules.get(path, none)} for path in files}

    def _run_probe(self, mode: str, files: Sequence[str]) -> dict[str, list[str]]:
        if not files:
            return {}
        folder = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
        report = f"{folder}/{secrets.token_hex(8)}"
        self.sandbox.write(f"{folder}/probe.py", IMPORT_PROBE_FILE.read_bytes())
        self.sandbox.write(f"{folder}/list", json.dumps(list(files)).encode())
        flags = "-I -S " if mode == "compile" else ""
        command = f"{shlex.quote(self.python)} {flags}{folder}/probe.py {mode} {folder}/list"
        self.sandbox.run(f"{command} {report} >/dev/null 2>&1", timeout=PROBE_TIMEOUT_SECONDS)
        try:
            results = json.loads(self.sandbox.read(report))
        except (FileNotFoundError, ValueError):
            results = []
        self.sandbox.run(f"rm -rf {folder}", timeout=60)
        if len(results) != len(files):
            return {path: ["unknown", ""] for path in files}
        return dict(zip(files, results, strict=True))

    def _parse_by_grammar(self, path: str) -> list[str]:
        name = _grammar_name(path)
        try:
            source = self.sandbox.read(path)
        except FileNotFoundError:
            return ["absent", ""]
        except (ValueError, OSError):
            return ["unknown", ""]
        places = _error_places(source, path)
        if not places:
            return ["unknown", "no grammar"] if places is None else ["ok", ""]
        tool = SYNTAX_CHECK_COMMANDS.get(name, "")
        if tool and self._tool_accepts(tool, path):
            return ["ok", ""]
        place = f"line {places[0][0]}, column {places[0][1]}"
        return ["unsure" if name in MACRO_LANGUAGES else "error", place]

    def _tool_accepts(self, tool: str, path: str) -> bool:
        command = f"{tool} {shlex.quote('./' + path)} >/dev/null 2>&1"
        return self.sandbox.run(command, timeout=60).exit_code == 0


def _error_places(source: bytes, path: str) -> list[tuple[int, int]] | None:
    """Lines and columns of syntax errors; None when no grammar is installed."""
    found = grammar.grammar_of(path)
    if found is None or found.name == "python":
        return python_syntax.syntax_errors(source, path)
    tools = grammar.language_tools(found)
    return None if tools is None else _error_nodes(tools.parser.parse(source).root_node)


def _error_nodes(root: Node) -> list[tuple[int, int]]:
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            found.append((node.start_point[0] + 1, node.start_point[1] + 1))
        elif node.has_error:
            waiting.extend(node.children)
    return sorted(found)


def _evidence_facts(
    files: Sequence[patch_files.PatchSummary],
    base: Mapping[str, Any],
    after: Mapping[str, Any],
    checker: _FileChecker,
) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    modules: dict[str, Any] = {}
    none = {"parse": ["absent", ""], "import": ["none", ""]}
    for file in files:
        old, new = base.get(file.before, none), after[file.path]
        name = _grammar_name(file.path)
        by = (
            "the sandbox's Python" if name == "python" and checker.python else f"tree-sitter {name}"
        )
        parsed[file.path] = _before_and_after(old["parse"], new["parse"]) | {"by": by}
        if not file.before and "/" not in file.path:
            parsed[file.path]["aside"] = True  # a scratch file at the top: nothing imports it
        if old["import"][0] != "none":
            modules[file.path] = _before_and_after(old["import"], new["import"])
    facts: dict[str, Any] = {"files": parsed, "imports": modules}
    facts["why"] = _reason_line(SyntaxEvidence.model_validate(facts))
    return facts


def _before_and_after(old: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    pair = {"base": old[0], "after": new[0]}
    return pair | ({"said": new[1]} if new[1] else {})


def _state_unless_import_works(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Mapping[str, Any]:
    """An import that a second try makes is no failure."""
    return second if second["import"][0] == "ok" else first


def _reason_line(facts: SyntaxEvidence) -> str:
    files, modules = facts.files, facts.imports
    for path, file in files.items():
        if _no_longer_parses(file):
            return f"{path} does not parse: {file.error}"
    for path, module in modules.items():
        if _no_longer_imports(module):
            return f"{path} could be imported before and cannot now: {module.error}"
    parsed = sum(file.after == "ok" for file in files.values())
    loaded = sum(module.after == "ok" for module in modules.values())
    return f"{parsed} of {len(files)} changed file(s) parse, {loaded} module(s) still import"


def _grammar_name(path: str) -> str:
    """Name of the grammar for a path; empty when there is none."""
    if posixpath.splitext(path)[1] in python_syntax.SUFFIXES:
        return "python"
    found = grammar.grammar_of(path)
    return found.name if found is not None else ""


def _find_python(sandbox: Sandbox) -> str:
    found = sandbox.run("command -v python || command -v python3", timeout=60).output.split()
    return found[0] if found else ""


def _verdict_from(candidate: Candidate | None, facts: dict[str, Any]) -> Verdict:
    return verdict_of_facts(
        NAME, candidate, syntax_outcome(SyntaxEvidence.model_validate(facts)), facts
    )
