"""docs/verifiers.md: its example loads, its knobs are those there are, its prompts ship."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from swe_router import plugins, recorded_verdicts, settings
from swe_router.verifier_abilities import traits_of
from swe_router.verifiers.rubric_check import RubricKnobs
from swe_router.verifiers.summary_bracket import BracketKnobs
from swe_router.verifiers.tournament import CRITERIA, TournamentKnobs

TEXT = (Path(__file__).parents[2] / "docs" / "verifiers.md").read_text(encoding="utf-8")
KNOBS = {"rubric": RubricKnobs, "tournament": TournamentKnobs, "summary-bracket": BracketKnobs}


def test_the_example_loads_and_names_every_tier_that_is_asked(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    tiers = {"strong", "cheap", "local"}
    made = "".join(
        f'[tiers.{name}]\ndialect = "vllm"\nmodel = "m"\nwindow = 9000\nattempt_usd = 1\n'
        for name in sorted(tiers)
    )
    file = tmp_path / "mine.toml"
    file.write_text(f"budget = 1\n{made}{example}")
    verify = settings.load(str(file)).verify
    assert tomllib.loads(example)["verify"]["names"][-1] == "acceptance"
    assert recorded_verdicts.asked_tiers(verify) == {
        "rubric": ("strong", "cheap"), "tournament": ("local",),
    }  # fmt: skip
    for name in verify.names:
        plugins.load_plugin("verifiers", name)(verify)


@pytest.mark.parametrize("name", KNOBS)
def test_the_knobs_in_the_text_are_those_there_are(name: str) -> None:
    listed = TEXT[TEXT.index("Knobs (`verify.knobs") :]
    part = listed[listed.index(f"`{name}`: ") + len(f"`{name}`: ") :]
    part = re.split(r"[;.]\s", part.replace("\n", " "), maxsplit=1)[0]
    assert set(re.findall(r"`([a-z_]+)`", part)) - set(CRITERIA) == set(KNOBS[name].model_fields)


@pytest.mark.parametrize("name", KNOBS)
def test_each_is_named_in_the_table_with_the_roles_that_it_asks(name: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
    asks = traits_of(recorded_verdicts.verifier_named(name)).asks or {}
    for role in asks:
        assert f"`{role}`" in row
    assert name not in settings.VerifySettings().names, "none of them is in the default stack"
