"""What ``applies`` holds against a patch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import patch_files, plugins
from swe_router.records import Candidate, Verdict
from swe_router.settings import Settings, VerifySettings
from swe_router.verifiers.applies import AppliesVerifier, applies_verdict, patch_text_facts
from swe_router.verifiers.patches import changed_files, path_kinds
from swe_router.verifiers.testing.runners import RECORDER_FILE
from tests.doubles.project import INSTANCE, Project, outcome

TESTS = "def test_a():\n    assert True\n\n\ndef test_b():\n    assert True\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {"pkg/a.py": "A = 1\n", "tests/test_a.py": TESTS, "README.md": "hello\n"}
    return Project(tmp_path_factory.mktemp("applies"), files)


def judge(project: Project, patch: str) -> Verdict:
    verifier = AppliesVerifier(VerifySettings())
    verdict = verifier.verify(outcome(patch), (), INSTANCE, project.context())
    assert verifier.check(Verdict.model_validate_json(verdict.model_dump_json())) == verdict.outcome
    return verdict


@pytest.mark.parametrize(
    ("changes", "passes", "why"),
    [
        ({"pkg/a.py": "A = 2\n"}, "pass", "applies cleanly"),
        ({"pkg/a.py": "A = 2\n", "tests/test_a.py": TESTS + "#\n"}, "pass", "1 source"),
        ({"pkg/a.py": "A = 2\n", "reproduce.py": "x\n"}, "pass", "1 source"),
        ({"reproduce.py": "x\n"}, "fail", "no source file"),
        ({"tests/test_a.py": TESTS + "#\n"}, "fail", "no source file"),
        ({"README.md": "bye\n"}, "fail", "no source file"),
        ({"pkg/a.py": "A = 2\n", "tests/test_a.py": None}, "fail", "takes tests away"),
        ({"pkg/a.py": "A = 2\n", "tests/test_a.py": TESTS[:33]}, "fail", "test_a.py::test_b"),
        ({"pkg/a.py": "A = 2\n", "pkg/a.py.orig": "A = 1\n"}, "fail", "debris"),
    ],
)
def test_facts_of_a_patch(
    project: Project, changes: dict[str, str | None], passes: str, why: str
) -> None:
    verdict = judge(project, project.patch(changes))
    assert (verdict.outcome, why in verdict.evidence["why"]) == (passes, True), verdict.evidence


def test_an_empty_patch_opens_no_sandbox_and_fails(project: Project) -> None:
    opened = len(project.opened)
    assert judge(project, "").outcome == "fail"
    assert len(project.opened) == opened


def test_a_patch_for_another_state_fails(project: Project) -> None:
    patch = project.patch({"pkg/a.py": "A = 2\n"}).replace("-A = 1", "-B = 7")
    verdict = judge(project, patch)
    assert verdict.outcome == "fail"
    assert "does not apply" in verdict.evidence["why"]
    assert verdict.evidence["git_said"]


def test_a_test_that_moves_to_another_file_is_not_taken_away() -> None:
    patch = (
        "diff --git a/tests/test_a.py b/tests/test_a.py\n--- a/tests/test_a.py\n"
        "+++ b/tests/test_a.py\n@@ -1,2 +1 @@\n-def test_x():\n     pass\n"
        "diff --git a/tests/test_b.py b/tests/test_b.py\nnew file mode 100644\n--- /dev/null\n"
        "+++ b/tests/test_b.py\n@@ -0,0 +1,2 @@\n+def test_x():\n+    pass\n"
    )
    files = patch_files.patch_summaries(patch)
    assert files is not None
    assert changed_files.deleted_tests(files, path_kinds.is_test) == []


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("tests/interp_off.py", True),
        ("tests/test_a.py.disabled", True),
        ("tests/old.txt", True),
        ("tests/test_of_a.py", False),
    ],
)
def test_a_test_module_renamed_to_what_no_runner_looks_for_is_taken_away(
    project: Project, name: str, gone: bool
) -> None:
    rename = (
        f"diff --git a/tests/test_a.py b/{name}\nsimilarity index 100%\n"
        f"rename from tests/test_a.py\nrename to {name}\n"
    )
    verdict = judge(project, project.patch({"pkg/a.py": "A = 2\n"}) + rename)
    assert (verdict.outcome == "fail") == bool(verdict.evidence["deleted_tests"]) == gone


def test_what_holds_no_data_or_reaches_into_git_is_no_source() -> None:
    bare = (
        "diff --git a/a.bin b/a.bin\nindex 1..2 100644\nBinary files a/a.bin and b/a.bin differ\n"
    )
    assert patch_text_facts(bare, path_kinds.is_test)["source"] == []
    hook = (
        "diff --git a/.git/hooks/post-checkout b/.git/hooks/post-checkout\nnew file mode 100755\n"
        "--- /dev/null\n+++ b/.git/hooks/post-checkout\n@@ -0,0 +1 @@\n+true\n"
    )
    facts = patch_text_facts(hook, path_kinds.is_test)
    assert (facts["source"], facts["debris"]) == ([], [".git/hooks/post-checkout"])


def test_a_patch_that_fits_only_loosely_is_not_called_clean(project: Project) -> None:
    facts = patch_text_facts(project.patch({"pkg/a.py": "A = 2\n"}), path_kinds.is_test)
    verdict = applies_verdict(None, {**facts, "applied": True, "fitted_by": "patch --fuzz=5"})
    assert verdict.outcome == "pass"
    assert verdict.evidence["why"].startswith("applies only by patch --fuzz=5")


def test_binary_renamed_and_quoted_files_are_read() -> None:
    patch = (
        "diff --git a/x.py b/y.py\nsimilarity index 100%\nrename from x.py\nrename to y.py\n"
        'diff --git "a/\\303\\251.py" "b/\\303\\251.py"\nindex 1..2 100644\n'
        '--- "a/\\303\\251.py"\n+++ "b/\\303\\251.py"\n@@ -1 +1 @@\n-a\n+b\n'
        "diff --git a/a.bin b/a.bin\nnew file mode 100644\nindex 0000000..1234\n"
        "GIT binary patch\nliteral 3\nKcmZQ%fB*^r\n\nliteral 0\nHcmV?d00001\n\n"
    )
    files = patch_files.patch_summaries(patch)
    assert files is not None
    assert [(f.before, f.path) for f in files] == [
        ("x.py", "y.py"),
        ("é.py", "é.py"),
        ("", "a.bin"),
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("django/test/client.py", "source"),
        ("xarray/testing.py", "source"),
        ("requirements.txt", "source"),
        ("testing/test_mark.py", "test"),
        ("sympy/core/tests/test_args.py", "test"),
        ("tests/models.py", "test"),
        ("docs/x.txt", "doc"),
        ("CHANGES.txt", "doc"),
        ("AUTHORS.rst", "doc"),
    ],
)
def test_kinds_of_paths(path: str, kind: str) -> None:
    found = "test" if path_kinds.is_test(path) else "doc" if path_kinds.is_doc(path) else "source"
    assert found == kind


@given(st.text(max_size=300))
def test_no_text_makes_it_stumble(text: str) -> None:
    patch_text_facts(text, path_kinds.is_test)
    Candidate(attempt_id="a", patch=text, digest="d")


def test_the_settings_know_the_shipped_names() -> None:
    names = Settings.model_fields["verify"].default.names
    assert set(names) <= set(plugins.BUILT_IN["verifiers"])
    assert names[-1] == "acceptance"  # it weighs what those before it said


def test_the_package_ships_what_runs_inside() -> None:
    assert RECORDER_FILE.is_file()


BINARY = (
    "diff --git a/{0} b/{0}\n{1}index {2}..9f6cfe296082364215c4f632aae0bec90df1beb5{3}\n"
    "GIT binary patch\nliteral 2\nJcmXS90002w0CE5T\n\nliteral 0\nHcmV?d00001\n\n"
)
NEW = ("new file mode 100644\n", "0" * 40, "")


def dos(patch: str) -> str:
    return patch.replace("\n", "\r\n")


@pytest.mark.parametrize("form", [str, dos])
def test_binary_files_with_their_data_count_and_without_it_nothing_comes_of_them(form):
    held = patch_text_facts(form(BINARY.format("pkg/data.bin", *NEW)), path_kinds.is_test)
    assert (held["source"], held["debris"], held["readable"]) == (["pkg/data.bin"], [], True)
    litter = patch_text_facts(form(BINARY.format("pkg/a.pyc", *NEW)), path_kinds.is_test)
    assert (litter["source"], litter["debris"]) == ([], ["pkg/a.pyc"])
    bare = (
        BINARY.format("d.bin", *NEW).partition("GIT binary")[0]
        + "Binary files /dev/null and b/d.bin differ\n"
    )
    assert patch_text_facts(form(bare), path_kinds.is_test)["files"] == 0


@pytest.mark.parametrize("form", [str, dos])
def test_a_copy_takes_nothing_away_and_is_a_new_file(form):
    head = "diff --git a/tests/test_a.py b/{0}\nsimilarity index 90%\n{1} from tests/test_a.py\n"
    hunk = "--- a/tests/test_a.py\n+++ b/{0}\n@@ -1 +1 @@\n-def test_a():\n+def test_c():\n"
    texts = {
        (word, to): form((head + word + " to {0}\n" + hunk).format(to, word))
        for word in ("copy", "rename")
        for to in ("tests/test_b.py", "pkg/b.py", "pkg/b.py.orig")
    }
    gone = {
        key: patch_text_facts(text, path_kinds.is_test)["deleted_tests"]
        for key, text in texts.items()
    }
    assert [found for (word, _), found in gone.items() if word == "copy"] == [[], [], []]
    assert gone["rename", "pkg/b.py"], "a rename to what no runner looks for does"
    assert gone["rename", "tests/test_b.py"] == ["tests/test_a.py::test_a"]
    assert patch_text_facts(texts["copy", "pkg/b.py.orig"], path_kinds.is_test)["debris"] == [
        "pkg/b.py.orig"
    ]


def test_a_file_that_a_dos_patch_deletes_is_deleted():
    patch = dos(
        "diff --git a/tests/test_a.py b/tests/test_a.py\ndeleted file mode 100644\n"
        "--- a/tests/test_a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    )
    assert patch_text_facts(patch, path_kinds.is_test)["deleted_tests"] == ["tests/test_a.py"]


@pytest.mark.parametrize("head", ["@@ -1,4 +1,4 @@", "@@ -1,9 +1,3 @@ def f():", "@@ -1 +1,7 @@"])
def test_a_hunk_that_counts_its_lines_wrongly_is_read_as_patch_takes_it(head):
    text = (
        f"diff --git a/m.py b/m.py\n--- a/m.py\n+++ b/m.py\n{head}\n a\n-b\n+c\n d\n"
        "diff --git a/tests/test_n.py b/tests/test_n.py\n--- a/tests/test_n.py\n"
        "+++ b/tests/test_n.py\n@@ -1,2 +1 @@\n-def test_x():\n-    pass\n+pass\n"
    )
    one, other = patch_files.patch_summaries(text) or ()
    assert (one.path, one.removed_lines, one.added_lines) == ("m.py", ("b\n",), ("c\n",))
    assert changed_files.deleted_tests([one, other], path_kinds.is_test) == [
        "tests/test_n.py::test_x"
    ]
