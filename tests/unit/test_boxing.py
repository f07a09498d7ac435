"""Which sandboxes of a run start early, and which never do."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock

import pytest

from swe_router import settings
from swe_router.breaker import Breaker, Patience
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Result
from swe_router.sandboxes.waiting_factory import WaitingSandboxes
from swe_router.sandboxes.warm_pool import WarmSandboxes
from swe_router.wiring.sandbox_pools import SandboxPools
from tests.doubles.engine import INSTANCE


class Sandboxes:
    """Counts sandboxes that are open."""

    def __init__(self) -> None:
        self.made, self.left, self.lock = 0, 0, Lock()

    @contextmanager
    def open(self, instance, files=b""):
        with self.lock:
            self.made, self.left = self.made + 1, self.left + 1
        try:
            yield self
        finally:
            with self.lock:
                self.left -= 1

    def run(self, command, **given):
        return Result(exit_code=0, output="")

    def read(self, path, **given):
        return b""


@pytest.fixture
def made(tmp_path):
    """Kind of sandbox and verifiers -> the sandboxes of such a run, and what opens them."""

    def make(kind, *names, factory=None, **patience):
        sheet = settings.load("demo", sets=[f"verify.names={list(names)!r}"])
        header = Header(sheet, sheet.digest(), {}, {}, kind, {}, 1.0)
        breaker = Breaker(tmp_path, lambda name: Patience(**patience))
        sandboxes = Sandboxes()
        run = RunFolder(tmp_path)
        return SandboxPools(run, header, factory or (lambda: sandboxes), breaker), sandboxes

    return make


def test_local_sandboxes_are_opened_where_they_are_used(made):
    opened, sandboxes = made("local", "applies", "repo-tests")
    opened.start_attempt_sandbox(INSTANCE)
    opened.start_verifier_sandbox(INSTANCE)
    opened.remove_idle(INSTANCE)
    assert isinstance(opened.for_attempts, WaitingSandboxes)
    assert (opened.for_verifiers, sandboxes.made) == (None, 0)


@pytest.mark.parametrize(("names", "wanted"), [(("applies",), 1), (("applies", "repo-tests"), 2)])
def test_a_spare_waits_only_where_tests_are_run(made, names, wanted):
    opened, sandboxes = made("docker", *names)
    opened.start_verifier_sandbox(INSTANCE)
    assert isinstance(opened.for_verifiers, WarmSandboxes)
    with opened.for_verifiers.open(INSTANCE):
        pass
    opened.remove_idle(INSTANCE)
    opened.for_verifiers.close()
    assert (sandboxes.made, sandboxes.left) == (wanted, 0)


def test_an_attempt_takes_the_sandbox_that_was_begun_and_leaves_none(made):
    opened, sandboxes = made("docker", "applies")
    opened.start_attempt_sandbox(INSTANCE)
    assert isinstance(opened.for_attempts, WarmSandboxes)
    with opened.for_attempts.open(INSTANCE):
        assert (sandboxes.made, sandboxes.left) == (1, 1)
    opened.start_attempt_sandbox(INSTANCE)  # its policy stops at once
    opened.remove_idle(INSTANCE)
    opened.for_attempts.close()
    assert sandboxes.left == 0
