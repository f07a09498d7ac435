"""What the verifiers say of one candidate, in order; one that breaks says ``unknown``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from swe_router import recorded_verdicts
from swe_router.errors import BoundaryError, Lost, WouldNotStart
from swe_router.patch_identity import effect_digest
from swe_router.records import (
    Candidate,
    Instance,
    Outcome,
    Verdict,
)
from swe_router.seams import Model, VerificationContext, Verifier
from swe_router.solve.cross_evaluation import map_in_parallel
from swe_router.solve.patch_equivalence import PatchEquivalence, is_known_misfit
from swe_router.solve.sandbox_reuse import SandboxReuse
from swe_router.solve.stoppable import unless_stopping
from swe_router.solve.verifier_cost import costs_nothing_again, with_call_tally, with_costs
from swe_router.verifier_abilities import ModelRole, TypesEvidence, traits_of
from swe_router.verifier_cache import CacheKey

MAX_ENGINE_TRIES = 3
"""Times a verifier is asked whose sandbox engine went away meanwhile."""
MAX_SANDBOX_TRIES = 2
"""Times a verifier is asked whose sandbox broke: the patch may have broken it, or a bystander."""


@dataclass(frozen=True)
class FirstRun(CacheKey[str]):
    """Digest of the first candidate that leaves these files."""

    files_key: str


@dataclass(frozen=True)
class KnownVerdict(CacheKey[tuple[Verdict, str]]):
    """A verdict that holds for other candidates too, and the attempt that it was made for."""

    verifier: str
    candidate_key: str
    mended: str


@dataclass(frozen=True)
class VerificationSetup:
    """How the candidates of one instance are verified: with what, by whom, within which limits."""

    context: VerificationContext
    """What the verifiers of the instance share; ``context_of`` adds what is one attempt's own."""
    verifiers: Sequence[tuple[str, Verifier]]
    writer_for: Callable[[str], Model] | None = None
    """Attempt id -> the model that writes reproduction tests; metered, booked as overhead."""
    judge_for: Callable[[str], Model] | None = None
    """Attempt id -> the model that reads issue, diff and evidence; likewise."""
    own_models: Mapping[tuple[str, ModelRole], Callable[[str], Model]] = field(default_factory=dict)
    """Verifier and role -> the same, where the verifier has a tier of its own in that role."""
    timeout_seconds: float = 600.0
    """Time limit of all verdicts on one candidate."""
    stopping: Callable[[], bool] = lambda: False
    on_verifier_start: Callable[[str, str], None] = lambda attempt_id, verifier: None
    """Called with the attempt and the verifier that is about to look at its candidate."""
    on_candidate_verified: Callable[[Outcome], None] = lambda outcome: None
    """Called with each candidate once the verifiers that look at it alone have run."""
    max_sandboxes: int = 1
    """Sandboxes that may be busy at a time: those of several candidates, or one candidate's."""

    def equivalence(self, instance: Instance) -> PatchEquivalence:
        """Tells which patches of the instance are one."""
        shared = self.context
        return PatchEquivalence(shared.open_sandbox, shared.apply, instance, shared.cache)

    def with_own_models(
        self, verifier: str, attempt_id: str, context: VerificationContext
    ) -> VerificationContext:
        """The context as a verifier with tiers of its own gets it."""
        made: dict[str, Any] = {
            role: model_of(attempt_id)
            for (name, role), model_of in self.own_models.items()
            if name == verifier
        }
        return replace(context, **made) if made else context

    def context_of(self, attempt_id: str, reuse: SandboxReuse | None = None) -> VerificationContext:
        """The context of the verdicts on one attempt's candidate; their time runs from now."""
        shared = self.context
        opening = reuse.open if reuse else shared.open_sandbox
        return replace(
            shared,
            open_sandbox=lambda of: unless_stopping(opening(of), self.stopping),
            apply=reuse.apply if reuse else shared.apply,
            writer=self.writer_for(attempt_id) if self.writer_for else None,
            judge=self.judge_for(attempt_id) if self.judge_for else None,
            deadline=shared.clock() + self.timeout_seconds,
        )


def verdicts_on(
    setup: VerificationSetup, instance: Instance, outcome: Outcome, peers: Sequence[Outcome]
) -> tuple[Verdict, ...]:
    """Every verdict on the outcome's candidate, in the order of the verifiers.

    Goes on from the verdicts that the outcome has. After a ``fail`` that is a fact
    nothing but combinations are asked.
    """
    if outcome.candidate is None:
        return ()
    known = list(outcome.verdicts)
    decisive = {name for name, verifier in setup.verifiers if traits_of(verifier).decisive}
    recorded = (one.verifier for one in known)
    decisive |= {name for name in recorded if recorded_verdicts.traits_named(name).decisive}
    _share_test_runs(setup, instance, outcome.candidate)
    with SandboxReuse(setup.context.open_sandbox, setup.context.apply) as reuse:
        context = setup.context_of(outcome.attempt.id, reuse)
        for group in _parallel_groups(setup):
            refused = any(one.outcome == "fail" and one.verifier in decisive for one in known)
            asked = [(n, v) for n, v in group if traits_of(v).combines or not refused]
            case = outcome.model_copy(update={"verdicts": tuple(known)}), peers, instance

            def ask(
                one: tuple[str, Verifier],
                case: tuple[Outcome, Sequence[Outcome], Instance] = case,
            ) -> Verdict:
                return _make_verdict(setup, *one, context, case)

            known += map_in_parallel(asked, ask, setup.max_sandboxes)
    return tuple(known)


