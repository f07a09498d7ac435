"""Rules for whether a test failed for the issue's reason or by a mistake of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_router.verifiers.reproduction.single_run import TrialResult
from swe_router.verifiers.testing import comparison

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_CODE = re.compile(r"`([^`\n]+)`")
_CODELIKE = re.compile(
    r"\b(?:[A-Za-z]\w*_\w+|_\w+|[a-z]+[A-Z]\w*|(?:[A-Z][a-z0-9]+){2,}|\w+(?:Error|Exception|Warning))\b"
)
_DOTTED = re.compile(r"\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")
_NETWORK_KINDS = frozenset({"gaierror", "URLError", "ConnectTimeout", "MaxRetryError"})
_UNREADY = re.compile(
    r"no such table|no such column|doesn't declare an explicit app_label"
    r"|settings are not configured|apps aren't loaded|database queries to|INSTALLED_APPS"
)
_UNREADY_KINDS = frozenset({"ImproperlyConfigured", "AppRegistryNotReady"})
_SIGNATURE = re.compile(
    r"positional argument|unexpected keyword|multiple values for|required keyword-only"
)
_OWN = frozenset({"SyntaxError", "NameError", "ImportError", "FileNotFoundError"})
"""Of these (and what derives from them) a test is guilty itself where they leave its own code."""
_STATED = re.compile(r"raise\b|(sys\.)?exit\(|(self|pytest)\.fail\(|quit\(|os\._exit\(")


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
        code = " ".join(_CODE.findall(problem) + _DOTTED.findall(problem))
        names = {*_IDENTIFIER.findall(code), *_CODELIKE.findall(problem)}
        return cls(
            text=problem,
            words=frozenset(_IDENTIFIER.findall(problem)),
            names=frozenset(name for name in names if len(name) > 2),
        )


def why_not_evidence(seen: TrialResult, issue: IssueNames) -> str:
    """Why a failure at the base commit is no evidence; empty when it is the issue's."""
    failure = f"{seen.kind}: {seen.message}".strip(": ")[:200]
    if needs_network(seen):
        return f"it needs the network ({failure})"
    if seen.phase != "call":
        asked_for = seen.phase == "load" and _missing_name(seen, issue)
        kind = "does not load" if seen.phase == "load" else "fails before it begins"
        return "" if asked_for else f"it {kind}: {failure}"
    if seen.kind == "ModuleNotFoundError" and not _quoted(seen) & issue.words:
        return f"it does not find what it needs: {failure}"
    unready = seen.kind in _UNREADY_KINDS or _UNREADY.search(seen.message)
    if unready and seen.kind not in issue.words:
        return f"it does not set the project up: {failure}"
    if seen.where == "test":
        return _of_its_own(seen, issue, failure)
    failed = seen.project or (_asserts(seen) and seen.touched)
    own = failed and not _lacks(seen, issue)
    return "" if own else f"nothing of the project failed, or it lacks something here: {failure}"


def _of_its_own(seen: TrialResult, issue: IssueNames, failure: str) -> str:
    """The same for an exception that left the test's own code."""
    kinds = {seen.kind, *seen.bases}
    if kinds & _OWN:
        asked_for = "ImportError" in kinds and _missing_name(seen, issue)
        return "" if asked_for else f"a mistake of its own: {failure}"
    wrong_call = seen.kind == "TypeError" and _SIGNATURE.search(seen.message)
    if seen.kind == "AttributeError" or wrong_call:
        missing = (_QUOTED.findall(seen.message) or [""])[-1]
        named = missing in issue.words or (seen.message and seen.message in issue.text)
        return "" if named else f"it asks for what the issue does not name: {failure}"
    if not seen.touched:
        return f"it called nothing of the project: {failure}"
    # Not by the kind of exception: the issue's own TypeError can be had without the project.
    if _asserts(seen) or set(_IDENTIFIER.findall(seen.line)) & issue.names:
        return ""
    return f"its own code failed: {failure}"


def _quoted(seen: TrialResult) -> set[str]:
    """Names in quotes of a message, dotted ones in their parts."""
    return {part for text in _QUOTED.findall(seen.message) for part in text.split(".")}


def _lacks(seen: TrialResult, issue: IssueNames) -> bool:
    """A package or file is not there, and of such a failure the issue says nothing."""
    kinds = {seen.kind, *seen.bases} & {"ImportError", "FileNotFoundError"}
    if not kinds or (kinds | {seen.kind}) & issue.words:
        return False
    missing = (_QUOTED.findall(seen.message) or [""])[0].rpartition("/")[2]
    named = seen.message.partition(":")[0].rpartition("] ")[2]
    return not any(part and part in issue.text for part in (missing, named))


def needs_network(seen: TrialResult) -> bool:
    """The failure is that of a sandbox without a network."""
    return seen.kind in _NETWORK_KINDS or comparison.needs_network(seen.message)


def broken_test(seen: TrialResult) -> bool:
    """After a patch: the test, not the project, is at fault (it got further than at the base)."""
    if needs_network(seen):
        return True
    own = {seen.kind, *seen.bases} & _OWN
    return bool(own) and seen.where == "test" and seen.phase != "load"


def issue_mentions(seen: TrialResult, issue: IssueNames) -> list[str]:
    """What of the issue a failure names: exception, functions, words of its line or message."""
    named = {seen.kind, *seen.functions}
    named |= set(_IDENTIFIER.findall(f"{seen.line} {seen.message}"))
    return sorted(named & issue.names)


def is_same_failure(one: TrialResult, other: TrialResult) -> bool:
    """Two failures are alike: kind and message, numbers aside."""
    bare = (re.sub(r"0x[0-9a-f]+|\d+", "N", seen.message) for seen in (one, other))
    return one.kind == other.kind and len(set(bare)) == 1


def _asserts(seen: TrialResult) -> bool:
    """The test says itself that something is not as it should be."""
    stated = seen.kind in ("Failed", "SystemExit") or bool(_STATED.match(seen.line))
    return stated or "AssertionError" in (seen.kind, *seen.bases)


def _missing_name(seen: TrialResult, issue: IssueNames) -> str:
    """The name that could not be imported, where the issue asks for it."""
    found = re.search(r"cannot import name ['\"]?(\w+)", seen.message)
    return found[1] if found and found[1] in issue.words else ""
