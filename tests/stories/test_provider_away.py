"""A provider that goes away in mid-run: held, never escalated; it comes back, or the run ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from swe_router.__main__ import main
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from tests.doubles.served import Provider

TWO = [one.id for one in splits.load_instances("demo")[:2]]
TIER = """
[tiers.{name}]
dialect = "openai"
model = "m"
base_url = "{url}"
window = 100000
max_output_tokens = 1000
timeout = 60.0
retries = 1
attempt_usd = 0.1
attempt_steps = 9
attempt_seconds = 3600.0
price = {{ input = 1.0, output = 2.0 }}
"""
REST = """
[policy]
name = "cascade"
ladder = ["local", "cloud"]
[verify]
names = ["applies"]
[breaker]
first_wait = 0.1
longest_wait = 0.3
give_up_seconds = {give_up}
"""
CREDIT = (
    "Your credit balance is too low to access the Anthropic API."
    " Please go to Plans & Billing to upgrade or purchase credits."
)


def preset(tmp_path: Path, local: str, cloud: str, *, give_up: float) -> Path:
    file = tmp_path / "away.toml"
    tiers = TIER.format(name="local", url=local)
    tiers += TIER.format(name="cloud", url=cloud)
    file.write_text("budget = 1\n" + tiers + REST.format(give_up=give_up))
    return file


def run(tmp_path: Path, file: Path, *more: str) -> int:
    where = ["--out", str(tmp_path / "runs"), "--sandbox", "local", "--unsafe", "--no-grade"]
    given = ["--split", "demo", "-i", ",".join(TWO), "--preset", str(file)]
    return main(["run", *given, *where, "--json", *more])


def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.find("latest", tmp_path / "runs")


def test_a_provider_that_dies_in_mid_run_and_comes_back_costs_no_instance_anything(
    tmp_path, capsys
):
    begun, missed = time.monotonic(), []

    def held_for_longer_than_all_before():
        while not any('"held": true' in one.read_text() for one in tmp_path.rglob("breaker.json")):
            time.sleep(0.02)
        since = time.monotonic()
        time.sleep(max(1.5, 2.0 * (since - begun)))
        missed.append(time.monotonic() - since)

    def dies(n):
        if n == 1:  # in the middle of the first instance
            local.away(held_for_longer_than_all_before)

    with Provider(after=dies) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=600.0)
        assert run(tmp_path, file) == 0
        asked = local.asked
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["ended"] == "done"
    assert "held: tier local: no connection" in said.err
    assert cloud.asked == 0, "escalated to a dearer tier because the cheap one was away"
    assert asked == 6, "a step that was paid was paid again"
    records = folder(tmp_path).records()
    assert {name: one.status for name, one in records.items()} == dict.fromkeys(TWO, "candidate")
    for one in records.values():
        (outcome,) = one.outcomes
        assert outcome.attempt.failure is None, "counted against the tier"
        assert outcome.attempt.trajectory.steps == 3
    own = sum(one.outcomes[0].attempt.seconds for one in records.values())
    assert own <= told["seconds"] - sum(missed), "its time limit ran while the provider was away"


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (None, "no connection"),
        ((503, {"error": {"message": "no backend"}}), "HTTP 503"),
        ((401, {"error": {"message": "Incorrect API key provided"}}), "key refused"),
        ((403, {"error": {"message": "not allowed"}}), "key refused"),
    ],
    ids=["nobody listens", "gateway without a server", "wrong key", "not allowed"],
)
def test_a_provider_that_stays_away_ends_the_run_with_what_is_owed(tmp_path, capsys, refusal, word):
    with Provider() as cloud, Provider(refuse=lambda n: refusal if n else None) as local:
        if refusal is None:
            local.after = lambda n: local.stop()
        file = preset(tmp_path, local.url, cloud.url, give_up=1.0)
        assert run(tmp_path, file) == 1
        said = capsys.readouterr()
        told = json.loads(said.out)
        assert told["ended"] == "infra"
        assert word in told["away"]["tier local"]["cause"]
        assert "tier local is given up" in said.err
        assert cloud.asked == 0
        run_folder = folder(tmp_path)
        assert not run_folder.records(), "recorded as tried"
        if refusal is not None:
            return
        # It is back: what is owed is done, and the step that was paid is not paid again.
        local.after = local.refuse = lambda n: None
        local.start()
        asked = local.asked
        assert main(["resume", str(run_folder.path)]) == 0
        assert local.asked - asked == 5
    spent = sum(r.usd for r in run_folder.records().values())
    assert sum(log_reader.read_ledger(run_folder.ledger_file).settled.values()) == spent
    assert len(run_folder.records()) == 2
    assert cloud.asked == 0


def test_a_hung_server_is_given_up_without_paying_for_its_silence_again(tmp_path, capsys):
    with Provider() as local, Provider() as cloud:
        local.after = lambda n: setattr(local, "hanging", True)
        file = preset(tmp_path, local.url, cloud.url, give_up=1.0)
        more = ["--set", "tiers.local.timeout=2.0"]
        assert run(tmp_path, file, *more) == 1
        local.hanging = False
    assert cloud.asked == 0
    assert local.asked <= 1 + 2, "each unanswered call may be billed"
    assert json.loads(capsys.readouterr().out)["ended"] == "infra"


def test_the_file_of_the_breaker_is_gone_after_a_run_that_ended_well(tmp_path):
    with Provider() as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=1.0)
        assert run(tmp_path, file) == 0
    assert not (folder(tmp_path).path / "breaker.json").exists()
