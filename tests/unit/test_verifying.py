"""Candidates of one instance, verified together: order changes nothing, the same is run once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from itertools import permutations
from threading import Barrier

from swe_router import recorded_verdicts
from swe_router.errors import Lost
from swe_router.records import Result, Verdict
from swe_router.seams import VerificationContext
from swe_router.solve.verification import VerificationSetup, verdicts_on, verify_together
from swe_router.verifier_cache import RunKey, VerifierCache
from tests.doubles.engine import INSTANCE, FakeSandbox
from tests.doubles.project import outcome

DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
SAME = DIFF.replace("-1,2 +1,2", "-1,3 +1,3").replace("\n--- ", "\nindex 1..2\n--- ") + " d\n"
OTHER = DIFF.replace("+b", "+d")


class Looks:
    """A verifier that notes whom it looked at and what it could see of the others."""

    def __init__(self, name, says="pass", breaks=False):
        self.name, self.says, self.breaks = name, says, breaks
        vars(self).update(asdict(recorded_verdicts.traits_named(name)))
        self.seen: list[tuple] = []

    def verify(self, outcome, peers, instance, context):
        others = sorted((p.attempt.id, tuple(v.verifier for v in p.verdicts)) for p in peers)
        before = tuple(v.verifier for v in outcome.verdicts)
        self.seen.append((outcome.attempt.id, before, others))
        if self.breaks:
            raise Lost("container killed")
        passed = "pass" if "+b" in outcome.candidate.patch else "fail"
        said = self.says or passed
        digest, facts = outcome.candidate.digest, {"why": f"{self.name} said {said}"}
        return Verdict(candidate=digest, verifier=self.name, outcome=said, evidence=facts)

    def check(self, verdict):
        return verdict.outcome


def checks(*verifiers, **changes) -> VerificationSetup:
    @contextmanager
    def open_sandbox(instance):
        yield FakeSandbox()

    parts = {"open_sandbox": open_sandbox,
             "apply": lambda sandbox, text: Result(exit_code=0, output="")}  # fmt: skip
    parts |= {name: changes.pop(name) for name in ("apply", "cache") if name in changes}
    named = [(one.name, one) for one in verifiers]
    return VerificationSetup(context=VerificationContext(**parts), verifiers=named, **changes)


def test_agreement_is_asked_when_every_peer_has_been_looked_at():
    tests, agreement = Looks("repo-tests"), Looks("agreement")
    three = [outcome(DIFF, number=1), outcome(OTHER, number=2)]
    verify_together(checks(tests, agreement), INSTANCE, three, [outcome("", number=3)])
    assert all(verdicts == () for _, _, others in tests.seen for _, verdicts in others)
    assert agreement.seen == [
        ("1-weak", ("repo-tests",), [("2-weak", ("repo-tests",)), ("3-weak", ())]),
        ("2-weak", ("repo-tests",), [("1-weak", ("repo-tests",)), ("3-weak", ())]),
    ]


def test_the_order_of_the_candidates_changes_no_verdict():
    three = [outcome(DIFF, number=1), outcome(OTHER, number=2), outcome(SAME, number=3)]
    told = []
    for order in permutations(three):
        made = verify_together(
            checks(Looks("repo-tests", ""), Looks("agreement", "")), INSTANCE, order
        )
        told.append({
            one.attempt.id: [(v.verifier, v.outcome, v.candidate) for v in one.verdicts]
            for one in made
        })  # fmt: skip
    assert all(one == told[0] for one in told)
    assert told[0]["2-weak"][0][1] == "fail"


def test_patches_of_the_same_effect_are_run_once_and_say_so():
    tests, behaviour = Looks("repo-tests"), Looks("behaviour")
    made = verify_together(
        checks(tests, behaviour), INSTANCE, [outcome(DIFF, number=1), outcome(SAME, number=2)]
    )
    assert [name for name, _, _ in tests.seen] == ["1-weak"]
    assert len(behaviour.seen) == 2, "how it was made is each attempt's own"
    first, second = (one.verdicts[0] for one in made)
    assert second.evidence["same_as"] == "1-weak"
    assert "same_as" not in first.evidence
    assert [one.verdicts[0].candidate for one in made] == [o.candidate.digest for o in made]
    assert made[0].candidate.digest != made[1].candidate.digest


def test_a_sandbox_that_broke_is_unknown_with_the_reason_and_is_not_shared():
    tests = Looks("repo-tests", breaks=True)
    made = verify_together(
        checks(tests), INSTANCE, [outcome(DIFF, number=1), outcome(DIFF, number=2)]
    )
    assert [one.verdicts[0].outcome for one in made] == ["unknown", "unknown"]
    assert "Lost: container killed" in made[0].verdicts[0].evidence["broke"]
    assert [name for name, _, _ in tests.seen] == ["1-weak"] * 2 + ["2-weak"] * 2, (
        "the next sandbox may hold"
    )


def test_a_candidate_that_does_not_apply_is_weighed_and_nothing_is_run():
    applies, tests, weighs = Looks("applies", "fail"), Looks("repo-tests"), Looks("acceptance", "")
    (made,) = verify_together(checks(applies, tests, weighs), INSTANCE, [outcome(OTHER)])
    assert [one.verifier for one in made.verdicts] == ["applies", "acceptance"]
    assert tests.seen == []


def test_a_patch_with_wrong_context_is_not_passed_by_one_of_the_same_edits_nor_fails_it():
    """Its edits are those of ``DIFF``, at the same place; git refuses it all the same."""
    bent = DIFF.replace("\n c\n", "\n z\n")

    class Applies(Looks):
        def verify(self, outcome, peers, instance, context):
            self.says = "fail" if outcome.candidate.patch == bent else "pass"
            return super().verify(outcome, peers, instance, context)

    def apply(sandbox, text):
        return Result(exit_code=int(text == bent), output="")

    for names in (("applies", "repo-tests"), ("repo-tests",)):
        for order in permutations(
            [outcome(DIFF), outcome(bent, number=2), outcome(SAME, number=3)]
        ):
            tests = Applies(names[-1])
            parts = [*([Applies("applies")] if len(names) == 2 else []), tests]
            made = verify_together(checks(*parts, apply=apply), INSTANCE, order)
            said = {one.attempt.id: one.verdicts[-1].outcome for one in made}
            assert said == {"1-weak": "pass", "2-weak": "fail", "3-weak": "pass"}
            if len(names) == 2:
                assert len(tests.seen) == 1, "the two that apply are one"


def test_an_attempt_without_a_candidate_has_no_verdict():
    bare = outcome().model_copy(update={"candidate": None})
    made = verify_together(checks(Looks("repo-tests")), INSTANCE, [bare])
    assert made == (bare,)


class Meets(Looks):
    """A verifier that waits until another candidate is looked at too, once the first one was."""

    def __init__(self, name, wait):
        super().__init__(name)
        self.wait = wait

    def verify(self, outcome, peers, instance, context):
        if self.seen:
            self.wait.wait(timeout=120)
        return super().verify(outcome, peers, instance, context)


def test_after_the_first_candidates_are_looked_at_side_by_side():
    """The first alone, since its base runs serve all; then each waits for the other."""
    tests = Meets("repo-tests", Barrier(2))
    three = [outcome(DIFF.replace("+b", f"+{n}"), number=n) for n in (1, 2, 3)]
    twin = outcome(SAME.replace("+b", "+1"), number=4)
    made = verify_together(checks(tests, max_sandboxes=2), INSTANCE, [*three, twin])
    assert [one.attempt.id for one in made] == ["1-weak", "2-weak", "3-weak", "4-weak"]
    assert len(tests.seen) == 3
    assert tests.seen[0][0] == "1-weak"
    assert made[3].verdicts[0].evidence["same_as"] == "1-weak"


def test_verifiers_that_run_tests_work_side_by_side_and_are_told_in_their_order():
    barrier = Barrier(2, timeout=120)

    class Meets(Looks):
        def verify(self, outcome, peers, instance, context):
            barrier.wait()
            return super().verify(outcome, peers, instance, context)

    tests, shown, after = Meets("repo-tests"), Meets("reproduction"), Looks("behaviour")
    given = checks(Looks("applies"), tests, shown, after, max_sandboxes=2)
    said = verdicts_on(given, INSTANCE, outcome(DIFF), ())
    names = ["applies", "repo-tests", "reproduction", "behaviour"]
    assert [one.verifier for one in said] == names
    assert tests.seen[0][1] == shown.seen[0][1] == ("applies",)
    assert after.seen[0][1] == tuple(names[:3])


def test_a_later_attempt_of_the_same_effect_is_not_run_again():
    """As the engine asks, one candidate after the other: shown otherwise, the same change."""
    looks, shared = Looks("repo-tests"), VerifierCache()
    made = checks(looks, cache=shared)
    verdicts_on(made, INSTANCE, outcome(DIFF), ())
    (again,) = verdicts_on(made, INSTANCE, outcome(SAME, number=2), ())
    assert len(looks.seen) == 1
    assert (again.candidate, again.seconds) == (outcome(SAME).candidate.digest, 0.0)
    assert again.evidence["same_as"] == "1-weak"


class Runs(Looks):
    """A verifier that runs one test on each patch, and keeps the run."""

    def __init__(self):
        super().__init__("reproduction")
        self.ran: list[str] = []

    def verify(self, outcome, peers, instance, context):
        key = RunKey(outcome.candidate.digest)
        if key not in context.cache:
            self.ran.append(outcome.attempt.id)
            context.cache[key] = "passed"
        return super().verify(outcome, peers, instance, context)


def test_a_test_is_not_run_again_on_a_patch_of_the_same_effect():
    runs = Runs()
    made = checks(runs)
    for number, patch in enumerate((DIFF, SAME, OTHER), 1):
        verdicts_on(made, INSTANCE, outcome(patch, number=number), ())
    assert runs.ran == ["1-weak", "3-weak"]
    assert len(runs.seen) == 3, "it is asked all the same: what counts as own may differ"
