"""What every scaffold owes its caller, run over all that are shipped."""

from decimal import Decimal

import pytest

from swe_router import plugins
from swe_router.agents import manifest
from swe_router.errors import LedgerRefused, Lost, NoAnswer
from swe_router.plugins import BUILT_IN
from swe_router.records import Budget, Trajectory
from tests.doubles.agent import FIX, INSTANCE, SUBMIT, PlayedModel, TempSandbox, Told, answer


@pytest.fixture(params=sorted(BUILT_IN["scaffolds"]))
def scaffold(request):
    sheet = manifest.read_manifest("default").model_copy(update={"strategy": request.param})
    make = plugins.load_plugin("scaffolds", sheet.strategy)
    return make(sheet, command_timeout=20, command_timeout_max=60)


@pytest.fixture
def sandbox(tmp_path):
    return TempSandbox(tmp_path / "box")


def solve(scaffold, sandbox, model, told, **context) -> Trajectory:
    return scaffold.solve(
        INSTANCE, model, sandbox, Budget(dollars=Decimal(1), steps=5), told.context(**context)
    )


def test_the_trajectory_is_the_sum_of_the_recorded_steps(scaffold, sandbox):
    told = Told()
    end = solve(scaffold, sandbox, PlayedModel(answer(FIX), answer(SUBMIT)), told)
    assert end.exit == "submitted"
    assert end.steps == len(told.steps) == 2
    assert end.usd == sum(step.completion.usd for step in told.steps)
    assert end.seal == told.steps[-1].seal
    assert sandbox.read("/testbed/calc.py").endswith(b"a + b\n")


def test_limits_are_exits_not_exceptions(scaffold, sandbox):
    assert solve(scaffold, sandbox, PlayedModel(*[answer(FIX)] * 6), Told()).exit == "steps"
    assert solve(scaffold, sandbox, PlayedModel(LedgerRefused("none")), Told()).exit == "budget"
    stop = {"stopping": lambda: True}
    assert solve(scaffold, sandbox, PlayedModel(), Told(), **stop).exit == "interrupted"


def test_broken_boundaries_pass_through_and_what_was_paid_is_recorded(scaffold, sandbox):
    told = Told()
    with pytest.raises(NoAnswer):
        solve(scaffold, sandbox, PlayedModel(answer(FIX), NoAnswer("cut")), told)
    assert len(told.steps) == 1

    def gone(command, **_):
        raise Lost(command)

    sandbox.run, told = gone, Told()
    with pytest.raises(Lost):
        solve(scaffold, sandbox, PlayedModel(answer(FIX)), told)
    assert len(told.steps) == 1


def test_a_past_is_not_paid_again(scaffold, sandbox, tmp_path):
    before = Told()
    with pytest.raises(NoAnswer):
        solve(scaffold, sandbox, PlayedModel(answer(FIX), NoAnswer("cut")), before)
    fresh, after = TempSandbox(tmp_path / "fresh"), Told()
    model = PlayedModel(answer(SUBMIT))
    end = solve(scaffold, fresh, model, after, past=before.steps)
    assert (end.exit, end.steps, len(after.steps)) == ("submitted", 2, 1)
    assert fresh.read("/testbed/calc.py").endswith(b"a + b\n")
