"""Sandboxes started ahead: each used once, none left behind, and nothing of a run in the next."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from swe_router.errors import Lost, WouldNotStart
from swe_router.records import Result
from swe_router.sandboxes.warm_pool import WarmSandboxes, source_of
from tests.doubles.engine import INSTANCE
from tests.doubles.waiting import until

OTHER = INSTANCE.model_copy(update={"id": "demo__y-2"})


class Tray:
    """A sandbox double: it is told what was compiled in it, and dies when it is told to."""

    def __init__(self, number: int, files: bytes) -> None:
        self.number, self.files = number, files
        self.open, self.dead, self.used = True, False, False
        self.compiled: list[str] = []
        self.written: dict[str, bytes] = {}

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        if self.dead or not self.open:
            raise Lost("gone")
        return Result(exit_code=0, output="")

    def read(self, path: str, *, limit: int = 0) -> bytes:
        if path.endswith("made.tar"):
            (listed,) = [data for name, data in self.written.items() if name.endswith("sources")]
            return b"tar of " + listed
        return "\n".join(self.compiled).encode()

    def write(self, path: str, data: bytes) -> None:
        self.written[path] = data

    def close(self) -> None:
        self.open = False


class Trays:
    """Opens trays, and remembers them."""

    def __init__(self, fails: int = 0) -> None:
        self.made: list[Tray] = []
        self.fails, self.lock = fails, threading.Lock()

    @contextmanager
    def open(self, instance, files=b""):
        with self.lock:
            if self.fails:
                self.fails -= 1
                raise WouldNotStart("no room")
            sandbox = Tray(len(self.made), files)
            self.made.append(sandbox)
        try:
            yield sandbox
        finally:
            sandbox.close()

    @property
    def left(self) -> list[int]:
        return [sandbox.number for sandbox in self.made if sandbox.open]


@pytest.fixture
def trays():
    return Trays()


@pytest.fixture
def warm(trays):
    made = WarmSandboxes(trays, ahead=2)
    yield made
    made.close()


def test_no_sandbox_is_handed_out_twice(warm, trays):
    def use(_: int) -> int:
        with warm.open(INSTANCE) as sandbox:
            assert not sandbox.used
            sandbox.used = True
            return int(sandbox.number)

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(use, range(40)))
    assert len(set(numbers)) == 40
    warm.close()
    assert trays.left == []


def test_the_next_sandbox_waits_already(warm, trays):
    with warm.open(INSTANCE):
        assert until(lambda: len(trays.made) == 3), "one in use, two that wait"
    with warm.open(INSTANCE) as sandbox:
        assert sandbox.number in (1, 2)
    warm.rest(OTHER)
    assert until(lambda: len(trays.left) == 2)
    warm.rest(INSTANCE)
    assert until(lambda: trays.left == [])


def test_a_sandbox_that_died_while_it_waited_is_not_handed_out(warm, trays):
    with warm.open(INSTANCE):
        assert until(lambda: len(trays.made) == 3)
    for sandbox in trays.made[1:3]:
        sandbox.dead = True
    with warm.open(INSTANCE) as sandbox:
        assert not sandbox.dead
    warm.close()
    assert trays.left == []


def test_what_cannot_be_opened_says_so_and_a_spare_that_could_not_does_no_harm():
    trays = Trays(fails=1)
    warm = WarmSandboxes(trays, ahead=1)
    with pytest.raises(WouldNotStart), warm.open(INSTANCE):
        pass
    with warm.open(INSTANCE):
        assert until(lambda: len(trays.made) == 2)
    trays.fails = 1
    with warm.open(INSTANCE):  # takes the spare; the next spare fails
        assert until(lambda: trays.fails == 0)
    with warm.open(INSTANCE) as sandbox:
        assert sandbox.open
    warm.close()
    assert trays.left == []


def test_a_block_that_fails_gives_its_sandbox_back(warm, trays):
    with pytest.raises(RuntimeError), warm.open(INSTANCE):
        raise RuntimeError
    warm.close()
    assert trays.left == []
    with warm.open(INSTANCE) as sandbox:  # closed: a plain sandbox, and nothing ahead
        assert sandbox.open
    assert trays.left == []


def test_nothing_is_started_ahead_of_a_run_that_stops(trays):
    warm = WarmSandboxes(trays, ahead=2, stopping=lambda: True)
    with warm.open(INSTANCE):
        pass
    warm.close()
    assert len(trays.made) == 1


MODULES = [f"./pkg/__pycache__/m{n}.cpython-39.pyc" for n in range(30)]


def test_a_sandbox_that_was_announced_waits_and_no_other_does(trays):
    warm = WarmSandboxes(trays, ahead=0)
    warm.soon(INSTANCE)
    warm.soon(INSTANCE)
    assert until(lambda: len(trays.made) == 1)
    with warm.open(INSTANCE) as sandbox:
        assert sandbox.number == 0
        sandbox.compiled = MODULES
    assert until(lambda: trays.left == []), "removed, and nobody waits for it"
    with warm.open(INSTANCE) as sandbox:
        assert (sandbox.number, sandbox.files) == (1, b"")
        sandbox.compiled = MODULES
    warm.soon(OTHER)
    assert until(lambda: trays.left == [2])
    warm.rest(OTHER)
    assert until(lambda: trays.left == [])
    warm.close()
    assert len(trays.made) == 3, "an attempt's sandbox brings nothing of an earlier one along"


def test_what_keeps_an_announced_sandbox_from_starting_is_said_where_it_is_opened():
    trays = Trays(fails=2)
    warm = WarmSandboxes(trays, ahead=0)
    warm.soon(INSTANCE)
    assert until(lambda: trays.fails == 1)
    with pytest.raises(WouldNotStart), warm.open(INSTANCE):
        pass
    warm.close()
    assert trays.left == []


def test_byte_code_is_made_where_no_test_ran_and_brought_to_later_sandboxes(warm, trays):
    used = []
    for _ in range(2):
        with warm.open(INSTANCE) as sandbox:
            sandbox.compiled = [*MODULES, "./x.pyc"]
            used.append(sandbox)
    assert until(lambda: any(sandbox.files for sandbox in trays.made))
    (maker,) = [b for b in trays.made if any(name.endswith("/sources") for name in b.written)]
    assert maker not in used
    listed = next(data for name, data in maker.written.items() if name.endswith("/sources"))
    assert listed.decode().splitlines() == sorted(f"/testbed/pkg/m{n}.py" for n in range(30))
    with warm.open(INSTANCE) as sandbox:
        assert sandbox.files == b"tar of " + listed
    with warm.open(OTHER) as sandbox:
        assert sandbox.files == b"", "another project's byte code stays away"


def test_a_single_run_is_not_worth_the_compiling(warm, trays):
    with warm.open(INSTANCE) as sandbox:
        sandbox.compiled = MODULES
    with warm.open(INSTANCE):
        pass
    warm.close()
    assert not any(sandbox.written for sandbox in trays.made)


@pytest.mark.parametrize(
    ("cached", "source"),
    [
        ("./a/__pycache__/b.cpython-39.pyc", "a/b.py"),
        ("./__pycache__/b.cpython-39.opt-1.pyc", "b.py"),
        ("./a/__pycache__/test_b.cpython-39-pytest-7.1.2.pyc", ""),
        ("./a/b.pyc", ""),
        ("", ""),
    ],
)
def test_the_source_of_a_compiled_module(cached, source):
    assert source_of(cached) == source
