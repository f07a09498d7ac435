"""A patch that brings along what the image changed itself applies, and only the rest of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swe_router.sandboxes.patch_application import apply_patch
from swe_router.seams import CONTINUED_PREFIX, FITTED_PREFIX
from tests.doubles.plain_sandbox import PlainSandbox

ODD = "odd [1]*.ini"


def hunk(path: str, old: str, new: str) -> str:
    return (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{old}\n+{new}\n"
    )


@pytest.fixture
def sandbox(tmp_path: Path) -> PlainSandbox:
    made = PlainSandbox(tmp_path)
    for name, text in (("a.py", "one\n"), ("tox.ini", "set up\n"), (ODD, "set up\n")):
        made.write(f"/testbed/{name}", text.encode())
    made.must("git init -q && git add -A && git -c user.name=p -c user.email=p@x commit -qm base")
    return made


@pytest.mark.parametrize("there", ["tox.ini", ODD])
def test_what_the_image_changed_itself_is_passed_over_and_named(
    sandbox: PlainSandbox, there: str
) -> None:
    result = apply_patch(sandbox, hunk(there, "bare", "set up") + hunk("a.py", "one", "two"))
    assert result.exit_code == 0
    assert result.output.startswith(f"{CONTINUED_PREFIX}{there}\n")
    assert (sandbox.tree / "a.py").read_text() == "two\n"
    assert (sandbox.tree / there).read_text() == "set up\n"


@pytest.mark.skipif(not shutil.which("patch"), reason="there is no patch(1) here")
def test_dos_line_ends_and_shifted_context_fit_as_in_the_official_harness(
    sandbox: PlainSandbox,
) -> None:
    result = apply_patch(sandbox, hunk("a.py", "one", "two").replace("\n", "\r\n"))
    assert result.exit_code == 0
    assert result.output.startswith(FITTED_PREFIX)
    assert (sandbox.tree / "a.py").read_text() == "two\n"
    assert sorted(path.name for path in sandbox.tree.iterdir()) == [".git", "a.py", ODD, "tox.ini"]


@pytest.mark.parametrize(
    "patch",
    [
        hunk("tox.ini", "bare", "set up"),
        hunk("tox.ini", "bare", "set up") + hunk(ODD, "bare", "set up"),
        hunk("tox.ini", "bare", "other") + hunk("a.py", "one", "two"),
        hunk("tox.ini", "bare", "set up") + hunk("a.py", "nine", "two"),
    ],
)
def test_nothing_is_changed_when_nothing_or_not_all_of_the_rest_fits(
    sandbox: PlainSandbox, patch: str
) -> None:
    assert apply_patch(sandbox, patch).exit_code != 0
    assert (sandbox.tree / "a.py").read_text() == "one\n"
    assert (sandbox.tree / "tox.ini").read_text() == "set up\n"


@pytest.mark.skipif(not shutil.which("patch"), reason="there is no patch(1) here")
def test_a_section_may_build_on_an_earlier_one_as_the_official_harness_lets_it(tmp_path) -> None:
    """git refuses the second (no context behind it); a dry run of patch tries it on the base."""
    sandbox = PlainSandbox(tmp_path)
    sandbox.write("/testbed/a.py", b"".join(b"line %d\n" % n for n in range(1, 13)))
    sandbox.must(
        "git init -q && git add -A && git -c user.name=p -c user.email=p@x commit -qm base"
    )
    head = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"
    first = head + "@@ -3,3 +3,4 @@\n line 3\n line 4\n+new\n line 5\n"
    second = head + "@@ -4,2 +4,3 @@\n line 4\n new\n+newer\n"
    third = head + "@@ -4,2 +4,2 @@\n line 4\n-nowhere\n+newer\n"
    refused = apply_patch(sandbox, first + third)
    assert refused.exit_code != 0
    assert sandbox.must("git status --porcelain") == "", "nothing of it was kept"
    done = apply_patch(sandbox, first + second)
    assert done.exit_code == 0, done.output
    assert sandbox.must("sed -n 3,7p a.py").split("\n")[:5] == (
        ["line 3", "line 4", "new", "newer", "line 5"]
    )
