"""The words of the house: a stranger of the field guesses what a name means, and a grep finds it.

A room leaves ``OPEN_ROOMS`` once it holds none of the banned words.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.doubles.sources import tree

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "swe_router"
ROOMS = sorted(
    p.name if p.is_dir() else p.stem
    for p in PACKAGE.iterdir()
    if (p.is_dir() and (p / "__init__.py").exists()) or (p.suffix == ".py" and p.stem[0] != "_")
)

# Pattern -> what to write in its place. A word ends where letters end: ``_`` splits names.
BANNED = {
    "said": "reported, returned, message",
    "told": "given, reported, notified",
    "beside": "next to, in addition to",
    "whoever": "a process that",
    "(?:he|his|him)": "it, its",
    "(?:is|are|was|be) to be had": "is available",
    "gone on with": "continued",
    "owed again": "pending again",
    "told apart": "distinguished",
    "an? (?:row|call|line|run|plan|file|patch|step|candidate|attempt|instance|tier)"
    " an? (?:instance|attempt|plan|tier|line|row|run|step|candidate)": "per",
    "one an? (?:instance|attempt|plan|tier|line|row|run|step|candidate)": "one per",
    "MOST": "MAX",
    "LEAST": "MIN",
    "(?:box|boxes)": "sandbox",
}
# No words of the house: rich's argument, HTML and CSS, a key of ``--json``.
SPARED = re.compile(
    r"\bbox=|import box\b|\bbox\.[A-Z]+|box-sizing|border-box|\bviewBox\b|check ?box"
    # Words of the wire and of the disk, which older runs and processes know too.
    r"|swe-box|swe-router-box-|box\.json|SWE_ROUTER_BOX|box:x:.*:box|nodev[^ ]* box |\"box\""
    r"|box@localhost"
    # Keys of recorded evidence, and texts of decisions and prompts that a replay compares.
    r"|git_said|[\"']said[\"']|\bsaid=|\bsaid: EscapedText|said unknown|and said:"
    r"|of its change said|lists beside its example"
    r"|TIERS=.box"
    # Values of ``--json``, which stay: people read other words.
    r"|\"(?:not|cannot be) told\""
)

ANY_BANNED = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(BANNED)})(?![A-Za-z])", re.I)

# Rooms that still hold some of them; a new room is held to the rule from its first day.
OPEN_ROOMS: frozenset[str] = frozenset()
CLEAN = frozenset(ROOMS) - OPEN_ROOMS

# Same name on purpose: the folder makes it plain.
TWICE_MODULES = {
    "local": "a grader and a sandbox",
    "runner": "api: runs from Python; grading: the row's test runner",
}
TWICE_CLASSES: dict[str, str] = {}

# A function of this name, alone at the top of a module, tells a reader or a grep nothing.
VAGUE = frozenset(
    [
        "read",
        "told",
        "said",
        "of",
        "named",
        "asked",
        "bare",
        "whole",
        "apart",
        "standing",
        "kept",
        "own",
        "made",
        "known",
        "given",
        "tried",
        "plain",
        "words",
        "lines",
        "shown",
        "counted",
        "listed",
    ]
)


def found(text: str) -> list[str]:
    """Each banned word of a text with its line, and what to write."""
    hits: list[str] = []
    checked = SPARED.sub("", text)
    if ANY_BANNED.search(checked) is None:  # one pass in place of one per word
        return hits
    for word, better in BANNED.items():
        pattern = re.compile(rf"(?<![A-Za-z]){word}(?![A-Za-z])", re.I if word.islower() else 0)
        for hit in pattern.finditer(checked):
            hits.append(f"{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]!r} -> {better}")
    return hits


def sources(room: str) -> list[Path]:
    at = PACKAGE / room
    return sorted(at.rglob("*.py")) if at.is_dir() else [at.with_suffix(".py")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", sorted(CLEAN))
def test_no_banned_word_is_in_a_name_or_a_sentence(room):
    assert [f"{name_of(p)}:{hit}" for p in sources(room) for hit in found(p.read_text())] == []


def test_the_search_for_banned_words_finds_each_kind():
    line = "def told(box): one an attempt, a row an instance, MOST_STEPS, his, is to be had"
    assert len(found(line)) == 7
    assert found("toolbox, threshold, the sandbox; at most; this; box=None") == []


def test_open_rooms_exist():
    assert set(ROOMS) >= OPEN_ROOMS


def is_data_set(paths: list[str]) -> bool:
    """One data set: its questions in ``instances/``, its answers in ``grading/``."""
    return {Path(path).parent.name for path in paths} == {"grading", "instances"}


def test_no_module_name_occurs_twice():
    where = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            where[path.stem].append(name_of(path))
    twice = {name for name, at in where.items() if len(at) > 1 and not is_data_set(at)}
    assert twice == set(TWICE_MODULES)


def test_no_class_name_occurs_twice():
    where = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                where[node.name.lstrip("_")].append(name_of(path))
    twice = {name: at for name, at in where.items() if len(at) > 1}
    assert set(twice) == set(TWICE_CLASSES)


@pytest.mark.parametrize("room", sorted(CLEAN))
def test_no_public_function_has_a_vague_name(room):
    vague = [
        f"{name_of(path)}:{node.name}"
        for path in sources(room)
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name in VAGUE
    ]
    assert vague == []


def test_the_glossary_is_short_and_names_each_term_once():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    glossary = text[text.index("## Glossary") : text.index("## The journey")]
    rows = [line for line in glossary.splitlines() if line.startswith("| **")]
    terms = [term for row in rows for term in re.findall(r"\*\*(.+?)\*\*", row.split(" | ")[0])]
    assert 20 <= len(terms) <= 30
    assert len(set(terms)) == len(terms)


def test_every_file_that_the_architecture_names_exists():
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", (ROOT / "ARCHITECTURE.md").read_text()))
    assert named
    assert [
        one for one in named if not (PACKAGE / one).exists() and not (ROOT / one).exists()
    ] == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_no_banned_word_is_in_the_documents(name):
    assert found((ROOT / name).read_text()) == []


def test_no_function_of_the_package_looks_like_a_test():
    """pytest collects a function that a test module imports when its name begins with ``test``."""
    named = [
        f"{name_of(path)}:{node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert named == []