def _parallel_groups(setup: VerificationSetup) -> list[list[tuple[str, Verifier]]]:
    """The verifiers in their order; neighbours that may work side by side in one group."""
    groups: list[list[tuple[str, Verifier]]] = []
    for name, verifier in setup.verifiers:
        runs_tests = setup.max_sandboxes > 1 and traits_of(verifier).runs_tests
        if runs_tests and groups and traits_of(groups[-1][0][1]).runs_tests:
            groups[-1].append((name, verifier))
        else:
            groups.append([(name, verifier)])
    return groups


def _share_test_runs(setup: VerificationSetup, instance: Instance, candidate: Candidate) -> None:
    """Test runs on an earlier patch that leaves the same files are runs on this one."""
    cache = setup.context.cache
    if is_known_misfit(cache, candidate):
        return
    key = setup.equivalence(instance).key_of(candidate)
    first = cache.setdefault(FirstRun(key), candidate.digest)
    if first != candidate.digest:
        cache.share_runs(first, candidate.digest)


def _make_verdict(
    setup: VerificationSetup,
    name: str,
    verifier: Verifier,
    context: VerificationContext,
    case: tuple[Outcome, Sequence[Outcome], Instance],
) -> Verdict:
    """One verdict; of the patch alone it is made once an instance and then known."""
    outcome, peers, instance = case
    candidate = outcome.candidate
    assert candidate is not None
    traits = traits_of(verifier)
    by_text = traits.reuse != "files" or is_known_misfit(setup.context.cache, candidate)
    known_by = candidate.digest if by_text else setup.equivalence(instance).key_of(candidate)
    key = KnownVerdict(name, known_by, candidate.mended if traits.reuse == "text" else "")
    if key in setup.context.cache:
        known, of = setup.context.cache[key]
        made = {"candidate": candidate.digest, "evidence": {**known.evidence, "same_as": of}}
        return known.model_copy(update={**made, "seconds": 0.0})
    setup.on_verifier_start(outcome.attempt.id, name)
    begun = setup.context.clock()
    context = setup.with_own_models(name, outcome.attempt.id, context)
    context, calls = with_call_tally(context)
    for tries in range(1, MAX_ENGINE_TRIES + 1):
        try:
            verdict = _with_evidence_version(
                verifier, verifier.verify(outcome, peers, instance, context)
            )
        except BoundaryError as error:
            more = tries < _max_tries(error) and not setup.stopping()
            if more and costs_nothing_again(name, outcome.attempt.id, context, calls):
                continue  # opening the next sandbox waits until its engine is back
            verdict = Verdict(
                candidate=candidate.digest,
                verifier=name,
                outcome="unknown",
                evidence={"broke": f"{type(error).__name__}: {error}"},
            )
        break
    # By the name that the run knows it by: whatever reads the record asks for it by this name.
    verdict = verdict.model_copy(update={"verifier": name})
    if traits.combines and not verdict.decides:
        verdict = verdict.model_copy(update={"combines": True})
    verdict = with_costs(verdict, outcome.attempt.id, context, calls)
    verdict = verdict.model_copy(update={"seconds": max(0.0, setup.context.clock() - begun)})
    if traits.reuse != "never" and not verdict.broke and not setup.stopping():
        setup.context.cache[key] = verdict, outcome.attempt.id
    return verdict


def _max_tries(error: BoundaryError) -> int:
    """Times that a verifier is asked which fails so."""
    if error.says_nothing_of_instance:
        return MAX_ENGINE_TRIES
    return MAX_SANDBOX_TRIES if isinstance(error, Lost | WouldNotStart) else 1


def _with_evidence_version(verifier: Verifier, verdict: Verdict) -> Verdict:
    """The verdict with the version of its evidence. Raises ``VerifierError`` if it does not fit."""
    if not isinstance(verifier, TypesEvidence):
        return verdict
    kind = verifier.evidence_type
    evidence = {**verdict.evidence, "schema_version": kind.version()}
    verdict = verdict.model_copy(update={"evidence": evidence})
    recorded_verdicts.read_evidence(kind, verdict)
    return verdict


