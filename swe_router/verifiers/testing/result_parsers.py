"""Readers of what the test runners of other languages write; a reader each, one form for all."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers import expat

from swe_router.verifiers.testing.results import Report

_CARGO_TARGET = re.compile(r"\s*(?:Running (?:unittests )?(\S+)|Doc-tests (\S+))")
_CARGO_TEST = re.compile(r"test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)\b")
_MINITEST_LINE = re.compile(r"(\S+#\S.*?) = \d+\.\d+ s = ([.FES])\s*\Z")
_AUTOMAKE_LINE = re.compile(r"(PASS|FAIL|XPASS|XFAIL|SKIP|ERROR): (.+?)\s*\Z")
_TAP_LINE = re.compile(
    r"(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(?:#\s*(skip|todo)\b.*)?\Z", re.IGNORECASE
)
_RESULT_BY_WORD = {
    "passed": "passed",
    "pass": "passed",
    "ok": "passed",
    "failed": "failed",
    "fail": "failed",
    "pending": "skipped",
    "skipped": "skipped",
    "skip": "skipped",
    "todo": "skipped",
    "disabled": "skipped",
    "ignored": "skipped",
}


def parse_go(data: bytes) -> Report:
    """``go test -json``: a line of JSON an event; a package that does not build is an error.

    Go reads them back from its own test binary's output: a test that prints ``--- FAIL: TestX``
    in Go's own form can harm its package, and one that prints ``--- PASS`` before 1.20 help it.
    """
    report = Report()
    built: set[str] = set()
    for event in _json_lines(data):
        package, test = str(event.get("Package", "")), event.get("Test")
        outcome = _RESULT_BY_WORD.get(str(event.get("Action")))
        if test and outcome:
            built.add(package)
            report.add(f"{package}/{test}", outcome, package)
        elif outcome == "failed" and package not in built:
            report.add(package, "error", package)
    return report


def parse_cargo(data: bytes) -> Report:
    """``cargo test``'s lines on both streams; what a test prints is shown after ``failures:``.

    (Only a nightly toolchain prints JSON.)
    """
    report = Report()
    target, inside = "", True
    for line in data.decode("utf-8", "replace").splitlines():
        found = _CARGO_TARGET.match(line)
        if found:
            target, inside = found.group(1) or f"doc {found.group(2)}", True
        elif line.strip() == "failures:":
            inside = False
        elif inside and (test := _CARGO_TEST.match(line)):
            report.add(f"{target}::{test.group(1)}", _RESULT_BY_WORD[test.group(2).lower()], target)
    return report


def parse_jest(data: bytes) -> Report:
    """``jest --json`` and ``vitest --reporter=json``; a file without tests that failed: error."""
    report = Report()
    for file in _list_at_key(_json_object(data), "testResults"):
        path = _normalised_path(str(file.get("name", "")))
        tests = _list_at_key(file, "assertionResults")
        for test in tests:
            name = str(test.get("fullName") or test.get("title", ""))
            report.add(f"{path}::{name}", _RESULT_BY_WORD.get(str(test.get("status")), ""), path)
        if not tests and file.get("status") == "failed":
            report.add(path, "error", path, str(file.get("message", ""))[-200:])
    return report


def parse_mocha(data: bytes) -> Report:
    """``mocha --reporter json``: lists of passes, failures and pending tests."""
    report, whole = Report(), _json_object(data)
    for kind, outcome in (("passes", "passed"), ("failures", "failed"), ("pending", "skipped")):
        for test in _list_at_key(whole, kind):
            path = _normalised_path(str(test.get("file") or ""))
            name = f"{path}::{test.get('fullTitle', '')}"
            # A hook that fails is listed among the failures under a name of its own.
            report.add(name, outcome, path)
    return report


def parse_rspec(data: bytes) -> Report:
    """``rspec --format json``; a file that does not load is counted outside of the examples."""
    report, whole = Report(), _json_object(data)
    for test in _list_at_key(whole, "examples"):
        path = str(test.get("file_path", "")).removeprefix("./")
        name = f"{path}::{test.get('full_description', '')}"
        report.add(name, _RESULT_BY_WORD.get(str(test.get("status")), ""), path)
    summary = whole.get("summary")
    if isinstance(summary, Mapping) and summary.get("errors_outside_of_examples_count"):
        report.add("outside of examples", "error")
    return report


def parse_junit(data: bytes) -> Report:
    """JUnit's XML, one or several documents after another.

    So PHPUnit's ``--log-junit``, Surefire, Gradle and CTest.
    """
    report = Report()
    for piece in re.split(rb"(?=<\?xml)", data):
        if piece.strip():
            try:
                _JunitCases(report).feed_documents(piece)
            except (expat.ExpatError, ValueError):
                continue  # torn: what was read of it stays
    return report


def parse_minitest(data: bytes) -> Report:
    """Minitest's verbose lines, ``Class#test = 0.01 s = .``; printed, so a test could forge one."""
    report = Report()
    outcomes = {".": "passed", "F": "failed", "E": "failed", "S": "skipped"}
    for line in data.decode("utf-8", "replace").splitlines():
        if found := _MINITEST_LINE.search(line):
            report.add(found.group(1).strip(), outcomes[found.group(2)])
    return report


def parse_tap_lines(data: bytes) -> Report:
    """Automake's ``PASS: name`` and TAP's ``ok 1 - name``; printed, so a test could forge one."""
    report = Report()
    kinds = {"pass": "passed", "xfail": "skipped", "skip": "skipped", "error": "error"}
    for line in data.decode("utf-8", "replace").splitlines():
        if found := _AUTOMAKE_LINE.match(line):
            report.add(found.group(2), kinds.get(found.group(1).lower(), "failed"))
        elif (found := _TAP_LINE.match(line)) and found.group(2):
            bad, name, skip = found.groups()
            report.add(name, "skipped" if skip else "failed" if bad else "passed")
    return report


class _JunitCases:
    """The ``testcase`` elements of one document."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.case: dict[str, str] | None = None
        self.outcome = "passed"

    def feed_documents(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.Parse(data, True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self.case = attributes
            # CTest says it in an attribute.
            self.outcome = {"fail": "failed", "disabled": "skipped", "notrun": "skipped"}.get(
                attributes.get("status", ""), "passed"
            )
        elif self.case is not None and tag in ("failure", "error"):
            self.outcome = "failed"
        elif self.case is not None and tag == "skipped" and self.outcome == "passed":
            self.outcome = "skipped"

    def _end(self, tag: str) -> None:
        if tag != "testcase" or self.case is None:
            return
        owner = self.case.get("classname") or self.case.get("class") or ""
        file = _normalised_path(self.case.get("file", "")) if self.case.get("file") else owner
        name = self.case.get("name", "")
        self.report.add(f"{owner}::{name}" if owner != name else name, self.outcome, file)
        self.case = None


def _refuse_doctype(*_: Any) -> None:
    raise ValueError("a document type: entities are not expanded")


def _json_object(data: bytes) -> Mapping[str, Any]:
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}


def _json_lines(data: bytes) -> Iterator[Mapping[str, Any]]:
    for line in data.splitlines():
        if event := _json_object(line):
            yield event


def _list_at_key(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = document.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _normalised_path(path: str) -> str:
    return posixpath.normpath(path) if path else ""
