"""Verdicts that compare candidates, made again once every candidate of a move is there.

Each attempt is verified as soon as it ends, so that the first of a move has nothing to be compared
with. What was paid for by then is in the notes and not paid for again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from swe_router.records import Instance, Outcome, Verdict
from swe_router.seams import Verifier
from swe_router.solve.verification import VerificationSetup, verdicts_on
from swe_router.verifier_abilities import VerifierTraits, traits_of


def compared_again(
    setup: VerificationSetup,
    instance: Instance,
    outcomes: Sequence[Outcome],
    others: Sequence[Outcome] = (),
) -> tuple[Outcome, ...]:
    """The outcomes of one move, their comparisons and then their combinations made anew.

    ``others`` are attempts of the instance that were made before. As they are where no verifier
    compares, or nothing can be compared.
    """
    compares = _those(setup, lambda traits: traits.compares)
    patches = sum(one.candidate is not None for one in outcomes)
    if not compares or patches < 2:
        return tuple(outcomes)
    # First every comparison: a combination may take the word of another candidate's.
    for verifiers in (compares, _those(setup, lambda traits: traits.combines)):
        outcomes = [
            _with_verdicts_anew(
                setup, verifiers, instance, one, [*others, *(o for o in outcomes if o is not one)]
            )
            for one in outcomes
        ]
    return tuple(outcomes)


def _those(
    setup: VerificationSetup, wanted: Callable[[VerifierTraits], bool]
) -> list[tuple[str, Verifier]]:
    return [(name, one) for name, one in setup.verifiers if wanted(traits_of(one))]


def _with_verdicts_anew(
    setup: VerificationSetup,
    verifiers: Sequence[tuple[str, Verifier]],
    instance: Instance,
    outcome: Outcome,
    peers: Sequence[Outcome],
) -> Outcome:
    """The outcome with the verdicts of these verifiers made again, if it has them, in order."""
    known = {one.verifier for one in outcome.verdicts}
    asked = [(name, one) for name, one in verifiers if name in known]
    names = {name for name, _ in asked}
    if not asked:
        return outcome
    kept = tuple(one for one in outcome.verdicts if one.verifier not in names)
    made = verdicts_on(
        replace(setup, verifiers=asked),
        instance,
        outcome.model_copy(update={"verdicts": kept}),
        peers,
    )
    return outcome.model_copy(update={"verdicts": _in_order(outcome.verdicts, made)})


def _in_order(before: Sequence[Verdict], made: Sequence[Verdict]) -> tuple[Verdict, ...]:
    places = {one.verifier: place for place, one in enumerate(before)}
    return tuple(sorted(made, key=lambda one: places[one.verifier]))
