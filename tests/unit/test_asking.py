"""Models that verifiers ask: what they are sent, where it is booked, and what a resume finds."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import settings
from swe_router.errors import LedgerRefused, UsageError
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger import Ledger
from swe_router.models.sampling_seeds import SamplingSeeds
from swe_router.prices import flat_rate
from swe_router.records import CallLimits, Completion, Message, Usage
from swe_router.wiring import preflight
from swe_router.wiring.models import overhead_key
from swe_router.wiring.run_wiring import RunWiring

DEMO = settings.load("demo")
ASK = (Message(role="user", content="Write a test."),)
LIMITS = CallLimits(max_output_tokens=4096, timeout=500, seed=2)


class Heard:
    """A model that keeps the limits it was called with."""

    def __init__(self) -> None:
        self.limits: list[CallLimits] = []

    def complete(self, messages: Any, tools: Any = (), *, limits: CallLimits) -> Completion:
        self.limits.append(limits)
        return Completion(message=Message(role="assistant", content="x"))


@pytest.mark.parametrize(("temperature", "seed"), [(None, None), (0.7, 2)])
def test_a_seed_is_a_session_and_is_sent_only_beside_a_temperature(
    temperature: float | None, seed: int | None
) -> None:
    sessions, heard = list[str](), Heard()
    tier = DEMO.tiers["writer"].model_copy(update={"temperature": temperature})

    def made(session: str) -> Heard:
        sessions.append(session)
        return heard

    draws = SamplingSeeds(tier, made, "i")
    for number in (2, 3, 2, None):
        draws.complete(ASK, limits=LIMITS.model_copy(update={"seed": number}))
    assert sessions == ["i#2", "i#3", "i#1"]
    sent = heard.limits[0]
    assert (sent.seed, sent.temperature) == (seed, temperature)
    assert (sent.max_output_tokens, sent.timeout) == (2048, 60.0), "the tier's own caps"


def test_notes_outlive_their_process_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "i" / "notes.jsonl"
    notes = VerifierStore(path)
    notes["a"], notes["b"] = {"text": "x"}, 1
    notes["a"] = {"text": "y\ud800"}
    del notes["b"]
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    again = VerifierStore(path)
    assert (dict(again), len(again)) == ({"a": {"text": "y\ud800"}}, 1)
    again["c"] = 2
    assert sorted(VerifierStore(path)) == ["a", "c"]
    assert "b" not in VerifierStore(path)


@given(st.lists(st.decimals("0", "0.3", places=4), max_size=8))
def test_overhead_under_one_key_never_passes_its_limit(asked: list[Decimal]) -> None:
    limit = Decimal("0.5")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.jsonl", Decimal(10))
        for usd in asked:
            book = ledger.overhead("i/verify:1-a", limit)
            try:
                book.settle(book.reserve(usd), usd, Usage())
            except LedgerRefused:
                assert ledger.spent_by("i/verify:1-a") + usd > limit
        assert ledger.spent_by("i/verify:1-a") <= limit
        ledger.close()


@pytest.fixture
def wiring(tmp_path: Path) -> RunWiring:
    usd, day = Decimal(1), datetime.date(2026, 1, 1)
    rate = flat_rate(usd, usd, cache_read=None, cache_write=None, source="t", on=day)
    header: Any = SimpleNamespace(settings=DEMO, rates={"writer": rate}, sandbox="local")
    (tmp_path / "settings.json").write_text('{"settings": {}, "seal": "of this run"}')
    return RunWiring(RunFolder(tmp_path), header, print)


def unheld(tier: str) -> Callable[[str], None]:
    """A tier that no call has to wait for."""
    return lambda why: None


def test_a_writer_is_booked_as_overhead_of_the_candidate_and_what_was_paid_is_had_again(
    wiring: RunWiring,
) -> None:
    (instance,) = [one for one in splits.load_instances("demo") if one.id == "demo__confet-3"]
    wiring.log_of(instance)
    wiring.run.attempt_folder(instance.id).mkdir(parents=True)
    make = wiring._verifier_model(instance, "writer", unheld)
    assert make is not None
    limits = CallLimits(max_output_tokens=2000, seed=1)
    answer = make("1-local").complete(ASK, (), limits=limits)
    key = overhead_key(instance.id, "1-local")
    assert answer.usd > 0
    assert wiring.ledger.spent_by(key) == answer.usd
    assert wiring.ledger.figures().by_tier["overhead"].settled == answer.usd
    again = make("1-local").complete(ASK, (), limits=limits)
    assert again == answer, "a process that was killed then had paid for it"
    assert wiring.ledger.spent_by(key) == answer.usd
    make("2-cloud").complete(ASK, (), limits=limits)
    assert wiring.ledger.spent_by(overhead_key(instance.id, "2-cloud")) == answer.usd


def test_a_candidate_gets_no_more_than_its_share(wiring: RunWiring) -> None:
    (instance,) = [one for one in splits.load_instances("demo") if one.id == "demo__confet-3"]
    poor = DEMO.model_copy(
        update={"verify": DEMO.verify.model_copy(update={"usd": Decimal("0.000001")})}
    )
    wiring.settings = poor
    make = wiring._verifier_model(instance, "writer", unheld)
    assert make is not None
    with pytest.raises(LedgerRefused, match="is left for demo__confet-3"):
        make("1-local").complete(ASK, (), limits=CallLimits(max_output_tokens=2000))


def test_a_tier_that_nobody_asks_is_not_made(wiring: RunWiring) -> None:
    (instance,) = [one for one in splits.load_instances("demo") if one.id == "demo__confet-3"]
    names = DEMO.verify.model_copy(update={"names": ("applies", "acceptance")})
    wiring.settings = DEMO.model_copy(update={"verify": names})
    assert wiring._verifier_model(instance, "writer", unheld) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verify.writer": "writr"}, "did you mean 'writer'"),
        ({"verify.judge": "nobody"}, "verify.judge names tier 'nobody'"),
    ],
)
def test_an_unknown_tier_of_a_verifier_is_one_line(change: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings.load("demo", sets=[f"{key}={value}" for key, value in change.items()])


def test_preflight_looks_at_the_tiers_that_verifiers_ask() -> None:
    instances = splits.load_instances("demo")[:1]
    tiers = {**DEMO.tiers}
    tiers["writer"] = tiers["writer"].model_copy(update={"api_key_env": "NO_SUCH_KEY_IS_SET"})
    with pytest.raises(UsageError, match="'writer' needs a key"):
        preflight.run_preflight(
            DEMO.model_copy(update={"tiers": tiers}), instances, lambda said: None
        )
    told: list[str] = []
    ready = preflight.run_preflight(DEMO, instances, told.append)
    assert "writer" in ready.rates
    assert "prompt/reproduction" in ready.prompt_digests
    both = DEMO.model_copy(update={"verify": DEMO.verify.model_copy(update={"writer": "cloud"})})
    preflight.run_preflight(both, instances, told.append)
    assert any("do not vote on its own" in line for line in told)
    assert replace(ready) == ready
