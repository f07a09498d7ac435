"""Faults planted in sound tables are found, and sound tables are let pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from swe_router.outcomes.auditing import cells, published_rates
from swe_router.outcomes.auditing.audit import audit
from swe_router.outcomes.auditing.consensus import auc
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, write_table

N, SYSTEMS = 240, 9


def sound(seed: int = 0, systems: int = SYSTEMS, name: str = "s") -> OutcomeTable:
    """Systems of rising skill on instances of rising ease (a Rasch model), with costs."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(7).normal(0, 3.5, N)
    rows = []
    for number in range(systems):
        odds = 1 / (1 + np.exp(-(ease + number / 3 - 1)))
        won = rng.random(N) < odds
        usd = np.exp(rng.normal(-2, 0.5, N))
        rows += [
            OutcomeRow(
                f"django__django-{i}", f"{name}{number}", bool(won[i]), usd=float(usd[i]), steps=9
            )
            for i in range(N)
        ]
    return OutcomeTable(tuple(rows), name)


def changed(table: OutcomeTable, system: str, change) -> OutcomeTable:
    return replace(
        table, rows=tuple(change(r) if system in ("", r.system) else r for r in table.rows)
    )


def shuffle(seed: int):
    to = np.random.default_rng(seed).permutation(N)
    return lambda row: replace(
        row, instance_id=f"django__django-{to[int(row.instance_id.rsplit('-', 1)[1])]}"
    )


def refused(found) -> set[tuple[str, str]]:
    return {(one.check, one.system) for one in found.findings if one.severity == "refuse"}


def warned(found) -> set[tuple[str, str]]:
    return {(one.check, one.system) for one in found.findings if one.severity == "warn"}


def test_a_sound_table_passes():
    assert audit(sound(), reference=sound(1, 4, "other")).verdict == "pass"


def test_the_system_whose_ids_are_permuted_is_refused_and_no_other():
    assert refused(audit(changed(sound(), "s4", shuffle(1)))) == {("permuted-ids", "s4")}


def test_a_table_whose_systems_are_each_permuted_is_refused_as_a_whole():
    table = sound()
    for number in range(SYSTEMS):
        table = changed(table, f"s{number}", shuffle(number))
    assert ("permuted-ids", "") in refused(audit(table))


def test_a_table_permuted_for_all_systems_alike_is_refused_by_another_table():
    table = changed(sound(), "", shuffle(3))
    assert refused(audit(table)) == set()
    assert refused(audit(table, reference=sound(1, 4, "other"))) == {("permuted-ids", "")}


def test_a_column_at_a_tenth_of_its_rate_is_refused_by_the_published_rate(tmp_path):
    keep = {f"django__django-{i}" for i in range(0, N, 10)}
    table = changed(sound(), "s8", lambda r: replace(r, resolved=r.instance_id in keep))
    told = tmp_path / "published.csv"
    told.write_text("system,resolved,n\nS8,400,500\ns2,31,100\n")
    found = audit(table, published=published_rates.read_published_rates(told))
    assert ("published-rate", "s8") in refused(found)
    assert not any(check == "published-rate" for check, system in refused(found) if system != "s8")
    assert ("permuted-ids", "s8") in refused(found), "random verdicts agree with nobody"


def test_published_rates_are_read_from_a_leaderboard_file(tmp_path):
    tree = {
        "leaderboards": [{"name": "b", "results": [{"name": "M", "folder": "f", "resolved": 52.8}]}]
    }
    path = tmp_path / "leaderboards.json"
    path.write_text(json.dumps(tree))
    assert published_rates.read_published_rates(path) == {"f": 0.528, "M": 0.528}


@pytest.mark.parametrize(
    ("system", "name", "compared"),
    [
        ("mini:gpt-5", "GPT-5", True),
        ("mini:gpt-5-2025-08-07", "GPT-5", True),
        ("mini:gpt-5-mini", "GPT-5", False),
    ],
)
def test_a_published_rate_is_held_against_its_own_model_only(system, name, compared):
    table = OutcomeTable(tuple(OutcomeRow(f"a__b-{i}", system, i % 2 == 0) for i in range(40)))
    found = {
        (one.severity, one.system) for one in published_rates.rate_findings(table, {name: 0.99})
    }
    assert found == {("refuse", system) if compared else ("warn", "")}


def test_a_system_that_solves_three_easy_instances_is_not_refused():
    table = sound()
    easy = [r.instance_id for r in table.rows if r.system == "s0" and r.resolved][:3]
    few = changed(table, "s0", lambda r: replace(r, resolved=r.instance_id in easy))
    assert refused(audit(few)) == set()


@pytest.mark.parametrize(
    ("change", "severity", "check"),
    [
        (lambda r: replace(r, resolved=True), "refuse", "constant"),
        (lambda r: replace(r, resolved=False), "warn", "constant"),
        (lambda r: replace(r, usd=0.5), "warn", "constant"),
        (lambda r: replace(r, usd=0.0), "refuse", "zero-costs"),
        (lambda r: replace(r, usd=0.0 if r.resolved else r.usd), "warn", "zero-costs"),
        (lambda r: replace(r, usd=None), "warn", "missing-costs"),
        (lambda r: replace(r, steps=0), "refuse", "impossible"),
        (
            lambda r: replace(r, usd=500.0 if r.instance_id.endswith("-17") else r.usd),
            "warn",
            "cost-outliers",
        ),
    ],
)
def test_a_fault_in_a_column_is_named_with_its_system(change, severity, check):
    found = audit(changed(sound(), "s3", change))
    assert (check, "s3") in (refused(found) if severity == "refuse" else warned(found))
    assert not any(system not in ("", "s3") for _, system in refused(found) | warned(found))


def test_costs_at_the_prices_of_two_days_are_warned_of():
    table = changed(sound(), "", lambda r: replace(r, price_date="2025-01-01"))
    assert audit(table).verdict == "pass"
    mixed = changed(table, "s1", lambda r: replace(r, price_date="2025-02-01"))
    assert warned(audit(mixed)) == {("price-dates", "")}


def test_ids_of_no_benchmark_or_of_another_split_are_told():
    table = changed(sound(), "s1", lambda r: replace(r, instance_id=r.instance_id.upper() + "x"))
    assert ("ids", "") in warned(audit(table))
    assert ("ids", "") in refused(audit(sound(), known_ids={"django__django-1"}))


def test_a_copied_column_is_a_duplicate():
    table = sound()
    copy = tuple(replace(r, system="copy") for r in table.rows if r.system == "s5")
    found = audit(replace(table, rows=table.rows + copy))
    assert any(check == "duplicates" for check, _ in warned(found))


def test_broken_and_repeated_lines_are_findings_and_not_the_end(tmp_path: Path):
    path = tmp_path / "t.csv"
    write_table(sound(), path)
    text = path.read_text()
    line = text.splitlines()[1]
    path.write_text(
        f"{text}{line}\ndjango__django-999,s1,1,1,,-3,,,,,,,,\ndjango__django-998,s1,2,1\n"
    )
    table, found = cells.read_with_findings(path)
    assert len(table.rows) == N * SYSTEMS
    assert {one.check for one in found if one.severity == "refuse"} == {"impossible", "duplicates"}


def test_the_auc_is_that_of_all_pairs():
    rng = np.random.default_rng(5)
    won, score = (rng.random(60) < 0.4).astype(float), rng.integers(0, 6, 60) / 5
    pairs = [float(a > b) + 0.5 * float(a == b) for a in score[won == 1] for b in score[won == 0]]
    assert auc(won, score)[0] == pytest.approx(sum(pairs) / len(pairs))
