"""Every policy plugin played once over a stage: what becomes a row, or why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from swe_router import plain_values, plugins
from swe_router.errors import SweRouterError
from swe_router.outcomes.simulation import cross_fitting
from swe_router.outcomes.simulation.handover_cost import SURROGATE, Unpriced
from swe_router.outcomes.simulation.simulate import SimulatedRun, play
from swe_router.outcomes.simulation.stage import MissingRun, Simulation
from swe_router.policy_abilities import (
    DeclaresKnobs,
    HasKnobs,
    Learner,
    SupportsMixture,
    deciding_policy,
    is_sequential,
    surrogate_of,
    sweep_of,
)

Say = Callable[[str], None]
FIRST = ("fixed", "random-mix", "zero-router", "cascade", "ration")
"""Order in which decisions are compared: what equals one of these is no policy of its own."""
BASELINES = frozenset(("fixed", "random-mix", "zero-router"))
HANDED = ("cascade+notes", "cascade+continue")
"""Rows of the default board: ``POLICY+MODE`` is a policy with its knob ``handover`` set."""


@dataclass(frozen=True)
class BoardEntry:
    """One policy with its default knobs, and the points of its curve."""

    policy: str
    plugin: str
    knobs: Mapping[str, Any]
    played: SimulatedRun | None = None
    curve: tuple[SimulatedRun, ...] = ()
    """At the knobs of ``sweep``; the default point is not in it."""
    trouble: str = ""
    """Why there is nothing to show."""
    surrogate: str = ""
    """What stands in for the policy's own model."""
    random_cv: SimulatedRun | None = None
    """Fitted by random folds instead of repositories: a gauge of leakage."""
    drawn: bool = False
    """Played in worlds of drawn verdicts, not exactly."""
    blind: bool = False
    """A mixture that tells its chances."""
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Terms:
    """Under what terms all policies are played."""

    budget: Decimal | None = None
    """USD for all instances together; None is no cap."""
    random_cv: bool = False
    curves: bool = True
    replicates: int = 40
    """Worlds for what is played sequentially."""


def entries(
    stage: Simulation, names: Sequence[str], terms: Terms, say: Say = lambda line: None
) -> list[BoardEntry]:
    """One entry a name, in the order of comparison; ``fixed`` has one a system.

    A name is a plugin, or ``PLUGIN+MODE``: handing over by ``notes`` or ``continue``.
    """
    ordered = sorted(names, key=lambda n: (FIRST.index(n) if n in FIRST else len(FIRST), n))
    made = []
    for name in ordered:
        plugin, _, mode = name.partition("+")
        try:
            kind = plugins.load_plugin("policies", plugin)
        except SweRouterError as error:
            made.append(BoardEntry(name, plugin, {}, trouble=str(error)))
            continue
        if plugin == "fixed" and not mode:
            for arm in stage.arms:
                made.append(_entry(stage, f"always-{arm}", plugin, kind, {"tier": arm}, terms))
        else:
            knobs = {**planned(stage, kind), **({"handover": mode} if mode else {})}
            made.append(_entry(stage, name, plugin, kind, knobs, terms))
        if made[-1].trouble.startswith("it broke"):
            say(f"{name}: {made[-1].trouble}")
    return made


def planned(stage: Simulation, kind: Any) -> dict[str, Any]:
    """Knobs that only plan the spending, from means of the table: what any user would fill in.

    ``costs`` is the mean USD of a run, ``reject`` the share of the first tier's patches that the
    channel refuses. No decision on an issue depends on that issue's own outcome but through them.
    """
    known: dict[str, Any] = {}
    fields = kind.knobs_type.model_fields if isinstance(kind, DeclaresKnobs) else {}
    firsts = {arm: [stage.cells[(f.instance_id, arm, 0)] for f in stage.features
                    if (f.instance_id, arm, 0) in stage.cells] for arm in stage.arms}  # fmt: skip
    if "costs" in fields:
        known["costs"] = {
            arm: Decimal(str(round(float(np.mean([c.usd for c in cells])), 6)))
            for arm, cells in firsts.items()
        }
    if "reject" in fields:
        passed = float(np.mean([c.passes for c in firsts[stage.arms[0]]]))
        known["reject"] = round(1 - passed, 4)
    return known


def _entry(
    stage: Simulation, label: str, plugin: str, kind: Any, knobs: dict[str, Any], terms: Terms
) -> BoardEntry:
    surrogate = surrogate_of(kind)
    drawn = terms.budget is not None or is_sequential(kind)
    try:
        base = kind(stage.ladder, **knobs)
        shown = plain_values.as_plain(
            base.knobs.model_dump() if isinstance(base, HasKnobs) else knobs
        )
        surrogate = _stands_in(surrogate, shown)
        fitted = cross_fitting.cross_fitted(base, stage)
        played = _play(fitted, stage, terms)
        curve = []
        if terms.curves and not drawn:
            for point in sweep_of(kind):
                moved = kind(stage.ladder, **{**knobs, **point})
                curve.append(_play(cross_fitting.cross_fitted(moved, stage), stage, terms))
        gauge = None
        if terms.random_cv and isinstance(base, Learner):
            fold = cross_fitting.at_random(stage.features)
            gauge = _play(cross_fitting.cross_fitted(base, stage, fold), stage, terms)
    except SweRouterError as error:
        return BoardEntry(
            label, plugin, plain_values.as_plain(knobs), trouble=_needs(error), surrogate=surrogate
        )
    except Exception as error:  # a plugin of anyone's: its row tells, the board goes on
        trouble = f"it broke: {type(error).__name__}: {error}".splitlines()[0][:200]
        return BoardEntry(
            label, plugin, plain_values.as_plain(knobs), trouble=trouble, surrogate=surrogate
        )
    return BoardEntry(
        label, plugin, shown, played, tuple(curve), "", surrogate, gauge, drawn,
        isinstance(deciding_policy(fitted, stage.features[0]), SupportsMixture),
    )  # fmt: skip


def _play(policy: Any, stage: Simulation, terms: Terms) -> SimulatedRun:
    return play(policy, stage, budget=terms.budget, replicates=terms.replicates)


def _needs(error: SweRouterError) -> str:
    return f"needs {error}" if isinstance(error, MissingRun | Unpriced) else str(error)


def _stands_in(surrogate: str, knobs: Mapping[str, Any]) -> str:
    """What stands in for what was not recorded: no recorded run began with another's work."""
    handed = SURROGATE if knobs.get("handover", "fresh") != "fresh" else ""
    return "; ".join(filter(None, (surrogate, handed)))


def alike(one: BoardEntry, other: BoardEntry) -> bool:
    """Whether two entries decide the same on at least 99% of the instances.

    Where one was drawn and the other played exactly, no path may be new to the exact one, and the
    two may not differ by more than the draws let them.
    """
    a, b = one.played, other.played
    assert a is not None
    assert b is not None
    if one.drawn == other.drawn:
        same = sum(x == y for x, y in zip(a.signature, b.signature, strict=True))
        return bool(same >= 0.99 * len(a.signature))
    drawn, exact = (a, b) if one.drawn else (b, a)
    if one.blind or other.blind or abs(drawn.usd.mean() / max(exact.usd.mean(), 1e-9) - 1) > 0.02:
        return False
    paths = zip(drawn.signature, exact.signature, strict=True)
    inside = sum({key for key, _ in x} <= {key for key, _ in y} for x, y in paths)
    near = abs(float(drawn.resolved.mean() - exact.resolved.mean())) <= 0.01
    return near and inside >= 0.99 * len(a.signature)
