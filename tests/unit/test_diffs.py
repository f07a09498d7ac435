"""When two patches are one change: what must not be run twice, and what must."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swe_router.patch_identity import effect_digest, normalised_lines

HEAD = "diff --git a/f.py b/f.py\nindex {0}..{1} 100644\n--- a/f.py\n+++ b/f.py\n"


def shown(old: str, new: str, context: int, where: Path) -> str:
    """What git shows of a change, with so many lines of context."""
    (where / "a").write_text(old, newline="")
    (where / "b").write_text(new, newline="")
    command = ["git", "diff", "--no-index", f"-U{context}", "a", "b"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    return done.stdout


texts = st.lists(st.sampled_from(["", "x", "  x", "y", "-z", "+z", "@@", "--- a/f"]), max_size=12)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=texts, new=texts, end=st.sampled_from(["", "\n"]))
def test_the_context_that_a_diff_is_shown_with_is_no_matter(tmp_path, old, new, end):
    before, after = "\n".join(old) + end, "\n".join(new) + end
    seen = {effect_digest(shown(before, after, context, tmp_path)) for context in (1, 3, 20)}
    assert len(seen) == 1
    other = effect_digest(shown(before, after + "\nmore", 3, tmp_path))
    assert other not in seen, "another text is another effect"


def test_hashes_talk_and_the_order_of_files_are_no_matter():
    first = HEAD.format("1", "2") + "@@ -3 +3 @@ def f():\n-a\n+b\n"
    second = HEAD.replace("f.py", "g.py") + "@@ -1 +1 @@\n-a\n+b\n"
    again = HEAD.format("11", "22") + "@@ -3,1 +3,1 @@\n-a\n+b\n"
    assert effect_digest(first) == effect_digest(again) == effect_digest("talk\n" + first)
    assert effect_digest(first + second) == effect_digest(second + first)


@pytest.mark.parametrize(
    "other",
    [
        HEAD + "@@ -4 +4 @@\n-a\n+b\n",
        HEAD + "@@ -3 +3 @@\n-a\n+ b\n",
        HEAD + "@@ -3 +3 @@\n-a\n+b\n\\ No newline at end of file\n",
        HEAD.replace("f.py", "g.py") + "@@ -3 +3 @@\n-a\n+b\n",
        "diff --git a/f.py b/f.py\nold mode 100644\nnew mode 100755\n" + HEAD.partition("\n")[2]
        + "@@ -3 +3 @@\n-a\n+b\n",
    ],
    ids=["place", "white space", "end of file", "file", "mode"],
)  # fmt: skip
def test_what_leaves_other_files_behind_is_another_effect(other):
    assert effect_digest(other) != effect_digest(HEAD + "@@ -3 +3 @@\n-a\n+b\n")


def test_what_is_no_diff_stands_for_itself():
    assert effect_digest("one") == effect_digest("one") != effect_digest("two")
    cut = HEAD + "@@ -3,5 +3,5 @@\n-a\n"
    assert effect_digest(cut) != effect_digest(cut + "+b\n")
    binary = "diff --git a/i b/i\nindex 1..2\nGIT binary patch\nliteral 3\n{0}\n\n"
    assert effect_digest(binary.format("Kcmd")) != effect_digest(binary.format("Kcme"))


def test_to_a_voter_place_and_white_space_make_no_other_change():
    one = HEAD + "@@ -3 +3 @@\n-a\n+b c\n"
    far = HEAD + "@@ -9,3 +9,3 @@\n x\n-a\n+b  c\n y\n"
    assert normalised_lines(one) == normalised_lines(far)
    assert normalised_lines(one) != normalised_lines(HEAD + "@@ -3 +3 @@\n-a\n+b d\n")