def verify_together(
    setup: VerificationSetup,
    instance: Instance,
    outcomes: Sequence[Outcome],
    peers: Sequence[Outcome] = (),
) -> tuple[Outcome, ...]:
    """Several candidates of one instance, verified so that their order changes nothing.

    First whatever looks at one candidate, for all of them; then what weighs them against each
    other, with everything known. ``peers`` are further attempts that are not verified. Patches
    that leave the same files are looked at as one: the first of them stands for all. An outcome
    that has verdicts was looked at by the first verifiers before, and is not again.
    """
    stand_in = _stand_ins(setup, instance, outcomes)
    for stage_index, verifiers in enumerate(_split_at_stages(setup.verifiers)):
        part, known = replace(setup, verifiers=verifiers), (*outcomes, *peers)

        def look(
            one: Outcome,
            cores: int,
            stage_setup: VerificationSetup = part,
            known: Sequence[Outcome] = known,
            stage_index: int = stage_index,
        ) -> Outcome:
            if stage_index == 0 and one.verdicts:
                return one
            others = [other for other in known if other is not one]
            made = _with_verdicts(
                replace(stage_setup, max_sandboxes=cores), instance, one, others, stand_in
            )
            if stage_index == 0 and not setup.stopping():
                setup.on_candidate_verified(made)
            return made

        outcomes = _verify_leading_first(look, outcomes, stand_in, setup.max_sandboxes)
    return tuple(outcomes)


def _split_at_stages(
    verifiers: Sequence[tuple[str, Verifier]],
) -> list[Sequence[tuple[str, Verifier]]]:
    """The verifiers in their order, cut where one needs all earlier verdicts on the peers.

    A combination is asked when the opinions on every candidate are known: twins share them.
    """
    stages = [traits_of(verifier).stage for _, verifier in verifiers]
    after_peers = (n for n, stage in enumerate(stages) if stage in ("peers", "combination"))
    cuts = {next(after_peers, len(stages))}
    cuts |= {n for n, stage in enumerate(stages) if stage == "combination"}
    ends = [0, *sorted(cuts), len(stages)]
    return [verifiers[a:b] for a, b in pairwise(ends) if b > a]


def _stand_ins(
    setup: VerificationSetup, instance: Instance, outcomes: Sequence[Outcome]
) -> dict[str, Candidate]:
    """Digest of each candidate -> the one that is looked at for it."""
    alike: dict[str, dict[str, Candidate]] = {}
    for outcome in outcomes:
        if outcome.candidate is not None:
            own = alike.setdefault(effect_digest(outcome.candidate.patch), {})
            own.setdefault(outcome.candidate.digest, outcome.candidate)
    equivalence = setup.equivalence(instance)
    found: dict[str, Candidate] = {}
    for texts in alike.values():
        firsts: dict[str, Candidate] = {}
        for digest, one in texts.items():
            left = equivalence.files_digest(one) if len(texts) > 1 else ""
            found[digest] = firsts.setdefault(left or digest, one)
    return found


def _verify_leading_first(
    verify: Callable[[Outcome, int], Outcome],
    outcomes: Sequence[Outcome],
    stand_in: Mapping[str, Candidate],
    max_sandboxes: int,
) -> tuple[Outcome, ...]:
    """Each verified, with so many sandboxes: one alone, whose base runs serve all; then the others.

    Candidates for which another stands come last: what is asked of them is known by then.
    """
    own = {id(candidate) for candidate in stand_in.values()}
    order = sorted(range(len(outcomes)), key=lambda n: id(outcomes[n].candidate) not in own)
    leading = [n for n in order if id(outcomes[n].candidate) in own]
    turns = (leading[:1], leading[1:], order[len(leading) :])
    made: dict[int, Outcome] = {}
    for turn, workers in zip(turns, (1, max_sandboxes, 1), strict=True):
        each = max_sandboxes // max(1, min(workers, len(turn))) or 1
        asked = [(outcomes[n], each) for n in turn]
        looked = map_in_parallel(asked, lambda one: verify(*one), workers)
        made |= dict(zip(turn, looked, strict=True))
    return tuple(made[n] for n in range(len(outcomes)))


def _with_verdicts(
    setup: VerificationSetup,
    instance: Instance,
    outcome: Outcome,
    peers: Sequence[Outcome],
    stand_in: Mapping[str, Candidate],
) -> Outcome:
    """The outcome with the verdicts on the candidate that stands for its own."""
    own = outcome.candidate
    if own is None or not setup.verifiers:
        return outcome
    shown = stand_in[own.digest].model_copy(update={"mended": own.mended})
    known = verdicts_on(setup, instance, outcome.model_copy(update={"candidate": shown}), peers)
    mine = tuple(one.model_copy(update={"candidate": own.digest}) for one in known)
    return outcome.model_copy(update={"verdicts": mine})
