"""How long a decision takes after the features, for every policy without a language model.

    python benchmarks/decide_speed.py [--issues 200] [--tiers 3]

Policies are fitted on made-up issues of the size of real ones. `prepare` is once per batch,
reported per issue; `decide` is every first decision of the batch; `next` every second one, after a
refused patch; `alone` decides on an issue that was in no batch, as a live run with its code graph
does. Median and 95th percentile in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    BudgetView,
    Candidate,
    Example,
    Features,
    Outcome,
    Plan,
    RecordedRun,
    Trajectory,
    Try,
    Verdict,
)

PURSE = BudgetView(budget=Decimal(1000), spent=Decimal(0), reserved=Decimal(0),
                  instances_left=100, clock=0.0)  # fmt: skip
LIMIT_MS = 1.0


def main() -> int:
    """Print a row a policy; exit code 1 when a median is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--issues", type=int, default=200)
    parser.add_argument("--tiers", type=int, default=3)
    args = parser.parse_args()
    draw = random.Random(0)
    tiers = [f"tier{n}" for n in range(args.tiers)]
    ladder = [Plan(arm=Arm(model=t), budget=Budget(dollars=Decimal(n + 1)))
              for n, t in enumerate(tiers)]  # fmt: skip
    past = [_example(n, tiers, draw) for n in range(args.issues)]
    batch = [_features(n, draw) for n in range(1000, 1000 + args.issues)]
    fresh = [_features(n, draw) for n in range(2000, 2050)]
    print(
        f"{'policy':20} {'fit s':>7} {'prepare':>8} {'decide':>8} {'p95':>7} {'next':>7}"
        f" {'alone':>7}"
    )
    slow = [name for name in plugins.plugin_names("policies")
            if _row(name, ladder, past, batch, fresh) > LIMIT_MS]  # fmt: skip
    print(f"over {LIMIT_MS:g} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


def _row(name: str, ladder: Any, past: Any, batch: Any, fresh: Any) -> float:
    knobs: dict[str, Any] = {
        "fixed": {"tier": "tier0"},
        "arch-router": {"routes": {"bug": "tier0"}},
    }
    policy = plugins.load_plugin("policies", name)(ladder, **knobs.get(name, {}))
    began = time.perf_counter()
    try:
        policy = policy.fitted(past) if hasattr(policy, "fitted") else policy
    except UsageError as error:
        print(f"{name:20} {error}")
        return 0.0
    fit = time.perf_counter() - began
    began = time.perf_counter()
    ready = policy.prepare(batch, Budget(dollars=Decimal(1000)))
    prepare = (time.perf_counter() - began) / len(batch) * 1e3
    first = _timed(lambda one: ready.decide(one, (), PURSE), batch)
    pairs = [(one, _after(one, ready.decide(one, (), PURSE))) for one in batch]
    later = _timed(lambda pair: ready.decide(pair[0], pair[1], PURSE), [p for p in pairs if p[1]])
    alone = _timed(lambda one: ready.decide(one, (), PURSE), fresh)
    p95 = statistics.quantiles(first, n=20)[-1]
    middle = statistics.median(first)
    print(f"{name:20} {fit:7.2f} {prepare:8.3f} {middle:8.3f} {p95:7.3f}"
          f" {statistics.median(later):7.3f} {statistics.median(alone):7.3f}")  # fmt: skip
    return max(middle, statistics.median(later))


def _timed(call: Callable[[Any], Any], over: list[Any]) -> list[float]:
    """Milliseconds of each call."""
    took = []
    for one in over:
        began = time.perf_counter()
        call(one)
        took.append((time.perf_counter() - began) * 1e3)
    return took


def _features(number: int, draw: random.Random) -> Features:
    words = [f"word{int(draw.paretovariate(0.6)) % 5000}" for _ in range(draw.randint(40, 400))]
    values = {f"f{n}": draw.expovariate(0.1) for n in range(45)}
    values |= {"complexity": draw.uniform(1, 10), "words": float(len(words)),
               "judge.weak_rating": float(draw.randint(1, 5)), "judge.route.bug": 1.0}  # fmt: skip
    return Features(instance_id=f"o__r{number % 8}-{number}", repo=f"o/r{number % 8}",
                    text=" ".join(words), values=values)  # fmt: skip


def _example(number: int, tiers: list[str], draw: random.Random) -> Example:
    runs = {}
    for rung, tier in enumerate(tiers):
        made = []
        for _ in range(2):
            solved = draw.random() < 0.4 + 0.15 * rung
            usd = 0.05 * 4**rung * draw.uniform(0.5, 2)
            steps, passes = draw.randint(5, 60), 0.9 if solved else 0.3
            made.append(RecordedRun(resolved=solved, usd=usd, steps=steps, passes=passes))
        runs[tier] = tuple(made)
    return Example(features=_features(number, draw), runs=runs)


def _after(features: Features, move: Any) -> tuple[Outcome, ...]:
    """A refused patch of each plan of a move."""
    made = []
    for number, plan in enumerate(move.plans if isinstance(move, Try) else ()):
        ended = Trajectory(exit="submitted", steps=20, usd=Decimal("0.1"))
        attempt = Attempt(
            id=f"{number}", instance_id=features.instance_id, plan=plan, trajectory=ended
        )
        verdict = Verdict(candidate="c", verifier="repo-tests", outcome="fail")
        patch = Candidate(attempt_id=f"{number}", patch="diff", digest="c")
        made.append(Outcome(attempt=attempt, candidate=patch, verdicts=(verdict,)))
    return tuple(made)


if __name__ == "__main__":
    raise SystemExit(main())
