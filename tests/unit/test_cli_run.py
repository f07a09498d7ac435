"""What the command line leaves unsaid is the preset's to say."""

from __future__ import annotations

import pytest

from swe_router.cli.run_commands import run
from swe_router.errors import UsageError

TIER = """
[tiers.one]
dialect = "scripted"
model = "m"
window = 9000
attempt_usd = 0.1
price = "free"
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [('split = "nowhere.jsonl"', "nowhere"), ("budget = -3", "budget: .*greater than 0")],
)
def test_a_presets_split_and_budget_hold_when_no_flag_is_given(tmp_path, line, said):
    preset = tmp_path / "mine.toml"
    preset.write_text(line + TIER)
    with pytest.raises(UsageError, match=said):
        run(preset=str(preset), runs_folder=tmp_path)
    assert list(tmp_path.iterdir()) == [preset]
