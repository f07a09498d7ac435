"""Patches are one when they leave the same files behind: what git does, not what "@@" says."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from swe_router.patch_identity import effect_digest
from swe_router.sandboxes.patch_application import apply_patch
from swe_router.solve.patch_equivalence import PatchEquivalence
from tests.doubles.engine import INSTANCE
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.project import outcome

HEAD = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"
BASE = "".join(f"line {n}\n" if n not in (8, 9, 10, 38, 39, 40) else "\n" for n in range(1, 50))


@pytest.fixture
def sameness(tmp_path: Path) -> PatchEquivalence:
    made = PlainSandbox(tmp_path / "base")
    made.write("/testbed/a.py", BASE.encode())
    made.must("git init -q && git add -A && git -c user.name=p -c user.email=p@x commit -qm base")
    opened = []

    @contextmanager
    def open_sandbox(instance):
        opened.append(instance)
        folder = tmp_path / f"sandbox{len(opened)}"
        shutil.copytree(tmp_path / "base", folder, symlinks=True)
        yield PlainSandbox(folder)

    return PatchEquivalence(open_sandbox, apply_patch, INSTANCE, {})


def left(sameness: PatchEquivalence, patch: str) -> str:
    return sameness.files_digest(outcome(patch).candidate)


WITH = HEAD + "@@ -16,2 +16,3 @@\n line 16\n+new\n line 17\n"
BARE = HEAD + "@@ -16,0 +17 @@\n+new\n"
MOVED = HEAD + "@@ -9,2 +9,3 @@\n line 41\n+new\n line 42\n"
NEAR = HEAD + "@@ -9,2 +9,3 @@\n \n+new\n \n"
FAR = HEAD + "@@ -6,8 +6,9 @@\n line 36\n line 37\n \n \n+new\n \n line 41\n line 42\n line 43\n"


def test_an_insertion_without_context_is_another_change_since_git_puts_it_at_the_end(sameness):
    assert effect_digest(WITH) != effect_digest(BARE)
    assert left(sameness, WITH) != left(sameness, BARE)


def test_the_same_place_by_number_with_other_lines_beside_it_is_another_change(sameness):
    assert effect_digest(MOVED) != effect_digest(NEAR)
    assert left(sameness, MOVED) != left(sameness, NEAR)


def test_lines_alike_beside_the_edit_are_told_apart_by_the_files_that_are_left(sameness):
    """Only context further off differs: the texts cannot tell, the sandboxes can."""
    assert effect_digest(NEAR) == effect_digest(FAR)
    keys = [sameness.key_of(outcome(patch).candidate) for patch in (NEAR, FAR, NEAR + "\n")]
    assert keys[0] == keys[2] != keys[1]


def test_a_wider_context_is_the_same_change(sameness):
    wide = HEAD + "@@ -15,4 +15,5 @@\n line 15\n line 16\n+new\n line 17\n line 18\n"
    assert effect_digest(WITH) == effect_digest(wide)
    one, other = (sameness.key_of(outcome(patch).candidate) for patch in (WITH, wide))
    assert one == other


def test_a_mode_a_rename_and_the_order_of_sections_of_one_file_count(sameness):
    mode = "diff --git a/a.py b/a.py\nold mode 100644\nnew mode 100755\n"
    rename = "diff --git a/a.py b/b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n"
    found = {left(sameness, patch) for patch in (mode, rename, WITH, mode + WITH[len(HEAD) - 26 :])}
    assert len(found) == 4
    assert "" not in found
    again = HEAD + "@@ -3 +3 @@\n-line 3\n+line 2\n"
    back = HEAD + "@@ -3 +3 @@\n-line 2\n+line 3\n"
    assert effect_digest(again + back) != effect_digest(back + again)
