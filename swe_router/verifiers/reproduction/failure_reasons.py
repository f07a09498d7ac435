"""Rules for whether a test failed for the issue's reason or by a mistake of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_router.verifiers.reproduction.single_run import TrialResult
from swe_router.verifiers.testing import comparison

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_BACKTICKED = re.compile(r"`([^`\n]+)`")
_CODE_LIKE_WORD = re.compile(
    r"\b(?:[A-Za-z]\w*_\w+|_\w+|[a-z]+[A-Z]\w*|(?:[A-Z][a-z0-9]+){2,}|\w+(?:Error|Exception|Warning))\b"
)
_DOTTED_NAME = re.compile(r"\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_QUOTED_TEXT = re.compile(r"['\"]([^'\"]+)['\"]")
_NETWORK_KINDS = frozenset({"gaierror", "URLError", "ConnectTimeout", "MaxRetryError"})
_SETUP_MISSING_MESSAGE = re.compile(
    r"no such table|no such column|doesn't declare an explicit app_label"
    r"|settings are not configured|apps aren't loaded|database queries to|INSTALLED_APPS"
)
_SETUP_MISSING_KINDS = frozenset({"ImproperlyConfigured", "AppRegistryNotReady"})
_SIGNATURE_MESSAGE = re.compile(
    r"positional argument|unexpected keyword|multiple values for|required keyword-only"
)
_KINDS_OF_BROKEN_TESTS = frozenset({"SyntaxError", "NameError", "ImportError", "FileNotFoundError"})
"""Of these (and what derives from them) a test is guilty itself where they leave its own code."""
_STATED_FAILURE_LINE = re.compile(
    r"raise\b|(sys\.)?exit\(|(self|pytest)\.fail\(|quit\(|os\._exit\("
)


@dataclass(frozen=True)
class IssueNames:
    """What the text of an issue names."""

    text: str
    words: frozenset[str]
    """Every identifier in it."""
    names: frozenset[str]
    """Those that look like code: quoted as code, dotted, snake or camel case, exceptions."""

    @classmethod
    def of(cls, problem: str) -> IssueNames:
        """The names of a text."""
        code = " ".join(_BACKTICKED.findall(problem) + _DOTTED_NAME.findall(problem))
        names = {*_IDENTIFIER.findall(code), *_CODE_LIKE_WORD.findall(problem)}
        return cls(
            text=problem,
            words=frozenset(_IDENTIFIER.findall(problem)),
            names=frozenset(name for name in names if len(name) > 2),
        )


def why_not_evidence(trial_result: TrialResult, issue: IssueNames) -> str:
    """Why a failure at the base commit is no evidence; empty when it is the issue's."""
    failure = f"{trial_result.kind}: {trial_result.message}".strip(": ")[:200]
    if needs_network(trial_result):
        return f"it needs the network ({failure})"
    if trial_result.phase != "call":
        asked_for = trial_result.phase == "load" and _missing_name_of_issue(trial_result, issue)
        kind = "does not load" if trial_result.phase == "load" else "fails before it begins"
        return "" if asked_for else f"it {kind}: {failure}"
    if (
        trial_result.kind == "ModuleNotFoundError"
        and not _names_in_quotes(trial_result) & issue.words
    ):
        return f"it does not find what it needs: {failure}"
    unready = trial_result.kind in _SETUP_MISSING_KINDS or _SETUP_MISSING_MESSAGE.search(
        trial_result.message
    )
    if unready and trial_result.kind not in issue.words:
        return f"it does not set the project up: {failure}"
    if trial_result.where == "test":
        return _why_test_is_at_fault(trial_result, issue, failure)
    failed = trial_result.project or (_states_failure(trial_result) and trial_result.touched)
    own = failed and not _lacks_unmentioned_module(trial_result, issue)
    return "" if own else f"nothing of the project failed, or it lacks something here: {failure}"


