"""What a handed-over start costs in a replay: to the nano-dollar, within the cap, never guessed."""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.simulation.handover_cost import Unpriced, last_prompt, reread
from swe_router.outcomes.simulation.simulate import play
from swe_router.outcomes.simulation.stage import build_simulation
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.policies.cascade import Cascade
from swe_router.prices import rate_for
from swe_router.reports.board_table import leaderboard_view
from tests.doubles.recorded import features, table

MODEL, DAY = "claude-sonnet-4-5-20250929", "2025-10-01"
BAND = rate_for(MODEL, on=datetime.date.fromisoformat(DAY)).bands[0]
TOKENS = st.integers(0, 90_000)


def run(**fields) -> OutcomeRow:
    base = {"model": MODEL, "price_date": DAY, "usd": 0.5, "steps": 10, "input_tokens": 50_000}
    return OutcomeRow("o__r-1", "s", True, **{**base, **fields})


def told(known: OutcomeTable) -> OutcomeTable:
    """The made-up table with what pricing needs."""
    rows = (replace(r, model=MODEL, price_date=DAY, input_tokens=9000 * (r.steps or 0))
            for r in known.rows)  # fmt: skip
    return OutcomeTable(tuple(rows), known.source)


def asked(*policies: str, **more) -> BoardRequest:
    return BoardRequest(
        channel=verifier_model.parse_verifier_model("hybrid"),
        weak="cheap",
        strong="strong",
        policies=policies,
        bootstraps=100,
        **more,
    )


def rows_of(facts):
    return {row["policy"]: row for row in facts["rows"]}


