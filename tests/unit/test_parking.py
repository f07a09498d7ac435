"""A patched sandbox is taken over only where a fresh one with the same patch would be the same."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from swe_router.errors import Lost
from swe_router.records import Result
from swe_router.solve.sandbox_reuse import SandboxReuse
from tests.doubles.engine import INSTANCE

OTHER = INSTANCE.model_copy(update={"id": "demo__y-2"})


class Tray:
    def __init__(self) -> None:
        self.did: list[str] = []
        self.open = True

    def run(self, command, *, timeout, cwd=""):
        self.did.append(command)
        return Result(exit_code=int(command == "git apply bad"), output=command)

    def write(self, path, data):
        self.did.append(f"write {path}")

    def read(self, path, *, limit=0):
        return b"read"


class House:
    """Opens trays and puts patches into them."""

    def __init__(self) -> None:
        self.made: list[Tray] = []
        self.parking = SandboxReuse(self.opening, self.applying)

    @contextmanager
    def opening(self, instance):
        if instance.id == "none":
            raise Lost("no engine")
        self.made.append(Tray())
        sandbox = self.made[-1]
        try:
            yield sandbox
        finally:
            sandbox.open = False

    @staticmethod
    def applying(sandbox, patch):
        return sandbox.run(f"git apply {patch}", timeout=1)

    def use(self, *acts, instance=INSTANCE):
        """``+p`` applies p, anything else is a command."""
        with self.parking.open(instance) as sandbox:
            return [self.parking.apply(sandbox, act[1:]) if act[0] == "+" else sandbox.run(
                act, timeout=1
            )
                    for act in acts]  # fmt: skip


@pytest.fixture
def house():
    made = House()
    yield made
    with made.parking:
        pass
    assert not any(sandbox.open for sandbox in made.made), "a sandbox was left"


def test_the_next_to_apply_the_same_patch_takes_the_sandbox(house):
    (first,) = house.use("+p")
    again, ran = house.use("+p", "tests")
    assert (again, ran.output) == (first, "tests")
    assert [sandbox.did for sandbox in house.made] == [["git apply p", "tests"]]
    house.use("+p")
    assert len(house.made) == 2, "a sandbox in which tests ran is not taken"


@pytest.mark.parametrize(
    "acts",
    [("+p", "look"), ("look", "+p"), ("+p", "+q"), ("+bad",), ("+q",)],
    ids=["ran after", "ran before", "another on top", "does not apply", "another patch"],
)
def test_a_sandbox_with_anything_else_in_it_is_not_taken(house, acts):
    house.use(*acts)
    house.use("+p", "tests")
    assert house.made[-1].did == ["git apply p", "tests"]


@pytest.mark.parametrize("acts", [("look", "+p"), ("+q", "+p")])
def test_one_that_did_something_first_gets_its_own(house, acts):
    house.use("+p")
    house.use(*acts)
    told = [act.replace("+", "git apply ") for act in acts]
    assert [sandbox.did for sandbox in house.made] == [["git apply p"], told]


def test_another_instance_gets_its_own(house):
    house.use("+p")
    house.use("+p", instance=OTHER)
    assert len(house.made) == 2


def test_a_second_patch_on_a_sandbox_that_was_taken_over_is_not_kept_as_if_alone(house):
    house.use("+p")
    house.use("+p", "+q")
    house.use("+q", "tests")
    assert house.made[-1].did == ["git apply q", "tests"]


def test_writing_spoils_and_reading_does_not(house):
    with house.parking.open(INSTANCE) as sandbox:
        house.parking.apply(sandbox, "p")
        assert sandbox.read("/x") == b"read"
    with house.parking.open(INSTANCE) as sandbox:
        house.parking.apply(sandbox, "p")
        sandbox.write("/testbed/x", b"")
    house.use("+p")
    assert [sandbox.did for sandbox in house.made] == [
        ["git apply p", "write /testbed/x"],
        ["git apply p"],
    ]


def test_a_sandbox_that_was_read_from_first_takes_no_other_in_its_place(house):
    house.use("+p")
    with house.parking.open(INSTANCE) as sandbox:
        assert sandbox.read("/x") == b"read"
        house.parking.apply(sandbox, "p")
    assert [one.did for one in house.made] == [["git apply p"], ["git apply p"]]


def test_nothing_is_opened_that_nobody_uses_and_what_fails_is_told(house):
    with house.parking.open(INSTANCE):
        pass
    assert house.made == []
    none = INSTANCE.model_copy(update={"id": "none"})
    with pytest.raises(Lost), house.parking.open(none) as sandbox:
        sandbox.run("x", timeout=1)
    with pytest.raises(ZeroDivisionError), house.parking.open(INSTANCE) as sandbox:
        assert house.parking.apply(sandbox, "p").exit_code / 0
    assert not any(sandbox.open for sandbox in house.made), (
        "a block that failed leaves nothing to take"
    )
