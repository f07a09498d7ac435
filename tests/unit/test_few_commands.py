"""Few commands and sandboxes around a run: each costs more than its work."""

from __future__ import annotations

from pathlib import Path

import pytest

from swe_router.records import Candidate, Result, digest_of
from swe_router.sandboxes import channel
from swe_router.sandboxes.patch_application import apply_patch
from swe_router.sandboxes.patch_capture import StartSnapshot
from swe_router.settings import VerifySettings
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from swe_router.verifiers.reproduction import single_run
from swe_router.verifiers.reproduction.paired_runs import PairedRuns
from swe_router.verifiers.reproduction.single_run import Test
from swe_router.verifiers.testing import runners
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.project import INSTANCE, Project, outcome
from tests.unit.test_channel import sandbox as channel_sandbox

FILES = {
    "pkg/__init__.py": "ONE = 1\n",
    "tests/test_pkg.py": "import pkg\n\n\ndef test_one():\n    assert pkg.ONE\n",
    "setup.cfg": "[tool:pytest]\n",
}
LISTING = "git ls-files -z >"


class Counted(PlainSandbox):
    """Counts what is asked of it."""

    asked = 0

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.asked += 1
        return super().run(command, timeout=timeout, cwd=cwd)

    def write(self, path: str, data: bytes) -> None:
        self.asked += 1
        super().write(path, data)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        self.asked += 1
        return super().read(path, limit=limit)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("few"), FILES)


@pytest.mark.parametrize(("size", "commands"), [(0, 1), (10_000, 1), (channel.LONGEST // 4 + 1, 2)])
def test_a_file_is_written_in_one_command_and_a_long_one_in_one_a_piece(
    size: int, commands: int
) -> None:
    made, streams = channel_sandbox(lambda nonce: [nonce + b" 0 0 1\n"])
    made.write("/testbed/a/b.txt", b"x" * size)
    assert len(streams.sent) == commands
    made.close()


def test_a_patch_that_fits_is_applied_in_four_commands_and_leaves_nothing(tmp_path: Path) -> None:
    sandbox = Counted(tmp_path)
    PlainSandbox.write(sandbox, "/testbed/a.py", b"one\n")
    sandbox.must(
        "git init -q && git add -A && git -c user.name=p -c user.email=p@x commit -qm base"
    )
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    sandbox.asked = 0
    done = apply_patch(
        sandbox, "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-one\n+two\n"
    )
    assert done.exit_code == 0
    assert (sandbox.tree / "a.py").read_text() == "two\n"
    assert sandbox.asked <= 4
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - before
    assert not [path for path in left if "swe-router-git" in str(path)]


def test_a_run_of_a_test_has_two_looks_at_the_state_and_no_command_beside(project: Project) -> None:
    with project.open(INSTANCE) as sandbox:
        ran = single_run.run_test(sandbox, Test("assert True\n", "script"), "python3", 60.0)
        assert (ran.ended, ran.soils_sandbox) == (True, False)
        assert len(sandbox.commands) == 3  # type: ignore[attr-defined]
        again = single_run.run_test(
            sandbox, Test("assert 1\n", "script"), "python3", 60.0, ran.sandbox_state
        )
        assert (again.ended, again.soils_sandbox) == (True, False)
        assert len(sandbox.commands) == 5, "the state that the last run left was looked at again"  # type: ignore[attr-defined]
        soils = Test("open('left', 'w').write('x')\n", "script")
        assert single_run.run_test(
            sandbox, soils, "python3", 60.0, again.sandbox_state
        ).soils_sandbox


def test_the_start_state_is_looked_at_once_for_all_verifiers(project: Project) -> None:
    project.opened.clear()
    context = project.context()
    one = outcome(project.patch({"pkg/__init__.py": "ONE = 2\n"}))
    assert RepoTestsVerifier(VerifySettings()).verify(one, (), INSTANCE, context).outcome == "pass"
    with PairedRuns(INSTANCE, context, 60.0) as runs:
        around = runs.repository_context()
    assert (around.runner, around.example_path) == ("pytest", "tests/test_pkg.py")
    asked = [command for sandbox in project.opened for command in sandbox.commands]
    assert sum(runners.DETECTION_SCRIPT in command for command in asked) == 1
    assert sum(LISTING in command for command in asked) == 1


def test_sandboxes_before_and_after_stay_while_tests_go_from_one_to_the_other(
    project: Project,
) -> None:
    patch = project.patch({"pkg/__init__.py": "ONE = 2\n"})
    candidate = Candidate(attempt_id="1-weak", patch=patch, digest=digest_of(patch))
    with PairedRuns(INSTANCE, project.context(), 120.0) as runs:
        runs.repository_context()
        project.opened.clear()
        for number in range(2):
            test = Test(f"import pkg\nprint(pkg.ONE, {number})\n", "script")
            assert runs.run_at_base(test).output.startswith("1 ")
            after = runs.run_with_patch(test, candidate)
            assert after is not None
            assert after.output.startswith("2 ")
        assert len(project.opened) <= 2
        soils = Test("open('left', 'w').write('x')\n", "script")
        assert runs.run_at_base(soils).soils_sandbox
        assert not (project.opened[0].root).exists(), "a sandbox that is not fresh was kept"
    assert not any(sandbox.root.exists() for sandbox in project.opened)


def test_a_start_state_and_a_patch_against_it_take_few_commands(tmp_path: Path) -> None:
    sandbox = Counted(tmp_path)
    PlainSandbox.write(sandbox, "/testbed/a.py", b"one\n")
    sandbox.must(
        "git init -q && git add -A && git -c user.name=p -c user.email=p@x commit -qm base"
    )
    sandbox.asked = 0
    start = StartSnapshot.take(sandbox)
    assert sandbox.asked <= 12
    PlainSandbox.write(sandbox, "/testbed/a.py", b"two\n")
    sandbox.asked = 0
    assert "+two" in start.candidate(sandbox, "1-weak").patch
    assert sandbox.asked <= 16