@given(prompt=TOKENS, read=st.none() | TOKENS, steps=st.integers(1, 80), later=st.integers(1, 80))
def test_every_call_of_the_later_run_reads_the_prefix_and_pays_for_it(prompt, read, steps, later):
    earlier = run(input_tokens=prompt, cache_read_tokens=read, steps=steps)
    total = prompt + (read or 0)
    prefix = last_prompt(earlier)
    assert prefix <= total
    assert prefix == min(total, -(-2 * total // steps))
    paid = reread(earlier, run(steps=later, cache_read_tokens=5), "continue")
    exact = prefix * (BAND.input + (later - 1) * BAND.cache_read) / 1_000_000
    assert exact <= paid <= exact + later * Decimal("1e-9")
    bare = reread(earlier, run(steps=later, cache_read_tokens=0), "continue")
    exact = prefix * later * BAND.input / 1_000_000
    assert exact <= bare <= exact + later * Decimal("1e-9")


@given(more=TOKENS)
def test_a_longer_conversation_is_never_cheaper_to_go_on_from_and_notes_cost_the_same(more):
    short, long = run(), run(input_tokens=50_000 + more)
    assert reread(long, run(), "continue") >= reread(short, run(), "continue")
    assert reread(long, run(), "notes") == reread(short, run(), "notes") > 0
    assert reread(long, run(), "fresh") == 0


@pytest.mark.parametrize(
    ("earlier", "later", "missing"),
    [
        (run(input_tokens=None), run(), "prompt tokens of s on o__r-1"),
        (run(steps=None), run(), "prompt tokens"),
        (run(), run(steps=None), "calls of s"),
        (run(), run(model=""), "model of s"),
        (run(), run(price_date=""), "day of the prices"),
        (run(), run(model="nobody-knows-it"), "no price of nobody-knows-it on 2025-10-01"),
    ],
)
def test_what_is_not_known_is_named_and_not_guessed(earlier, later, missing):
    with pytest.raises(Unpriced, match=f"tokens/price: .*{missing}"):
        reread(earlier, later, "continue")


def test_a_row_costs_the_fresh_one_and_the_prefixes_and_says_whose_quality_it_has():
    known = told(table())
    names = ("cascade", "cascade+notes", "cascade+continue")
    rows = rows_of(leaderboard_rows(known, features(known), asked(*names)))
    fresh, notes, going_on = (rows[name] for name in names)
    assert fresh["rate"] == notes["rate"] == going_on["rate"]
    assert fresh["usd"] < notes["usd"] < going_on["usd"]
    assert going_on["verdict"].startswith("surrogate: a fresh run's quality")
    assert going_on["knobs"]["handover"] == "continue"
    assert fresh["surrogate"] is None
    runs = {(r.instance_id, r.system): r for r in known.rows}
    gate = verifier_model.parse_verifier_model("hybrid")
    extra = sum(
        (1 - gate.passes(runs[(i, "cheap")]))
        * float(reread(runs[(i, "cheap")], runs[(i, "strong")], "continue"))
        for i in known.instances
    )
    assert going_on["usd"] - fresh["usd"] == pytest.approx(extra)


def test_without_tokens_the_row_is_unavailable_and_says_what_it_needs():
    known = table()
    rows = rows_of(leaderboard_rows(known, features(known), asked("cascade", "cascade+continue")))
    assert rows["cascade+continue"]["verdict"].startswith("unavailable: needs tokens/price")
    assert rows["cascade+continue"]["usd"] is None
    assert rows["cascade"]["usd"] is not None


def test_the_default_board_has_the_modes_and_one_that_was_asked_for_alone_has_not():
    known = told(table(n=12))
    assert set(rows_of(leaderboard_rows(known, features(known), asked("cascade")))) & {
        "cascade+notes", "cascade+continue"} == set()  # fmt: skip
    everything = BoardRequest(
        channel=verifier_model.parse_verifier_model("hybrid"),
        weak="cheap",
        strong="strong",
        bootstraps=100,
        curves=False,
    )
    assert {"cascade+notes", "cascade+continue"} <= set(
        rows_of(leaderboard_rows(known, features(known), everything))
    )


def test_a_policy_that_hands_nothing_over_says_so():
    known = told(table(n=12))
    rows = rows_of(
        leaderboard_rows(known, features(known), asked("cascade", "fixed+notes", "cascade+more"))
    )
    assert "there is no knob 'handover'" in rows["fixed+notes"]["verdict"]
    assert "'handover'" in rows["cascade+more"]["verdict"]


@given(cap=st.decimals("0.5", "20", places=2), mode=st.sampled_from(["notes", "continue"]))
def test_no_world_spends_over_its_cap_prefixes_included(cap, mode):
    known = told(table(n=10))
    on = build_simulation(
        known, ["cheap", "strong"], features(known), verifier_model.parse_verifier_model("hybrid")
    )
    played = play(Cascade(on.ladder, handover=mode), on, budget=cap, replicates=3)
    assert played.max_spent_usd <= float(cap) + 1e-9


def test_two_modes_are_two_policies():
    known = told(table(n=12))
    on = build_simulation(
        known, ["cheap", "strong"], features(known), verifier_model.parse_verifier_model("hybrid")
    )
    one, two = (play(Cascade(on.ladder, handover=m), on) for m in ("fresh", "continue"))
    assert one.signature != two.signature
    again = play(Cascade(on.ladder), on)
    assert again.signature == one.signature


def test_the_board_says_what_a_cache_read_and_saved_where_the_rows_tell():
    """10,000 of 40,000 tokens read: each saves the price of input less that of reading."""
    rows = (
        replace(row, model=MODEL, price_date=DAY, input_tokens=30_000, cache_read_tokens=10_000)
        for row in table().rows
    )
    known = OutcomeTable(tuple(rows), "made")
    facts = leaderboard_rows(known, features(known), asked("cascade"))
    saved = float(10_000 * (BAND.input - BAND.cache_read) / 1_000_000)
    for rung in facts["ladder"]:
        assert rung["cache"]["share"] == 0.25
        assert rung["cache"]["saved_usd_per_issue"] == pytest.approx(saved)
    console = Console(width=200)
    with console.capture() as got:
        console.print(leaderboard_view({**facts, "table": "made"}))
    assert "25% read from a cache, $0.027 saved" in " ".join(got.get().split())
    unpriced = OutcomeTable(tuple(replace(one, price_date="") for one in known.rows), "made")
    bare = leaderboard_rows(unpriced, features(unpriced), asked("cascade"))["ladder"]
    assert bare[0]["cache"] == {"share": 0.25, "saved_usd_per_issue": None}
    untold = leaderboard_rows(table(), features(table()), asked("cascade"))["ladder"]
    assert untold[0]["cache"] is None, "an unknown share is not 0"
