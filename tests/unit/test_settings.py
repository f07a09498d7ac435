"""Settings: each bad key or value gets one line that names the key the user wrote."""

from __future__ import annotations

import pytest

from swe_router import settings
from swe_router.errors import UsageError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tiers.o3.modle=x", "'tiers.o3.modle'; did you mean 'tiers.o3.model'?"),
        ("tiers.lokal.model=x", "there is no tier 'lokal'; did you mean 'tiers.local'?"),
        ("prices.usd_per_gpuhour=1", "did you mean 'prices.usd_per_gpu_hour'?"),
        ("tiers.o3.price.inptu=1", "'tiers.o3.price.inptu'; did you mean 'tiers.o3.price.input'?"),
        ("tiers.o3.price.input=-1", "tiers.o3.price.input: Input should be greater than or equal"),
        (
            "tiers.o3.price=fre",
            "tiers.o3.price: Input should be 'free', 'table', 'gpu-hour' or 'owned'",
        ),
        ("tiers.o3.timeout=inf", "tiers.o3.timeout: Input should be a finite number"),
        ("tiers.o3.model=", "tiers.o3.model: "),
        ("tiers.brandnew.model=x", "tiers.brandnew.dialect is missing"),
        ("tiers=5", "tiers: Input should be a valid dictionary"),
        ("tiers..model=x", "write it as a.b=value"),
        ('verify.names=["applies","applies"]', "verify.names: applies is named twice"),
    ],
)
def test_a_bad_setting_is_named_as_the_user_wrote_it(given, said):
    with pytest.raises(UsageError) as caught:
        settings.load("hybrid", sets=[given])
    assert said in str(caught.value)
    assert "Price" not in str(caught.value)
    assert "literal[" not in str(caught.value)


@pytest.mark.parametrize("name", ["qwen/7b", "..", "a b", "overhead"])
def test_a_tier_whose_name_no_file_or_ledger_can_bear_is_refused(name):
    new = f'tiers."{name}"={{dialect="vllm",model="m",window=9,attempt_usd=1}}'
    with pytest.raises(UsageError, match=name):
        settings.load("hybrid", sets=[new])


def test_a_tier_whose_name_holds_a_dot_can_be_overridden():
    new = 'tiers."gpt-5.5"={dialect="openai",model="gpt-5.5",window=9,attempt_usd=1}'
    tiers = settings.load("hybrid", sets=[new, 'tiers."gpt-5.5".window=99']).tiers
    assert tiers["gpt-5.5"].window == 99


def test_a_temperature_that_no_provider_takes_is_refused_before_a_run():
    for wrong in ("-1", "9"):
        with pytest.raises(UsageError, match=r"ensemble\.temperatures"):
            settings.load("demo", sets=[f"ensemble.temperatures=[{wrong}]"])
