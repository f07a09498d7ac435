"""A run begun under one release of the price list bills by it to its end."""

from __future__ import annotations

import copy
import json
from decimal import Decimal

import pytest
from genai_prices import data_snapshot, types

from swe_router.__main__ import main
from swe_router.instances import splits
from swe_router.journal.header import header_of_run
from swe_router.ledger import log_reader
from tests.doubles.served import Provider
from tests.stories.test_provider_away import folder

TWO = [one.id for one in splits.load_instances("demo")[:2]]
GONE = (401, {"error": {"message": "Incorrect API key provided"}})
CALLS = 3
"""Of an attempt, each of 100 prompt and 10 output tokens."""
PRESET = """
budget = 1
workers = 0
[tiers.cloud]
dialect = "openai"
model = "gpt-4.1"
base_url = "{url}"
window = 100000
max_output_tokens = 1000
attempt_usd = 0.45
retries = 0
[policy]
name = "cascade"
[verify]
names = ["applies"]
[breaker]
give_up_seconds = 0.5
refused_seconds = 0.5
first_wait = 0.05
longest_wait = 0.1
"""


def at_ten_times_the_price():
    """The list as an older release might have had it."""
    providers = copy.deepcopy(data_snapshot.get_snapshot().providers)
    (model,) = (
        m for one in providers if one.id == "openai" for m in one.models if m.id == "gpt-4.1"
    )
    model.prices = types.ModelPrice(
        input_mtok=Decimal(20), cache_read_mtok=Decimal(5), output_mtok=Decimal(80)
    )
    model.price_variants = None
    return data_snapshot.DataSnapshot(providers=providers, from_auto_update=False)


@pytest.fixture
def releases():
    yield data_snapshot.set_custom_snapshot
    data_snapshot.set_custom_snapshot(None)


def start(tmp_path, url):
    file = tmp_path / "one.toml"
    file.write_text(PRESET.format(url=url))
    where = ["--out", str(tmp_path / "runs"), "--sandbox", "local", "--unsafe", "--no-grade"]
    return main(
        ["run", *where, "--split", "demo", "-i", ",".join(TWO), "--preset", str(file), "--json"]
    )


def test_a_run_that_is_resumed_after_an_upgrade_of_the_price_list_bills_as_it_began(
    tmp_path, capsys, releases
):
    releases(at_ten_times_the_price())
    with Provider(refuse=lambda n: GONE if n > CALLS else None) as cloud:
        assert start(tmp_path, cloud.url) == 1
        run = folder(tmp_path)
        assert len(run.records()) == 1
        releases(None)
        cloud.refuse = lambda n: None
        assert main(["resume", str(run.path)]) == 0
    # 100 x 20 + 10 x 80 = 2800 millionths per call
    an_attempt = CALLS * Decimal("0.0028")
    assert [one.usd for one in run.records().values()] == [an_attempt, an_attempt]
    assert sum(log_reader.read_ledger(run.ledger_file).settled.values()) == 2 * an_attempt
    assert header_of_run(run).rates["cloud"].bands[0].input == 20
    capsys.readouterr()
    assert main(["replay", str(run.path)]) == 0
    assert "all as recorded" in capsys.readouterr().out
    assert main(["show", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usd"] == float(2 * an_attempt)


def test_a_run_that_is_begun_after_the_upgrade_bills_by_the_new_list(tmp_path, capsys, releases):
    releases(None)
    with Provider() as cloud:
        assert start(tmp_path, cloud.url) == 0
    # 100 x 2 + 10 x 8 = 280 millionths per call
    spent = [one.usd for one in folder(tmp_path).records().values()]
    assert spent == [CALLS * Decimal("0.00028")] * 2
