"""Past issues made by hand: twelve over three repositories, with texts, numbers and runs."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.records import Example, Features, RecordedRun

TIERS = ("weak", "mid", "strong")
USD = {"weak": 0.02, "mid": 0.2, "strong": 1.0}
SOLVED = ("111", "111", "011", "001", "101", "000", "111", "010", "001", "011", "000", "101")
"""One text an issue: whether weak, mid and strong resolve it."""
WORDS = ("crash in the parser", "crash in the reader", "slow matrix algorithm", "refactor the api",
         "typo in docs", "deadlock between threads")  # fmt: skip


def issue(number: int, text: str = "", **values: float) -> Features:
    """Issue ``number`` of repository ``number % 3``."""
    return Features(
        instance_id=f"o__r{number % 3}-{number}",
        repo=f"o/r{number % 3}",
        text=text or f"{WORDS[number % len(WORDS)]} number {number}",
        values={"words": 10.0 + 7 * number, "complexity": 1.0 + number % 9, **values},
    )


def run(solved: bool, usd: float, passes: float | None = None, steps: int = 10) -> RecordedRun:
    """A run; the verifier's word is right 9 times of 10 when nothing else is said."""
    said = (0.9 if solved else 0.2) if passes is None else passes
    return RecordedRun(resolved=solved, usd=usd, steps=steps, seconds=60.0, passes=said)


def example(number: int, solved: str, tiers: Sequence[str] = TIERS, repeats: int = 1) -> Example:
    """An issue on which the tiers with a 1 resolve; repeats of a 1 fail every third time."""
    runs = {
        tier: tuple(
            run(one == "1" and nth % 3 < 2, USD.get(tier, 0.1) * (1 + number % 4 + nth) / 2)
            for nth in range(repeats)
        )
        for tier, one in zip(tiers, solved, strict=False)
    }
    return Example(features=issue(number), runs=runs)


def examples(repeats: int = 1) -> tuple[Example, ...]:
    """The twelve."""
    return tuple(example(n, solved, repeats=repeats) for n, solved in enumerate(SOLVED))


def rated(made: Sequence[Example]) -> tuple[Example, ...]:
    """With the judge's features that two policies need."""
    out = []
    for number, one in enumerate(made):
        judged = {"judge.weak_rating": 1.0 + number % 5, "judge.route.small_bug": number % 2}
        values = {**one.features.values, **judged}
        features = one.features.model_copy(update={"values": values})
        out.append(one.model_copy(update={"features": features}))
    return tuple(out)
