"""A verifier may ask tiers of its own: checked, priced, budgeted and told apart from the rest."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from swe_router import recorded_verdicts, settings
from swe_router.__main__ import main
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.records import Message, Result, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.solve.verification import VerificationSetup, verdicts_on
from swe_router.verifiers.verdict_making import verdict_of_opinion
from swe_router.wiring import preflight
from swe_router.wiring.verifier_stack import StandaloneVerification
from tests.doubles.engine import INSTANCE, FakeSandbox
from tests.doubles.project import outcome

DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
NAMES = 'verify.names=["applies","judge","reproduction","acceptance"]'


def loaded(*sets: str) -> settings.Settings:
    return settings.load("demo", sets=[NAMES, *sets])


def test_a_tier_of_its_own_stands_in_for_the_role_of_one_verifier_alone():
    found = loaded("verify.writer=writer", "verify.tiers.judge.judge=cloud").verify
    assert recorded_verdicts.asked_tiers(found) == {
        "reproduction": ("writer",), "judge": ("cloud",),
    }  # fmt: skip
    assert recorded_verdicts.own_tiers(found) == {("judge", "judge"): "cloud"}
    assert recorded_verdicts.asked_prompts(found) == ["reproduction", "judge"]
    assert (found.tier_of("judge", "judge"), found.tier_of("other", "judge")) == ("cloud", "")


def test_a_role_that_a_verifier_does_not_have_is_asked_nothing():
    found = loaded("verify.tiers.judge.writer=cloud").verify
    assert recorded_verdicts.own_tiers(found) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("verify.tiers.judge.judge=clod", "did you mean 'cloud'"),
        ("verify.tiers.jugde.judge=cloud", "'jugde' is not in verify.names.*did you mean 'judge'"),
        ("verify.knobs.rubrik.looks=3", "'rubrik' is not in verify.names"),
        ("verify.tiers.judge.jury=cloud", "jury"),
    ],
)
def test_a_wrong_name_is_one_line(change, message):
    with pytest.raises(UsageError, match=message):
        loaded(change)


def test_settings_without_them_have_the_digest_of_earlier_versions():
    assert not {"tiers", "knobs"} & VerifySettings().model_dump(mode="json").keys()
    assert loaded().digest() != loaded("verify.tiers.judge.judge=cloud").digest()


def test_its_tier_is_checked_and_priced_before_the_run():
    chosen = loaded("verify.tiers.judge.judge=cloud")
    assert preflight.verifier_tiers(chosen) == ["writer", "cloud"]


class Asks:
    """A verifier that shows which models it was given."""

    def verify(self, outcome, peers, instance, context):
        given = {"writer": context.writer, "judge": context.judge}
        shown = {role: getattr(model, "model", model) for role, model in given.items()}
        return verdict_of_opinion("asks", outcome, shown)

    def check(self, verdict: Verdict) -> str:
        return verdict.outcome


def test_each_verifier_gets_its_own_models():
    @contextmanager
    def open_sandbox(instance):
        yield FakeSandbox()

    shared = VerificationContext(
        open_sandbox=open_sandbox, apply=lambda sandbox, text: Result(exit_code=0, output="")
    )
    setup = VerificationSetup(
        context=shared,
        verifiers=[("one", Asks()), ("two", Asks())],
        judge_for=lambda attempt_id: f"shared of {attempt_id}",  # type: ignore[arg-type,return-value]
        own_models={
            ("two", "judge"): lambda attempt_id: f"own of {attempt_id}",  # type: ignore[dict-item,return-value]
            ("two", "writer"): lambda attempt_id: Message(role="user", content="m"),  # type: ignore[dict-item,return-value]
        },
    )
    one, two = (made.evidence for made in verdicts_on(setup, INSTANCE, outcome(DIFF), ()))
    assert (one["writer"], one["judge"]) == (None, "shared of 1-weak")
    assert two["judge"] == "own of 1-weak"
    assert two["writer"] is not None


def test_verify_prices_the_tiers_of_its_verifiers_and_remakes_rows_when_they_change(tmp_path):
    def stack(*sets: str) -> StandaloneVerification:
        return StandaloneVerification(
            loaded(*sets), run_name="v", folder=tmp_path, lock_file=tmp_path / "lock",
            say=lambda line: None, stopping=lambda: False, sandboxes=object(),
        )  # fmt: skip

    sets = ("verify.writer=", "verify.tiers.judge.judge=cloud")
    own, other = stack(*sets), stack(*sets, "tiers.cloud.max_output_tokens=77")
    assert set(own.models.rates) == {"cloud"}
    assert own.digest() != other.digest()


def test_verify_asks_no_tier_without_a_budget(tmp_path, capsys):
    file = tmp_path / "preds.jsonl"
    file.write_text("")
    words = ["verify", "--predictions", str(file), "--split", "demo", "--names", "applies,judge"]
    assert main([*words, "--set", "verify.tiers.judge.judge=cloud"]) == 2
    assert "say how much it may be with --budget" in capsys.readouterr().err


def test_a_tier_that_cannot_serve_a_verifier_is_named_before_the_run():
    names = 'verify.names=["applies","tournament","acceptance"]'
    lines: dict[str, list[str]] = {"cloud": [], "served": []}
    served = ("tiers.served.dialect=vllm", "tiers.served.model=m", "tiers.served.window=9000",
              "tiers.served.attempt_usd=1", "tiers.served.price=free",
              'policy.ladder=["local","cloud"]',
              "tiers.served.base_url=http://127.0.0.1:1/v1")  # fmt: skip
    for tier, said in lines.items():
        chosen = settings.load(
            "demo", sets=[names, *served, "verify.writer=", f"verify.tiers.tournament.judge={tier}"]
        )
        preflight.run_preflight(chosen, splits.load_instances("demo")[:1], said.append)
    assert [line for line in lines["cloud"] if "tournament will be unknown" in line]
    assert not [line for line in lines["served"] if "tournament" in line]
