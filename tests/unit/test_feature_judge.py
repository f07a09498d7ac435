"""Ratings by a model: read strictly, paid once, never over the budget, and told to policies."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from swe_router.commands.features import extraction
from swe_router.commands.features.judge_ratings import IssueRater
from swe_router.errors import UsageError
from swe_router.features import feature_files, rubric
from swe_router.policies.rules.arch import chosen_route
from swe_router.settings import Settings, build

ROUTES = {"quick": "one function, clear cause", "deep": "several modules"}
GOOD = json.dumps({**dict.fromkeys(rubric.CRITERIA, 4), "route": "quick"})
ID = "demo__confet-3"


def settings(folder: Path, text: str) -> Settings:
    (folder / f"{ID}.toml").write_text(f"[[step]]\nraw = '''{text}'''\n")
    tier = {
        "dialect": "scripted", "model": "rater", "window": 100_000, "attempt_usd": 1,
        "price": {"input": 1, "output": 1}, "options": {"recordings": str(folder)},
    }  # fmt: skip
    return build({"tiers": {"rater": tier}})


def rate(
    tmp_path: Path, text: str, budget: str = "1", **routes: str
) -> tuple[IssueRater, list[str]]:
    said: list[str] = []
    judge = IssueRater(
        settings(tmp_path, text), "rater",
        budget=Decimal(budget), folder=tmp_path / "f.judge", model_routes=routes, say=said.append,
    )  # fmt: skip
    out = tmp_path / "f.jsonl"
    extraction.make_features(
        "demo",
        out,
        repos="",
        instance_ids=[ID],
        id_pattern="",
        id_slice="",
        say=said.append,
        judge=judge,
    )
    return judge, said


def test_ratings_reach_the_file_with_their_source_and_are_paid_once(tmp_path: Path) -> None:
    first, _ = rate(tmp_path, GOOD, **ROUTES)
    (row,) = feature_files.read_features(tmp_path / "f.jsonl")
    assert row.values["judge.weak_rating"] == 4.0
    assert row.provenance["judge.weak_rating"] == "judge"
    assert chosen_route(row) == "quick"
    assert row.values["complexity"] > 0
    assert first.spent_usd > 0
    second, _ = rate(tmp_path, "never asked again", **ROUTES)
    assert second.spent_usd == first.spent_usd
    assert feature_files.read_features(tmp_path / "f.jsonl") == [row]


def test_another_rubric_or_route_is_asked_anew(tmp_path: Path) -> None:
    rate(tmp_path, GOOD, **ROUTES)
    judge, said = rate(tmp_path, "no JSON", other="elsewhere")
    assert judge.counts == {"unrated": 1}
    assert any("no JSON object" in line for line in said)


def test_the_budget_is_never_passed_and_the_row_stays(tmp_path: Path) -> None:
    judge, said = rate(tmp_path, GOOD, budget="0.000001")
    assert judge.spent_usd == 0
    assert any("no more issues are rated" in line for line in said)
    (row,) = feature_files.read_features(tmp_path / "f.jsonl")
    assert not any(name.startswith("judge.") for name in row.values)


def test_an_unknown_tier_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rater"):
        IssueRater(settings(tmp_path, GOOD), "ratr", budget=Decimal(1), folder=tmp_path / "p",
              model_routes={}, say=str)  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "", "[]", "{", "3", '{"weak_rating": 3}', GOOD.replace("4", "9"), GOOD.replace("4", '"4"'),
        GOOD.replace("4", "true"), GOOD.replace("4", "NaN"), GOOD.replace("quick", "slow"),
        "{" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_rating_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r"must be|holds no"):
        rubric.parse_ratings(answer, list(ROUTES))


def test_prose_around_the_object_is_no_fault() -> None:
    assert (
        rubric.parse_ratings(f"Here:\n```json\n{GOOD}\n```", list(ROUTES))["judge.route.quick"]
        == 1.0
    )
