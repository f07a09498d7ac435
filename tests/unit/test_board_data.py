"""Known results on the real development data; skipped where it is not."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from swe_router.features.extraction_steps import extract_features
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.records import Instance

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
OUTCOMES, ISSUES = DATA / "outcomes_mini_dev.csv.gz", DATA / "verified_dev.parquet"
pytestmark = pytest.mark.skipif(not OUTCOMES.exists(), reason="the development data is not here")


@pytest.fixture(scope="module")
def known():
    with gzip.open(OUTCOMES, "rt") as file:
        rows = tuple(
            OutcomeRow(
                r["instance_id"], r["system"], r["resolved"] == "1", usd=float(r["cost_usd"])
            )
            for r in csv.DictReader(file)
            if r["cost_usd"] and ("deepseek-v3.2" in r["system"] or "sonnet-4-5" in r["system"])
        )
    columns = ["instance_id", "repo", "problem_statement", "base_commit"]
    issues = [
        extract_features(Instance(id=r["instance_id"], repo=r["repo"], base_commit=r["base_commit"],
                         problem=r["problem_statement"]), None)
        for r in pq.read_table(ISSUES, columns=columns).to_pylist()
    ]  # fmt: skip
    return OutcomeTable(rows, "dev"), issues


def rows_of(known, *policies, **more):
    asked = BoardRequest(
        verifier_model.parse_verifier_model("hybrid"),
        "deepseek",
        "sonnet",
        policies=policies,
        bootstraps=2000,
        curves=False,
        **more,
    )
    return {row["policy"].split("_")[-1]: row for row in leaderboard_rows(*known, asked)["rows"]}


def test_baselines_oracles_cascade_and_a4_are_as_computed_apart(known):
    table, _ = known
    rows = rows_of(known, "fixed", "cascade", "doc-a4")
    y = {w: np.array([table.runs[(i, table.system_named(w))][0].resolved for i in table.instances])
         for w in ("deepseek", "sonnet")}  # fmt: skip
    assert rows["deepseek-v3.2-reasoner"]["resolved"] == y["deepseek"].sum() == 172
    assert rows["sonnet-4-5-20250929"]["resolved"] == y["sonnet"].sum() == 208
    assert rows["oracle"]["resolved"] == (y["deepseek"] | y["sonnet"]).sum() == 223
    assert rows["cascade"]["verdict"] == "above hull"
    assert rows["cascade"]["hull_margin_repo_low"] > 0
    assert rows["doc-a4"]["hull_margin_low"] <= 0


def test_ration_outlives_a_greedy_cascade_under_a_hard_cap(known):
    pace = Decimal(50) * len(known[1]) / 500
    rows = rows_of(known, "cascade", "ration", budget=pace, replicates=6)
    assert rows["ration"]["rate"] >= 0.6
    assert rows["cascade"]["rate"] < rows["ration"]["rate"] - 0.15
    assert rows["ration"]["most_spent"] <= float(pace)
