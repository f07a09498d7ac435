"""What a takeover by another tier costs, and how often a stall is seen, on recorded trajectories.

    python benchmarks/switching.py ../shared/data/trajectories

Reads mini-SWE-agent trajectories with their usages and, next to them, ``ID.report.json`` with the
official result. No model is asked. Prints how often ``finish-strong`` would have taken over because
of a stall, among runs that resolved their issue and runs that did not, and the price of the first
call of a strong tier at a quarter, at half and at three quarters of each run: as a first visit,
which reads the whole prefix, and as a return, a few calls after it was asked before.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median

from swe_router.agents.phase_state import PhaseState
from swe_router.candidates.trajectory import ForeignTrajectory
from swe_router.candidates.trajectory_folders import read_trajectories
from swe_router.estimates.switch_price import next_call_usd
from swe_router.policies.phased import FinishStrongKnobs
from swe_router.prices import rate_for
from swe_router.records import Phase, Step

STRONG = ("claude-sonnet-4-5", "gpt-5.1", "claude-opus-4-5")
"""Models that might finish; priced as the installed price table has them."""
ON = datetime.date(2026, 3, 1)
AWAY = 3
"""Calls since the strong tier was asked last, for a return."""
PARTS = (0.25, 0.5, 0.75)


def main(folder: Path) -> int:
    """Print the tables; 1 without the data."""
    if not folder.is_dir():
        print(f"there is no folder {folder}: name one with mini-SWE-agent trajectories")
        return 1
    names = {file.name.partition(".")[0] for file in folder.glob("*.traj.json*")}
    if not names:
        print(f"{folder} holds no *.traj.json")
        return 1
    runs = read_trajectories(folder, names, lambda line: None)
    print(f"{len(runs)} trajectories of {folder}")
    print_stalls(runs, folder)
    print_prices([run.steps for run in runs if run.steps])
    return 0


def print_stalls(runs: Sequence[ForeignTrajectory], folder: Path) -> None:
    """How often a stall is seen, by the official result."""
    usual = FinishStrongKnobs().stall
    for stall in (2, usual, 4):
        phase = Phase(role="finisher", tier="strong", usd=Decimal(1), stall=stall)
        seen: dict[bool, list[float]] = {True: [], False: []}
        for run in runs:
            resolved = was_resolved(folder / f"{run.instance_id}.report.json")
            if resolved is not None:
                seen[resolved].append(stall_place(run.steps, phase))
        words = []
        for resolved, places in seen.items():
            fired = [place for place in places if place < 1]
            at = f", at {median(fired):.0%} of the run by the median" if fired else ""
            name = "resolved" if resolved else "unresolved"
            words.append(f"{len(fired)} of {len(places)} {name}{at}")
        mark = " (default)" if stall == usual else ""
        print(f"stall={stall}{mark}: takes over in {'; '.join(words)}")


def was_resolved(report: Path) -> bool | None:
    """The official result; None where there is no report."""
    try:
        return bool(json.loads(report.read_text())["resolved"])
    except (OSError, ValueError, KeyError):
        return None


def stall_place(steps: Sequence[Step], phase: Phase) -> float:
    """Share of the run after which a stall is seen; 1 without one."""
    state = PhaseState()
    for number, step in enumerate(steps, 1):
        state = state.with_turn(step.actions)
        if state.why_stalled(phase) and number < len(steps):
            return number / len(steps)
    return 1.0


def print_prices(runs: Sequence[Sequence[Step]]) -> None:
    """The price of the first call of each strong model, cold and warm, by the place in the run."""
    whole = median(float(sum(step.completion.usd for step in steps)) for steps in runs)
    print(f"a whole run cost ${whole:.4f} by the median, as recorded")
    for model in STRONG:
        rate = rate_for(model, on=ON)
        cells = []
        for part in PARTS:
            cold, warm = [], []
            for steps in runs:
                at = min(len(steps) - 1, max(AWAY, int(part * len(steps))))
                prefix = steps[at].completion.usage.prompt_tokens
                before = steps[max(0, at - AWAY)].completion.usage.prompt_tokens
                output = steps[at].completion.usage.output_tokens
                cold.append(next_call_usd(rate.usd, prefix, 0, output))
                warm.append(next_call_usd(rate.usd, prefix, before, output))
            first, back = float(median(cold)), float(median(warm))
            cells.append(f"{part:.0%}: ${first:.4f} first, ${back:.4f} back ({first / back:.1f}x)")
        print(f"{model}: {'; '.join(cells)}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/trajectories")))