def _why_test_is_at_fault(trial_result: TrialResult, issue: IssueNames, failure: str) -> str:
    """The same for an exception that left the test's own code."""
    kinds = {trial_result.kind, *trial_result.bases}
    if kinds & _KINDS_OF_BROKEN_TESTS:
        asked_for = "ImportError" in kinds and _missing_name_of_issue(trial_result, issue)
        return "" if asked_for else f"a mistake of its own: {failure}"
    wrong_call = trial_result.kind == "TypeError" and _SIGNATURE_MESSAGE.search(
        trial_result.message
    )
    if trial_result.kind == "AttributeError" or wrong_call:
        missing = (_QUOTED_TEXT.findall(trial_result.message) or [""])[-1]
        named = missing in issue.words or (
            trial_result.message and trial_result.message in issue.text
        )
        return "" if named else f"it asks for what the issue does not name: {failure}"
    if not trial_result.touched:
        return f"it called nothing of the project: {failure}"
    # Not by the kind of exception: the issue's own TypeError can be had without the project.
    if _states_failure(trial_result) or set(_IDENTIFIER.findall(trial_result.line)) & issue.names:
        return ""
    return f"its own code failed: {failure}"


def _names_in_quotes(trial_result: TrialResult) -> set[str]:
    """Names in quotes of a message, dotted ones in their parts."""
    return {part for text in _QUOTED_TEXT.findall(trial_result.message) for part in text.split(".")}


def _lacks_unmentioned_module(trial_result: TrialResult, issue: IssueNames) -> bool:
    """A package or file is not there, and of such a failure the issue says nothing."""
    kinds = {trial_result.kind, *trial_result.bases} & {"ImportError", "FileNotFoundError"}
    if not kinds or (kinds | {trial_result.kind}) & issue.words:
        return False
    missing = (_QUOTED_TEXT.findall(trial_result.message) or [""])[0].rpartition("/")[2]
    named = trial_result.message.partition(":")[0].rpartition("] ")[2]
    return not any(part and part in issue.text for part in (missing, named))


def needs_network(trial_result: TrialResult) -> bool:
    """The failure is that of a sandbox without a network."""
    return trial_result.kind in _NETWORK_KINDS or comparison.needs_network(trial_result.message)


def is_test_at_fault(trial_result: TrialResult) -> bool:
    """After a patch: the test, not the project, is at fault (it got further than at the base)."""
    if needs_network(trial_result):
        return True
    own = {trial_result.kind, *trial_result.bases} & _KINDS_OF_BROKEN_TESTS
    return bool(own) and trial_result.where == "test" and trial_result.phase != "load"


def issue_mentions(trial_result: TrialResult, issue: IssueNames) -> list[str]:
    """What of the issue a failure names: exception, functions, words of its line or message."""
    named = {trial_result.kind, *trial_result.functions}
    named |= set(_IDENTIFIER.findall(f"{trial_result.line} {trial_result.message}"))
    return sorted(named & issue.names)


def is_same_failure(one: TrialResult, other: TrialResult) -> bool:
    """Two failures are alike: kind and message, numbers aside."""
    bare = (re.sub(r"0x[0-9a-f]+|\d+", "N", trial_result.message) for trial_result in (one, other))
    return one.kind == other.kind and len(set(bare)) == 1


def _states_failure(trial_result: TrialResult) -> bool:
    """The test says itself that something is not as it should be."""
    stated = trial_result.kind in ("Failed", "SystemExit") or bool(
        _STATED_FAILURE_LINE.match(trial_result.line)
    )
    return stated or "AssertionError" in (trial_result.kind, *trial_result.bases)


def _missing_name_of_issue(trial_result: TrialResult, issue: IssueNames) -> str:
    """The name that could not be imported, where the issue asks for it."""
    found = re.search(r"cannot import name ['\"]?(\w+)", trial_result.message)
    return found[1] if found and found[1] in issue.words else ""
