"""Each form that others write, in small: what is read, and that a missing cost stays missing."""

from __future__ import annotations

import datetime
import json
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.errors import UsageError
from swe_router.outcomes.importers import run_folders
from swe_router.outcomes.importers.forms import IMPORTERS_BY_FORM, REPEATED_ROW, gather
from swe_router.outcomes.importers.gathering import NO_PRICE, NO_VERDICT, ImportOptions
from swe_router.outcomes.importers.report_files import reported_verdicts
from swe_router.outcomes.tables.shipped import shipped_table
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, read_tidy_table, write_table
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    Candidate,
    Failure,
    Features,
    Grade,
    Instance,
    Outcome,
    Plan,
    RunRecord,
    Trajectory,
    Usage,
    Verdict,
)

A, B, C = "django__django-1", "django__django-2", "sympy__sympy-3"


def put(path: Path, tree: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def rows_of(form: str, path: Path, **said):
    made = gather(IMPORTERS_BY_FORM[form], [path], ImportOptions(**said))
    return {row.instance_id: row for row in made.table.rows}, made


words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
amounts = st.none() | st.floats(0, 1e9)
counts = st.none() | st.integers(0, 10**9)
rows = st.builds(
    OutcomeRow, instance_id=words, system=words, resolved=st.booleans(), run=words,
    model=words | st.just(""), usd=amounts, input_tokens=counts, cache_read_tokens=counts,
    cache_write_tokens=counts, output_tokens=counts, steps=counts, seconds=amounts,
    verdict=st.sampled_from(("", "pass", "fail", "unknown")),
    price_date=st.sampled_from(("", "2025-09-11")),
)  # fmt: skip
tables = st.lists(rows, max_size=3, unique_by=lambda r: (r.instance_id, r.system, r.run))


@settings(max_examples=20, deadline=None)
@given(tables, st.sampled_from(("t.csv", "t.csv.gz")))
def test_a_written_table_is_read_back_whole(made, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_table(OutcomeTable(tuple(made)), path)
        assert read_tidy_table(path).rows == tuple(made)


def mini_folder(tmp_path: Path) -> Path:
    def trajectory(cost, calls, usages):
        messages = [
            {"role": "assistant", "extra": {"timestamp": 10 * n, "response": {"usage": usage}}}
            for n, usage in enumerate(usages)
        ]
        stats = {"instance_cost": cost, "api_calls": calls}
        info = {"model_stats": stats, "config": {"model": {"model_name": "gpt-4o-mini"}}}
        return {"info": info, "messages": messages}

    use = {"prompt_tokens": 100, "completion_tokens": 7,
           "prompt_tokens_details": {"cached_tokens": 60}}  # fmt: skip
    folder = tmp_path / "run"
    put(folder / A / f"{A}.traj.json", trajectory(0.5, 2, [use, use]))
    put(folder / B / f"{B}.traj.json", trajectory(0.0, 2, [use]))
    put(folder / "preds.json", {C: {"model_name_or_path": "m", "model_patch": ""}})
    return folder


def test_mini_runs_keep_cost_calls_and_tokens_and_a_cost_of_0_is_unknown(tmp_path):
    report = put(tmp_path / "r.json", {"resolved_ids": [A], "unresolved_ids": [B]})
    found, made = rows_of("mini", mini_folder(tmp_path), reports=report)
    assert found[A] == OutcomeRow(
        A, "run", True, model="gpt-4o-mini", usd=0.5, input_tokens=80, cache_read_tokens=120,
        output_tokens=14, steps=2, seconds=10,
    )  # fmt: skip
    assert found[B].usd is None
    assert found[B].output_tokens is None, "tokens of one call of two"
    assert made.left_out == {NO_PRICE: 1, NO_VERDICT: 1}


def test_a_run_without_official_verdicts_is_refused_and_the_option_named(tmp_path):
    with pytest.raises(UsageError, match="--reports"):
        rows_of("mini", mini_folder(tmp_path))


def test_swe_agent_runs_take_the_model_from_the_replay_config(tmp_path):
    stats = {"instance_cost": 0, "tokens_sent": 2_000_000, "tokens_received": 1_000_000,
             "api_calls": 9}  # fmt: skip
    config = json.dumps({"agent": {"model": {"name": "openai/gpt-4o-mini"}}})
    put(tmp_path / A / f"{A}.traj", {"info": {"model_stats": stats}, "replay_config": config})
    put(tmp_path / "results.json", {"resolved": [A]})
    found, _ = rows_of("swe-agent", tmp_path)
    assert (found[A].usd, found[A].model, found[A].steps) == (None, "openai/gpt-4o-mini", 9)
    day = datetime.date(2025, 9, 11)
    priced, _ = rows_of("swe-agent", tmp_path, prices_at=day)
    assert priced[A].usd == pytest.approx(2 * 0.15 + 0.60)
    assert priced[A].price_date == "2025-09-11"


def test_tokens_of_a_model_without_a_price_stay_without_a_cost(tmp_path):
    path = put(tmp_path / "t.csv", "instance_id,system,resolved,input_tokens,output_tokens\n"
               f"{A},nobodys-model-x,1,1000,10\n")  # fmt: skip
    found, made = rows_of("csv", path, prices_at=datetime.date(2025, 9, 11))
    assert found[A].usd is None
    assert "nobodys-model-x" in made.remarks[0]


def leaderboards(tmp_path: Path) -> Path:
    def one(name, rate, cells):
        return {"name": name.title(), "folder": name, "resolved": rate,
                "per_instance_details": cells}  # fmt: skip

    good = {A: {"resolved": True, "cost": 0.1, "api_calls": 3},
            B: {"resolved": False, "cost": None, "api_calls": 3},
            C: {"resolved": False, "cost": 0.0, "api_calls": 5}}  # fmt: skip
    bare = {"name": "m3", "per_instance_details": None}
    results = [one("m1", 33.3, good), one("m2", 66.7, good), bare]
    boards = [{"name": "bash-only", "results": results}]
    return put(tmp_path / "leaderboards.json", {"leaderboards": boards})


def test_a_file_of_several_systems_keeps_them_apart_and_its_own_rate_is_held_against_it(tmp_path):
    made = gather(IMPORTERS_BY_FORM["per-instance"], [leaderboards(tmp_path)], ImportOptions())
    assert made.table.systems == ("m1", "m2")
    assert [row.usd for row in made.table.rows if row.system == "m1"] == [0.1, None, None]
    assert any(line.startswith("m2: its 3 instances are 33.3%") for line in made.remarks)
    assert not any(line.startswith("m1") for line in made.remarks)


def test_a_bare_details_file_is_one_system(tmp_path):
    path = put(tmp_path / "gpt.json", {A: {"resolved": 1, "cost": 0.25, "api_calls": 4}})
    found, _ = rows_of("per-instance", path)
    assert found[A] == OutcomeRow(A, "gpt", True, usd=0.25, steps=4)


def test_an_experiments_folder_counts_what_is_predicted_and_not_resolved(tmp_path):
    folder = tmp_path / "verified" / "20250101_x"
    put(folder / "results" / "results.json", {"resolved": [A], "no_generation": [C]})
    put(folder / "all_preds.jsonl", json.dumps({"instance_id": B, "model_name_or_path": "m"}))
    put(folder / "per_instance_details.json", {A: {"cost": 0.3, "api_calls": 2}})
    found, _ = rows_of("experiments", tmp_path / "verified")
    assert {name: row.resolved for name, row in found.items()} == {A: True, B: False, C: False}
    assert (found[A].system, found[A].usd, found[B].usd) == ("20250101_x", 0.3, None)


def test_any_csv_is_read_by_the_names_of_its_columns(tmp_path):
    path = put(tmp_path / "t.csv", "task,agent,won,cost_usd,calls\n"
               f"{A},x,True,0.2,3.0\n{B},x,False,0,4\n{C},x,,0.1,1\n")  # fmt: skip
    found, made = rows_of("csv", path, columns={"instance_id": "task", "resolved": "won"})
    assert found[A] == OutcomeRow(A, "x", True, usd=0.2, steps=3)
    assert found[B].usd is None
    assert made.left_out == {NO_VERDICT: 1, NO_PRICE: 1}
    with pytest.raises(UsageError, match="--map instance_id=COLUMN"):
        rows_of("csv", path)


def test_a_second_path_holds_repeats_and_the_same_file_twice_does_not(tmp_path):
    cells = {A: {"resolved": True, "cost": 0.1, "api_calls": 3}}
    one, two = put(tmp_path / "1.json", cells), put(tmp_path / "2.json", cells)
    again = gather(IMPORTERS_BY_FORM["per-instance"], [one, two], ImportOptions(system="s"))
    assert (len(again.table.rows), again.left_out) == (1, {REPEATED_ROW: 1})
    cells[A]["cost"] = 0.2
    put(two, cells)
    made = gather(IMPORTERS_BY_FORM["per-instance"], [one, two], ImportOptions(system="s"))
    assert [row.run for row in made.table.rows] == ["1", "2"]


def test_an_evaluation_that_broke_is_no_verdict(tmp_path):
    tree = {"resolved_ids": [A], "unresolved_ids": [B], "error_ids": [C], "empty_patch_ids": []}
    assert reported_verdicts(put(tmp_path / "r.json", tree)) == {A: True, B: False}
    put(tmp_path / "logs" / A / "report.json", {A: {"resolved": True}})
    put(tmp_path / "logs" / f"{B}.report.json", {"resolved": False})
    assert reported_verdicts(tmp_path / "logs") == {A: True, B: False}


def outcome(number: int, tier: str, patch: str, said: str, failure: Failure | None = None):
    plan = Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(1)))
    path = Trajectory(exit="submitted", steps=4, usage=Usage(input_tokens=9, output_tokens=2),
                      usd=Decimal("0.25"))  # fmt: skip
    made = Attempt(
        id=f"{number}-{tier}", instance_id=A, plan=plan, trajectory=path, failure=failure
    )
    candidate = Candidate(attempt_id=made.id, patch=patch, digest=f"digest of {patch}")
    verdict = Verdict(candidate=candidate.digest, verifier="v", outcome=said)
    return Outcome(attempt=made, candidate=candidate, verdicts=(verdict,))


def test_a_run_gives_rows_only_where_the_very_patch_was_graded():
    weather = Failure(kind="Lost", boundary="sandbox", message="", retry=True, counts=False)
    record = RunRecord(
        run="r", instance=Instance(id=A, repo="d/d", base_commit="c", problem="p"),
        features=Features(instance_id=A), decisions=(), chosen="4-big", status="candidate",
        usd=Decimal("1.25"),
        outcomes=(outcome(1, "small", "other", "fail"), outcome(2, "small", "", "fail"),
                  outcome(3, "small", "", "fail", weather), outcome(4, "big", "won", "pass"),
                  outcome(5, "big", "won", "unknown")),
    )  # fmt: skip
    grade = Grade(instance_id=A, outcome="resolved", patch="digest of won")
    day = datetime.date(2026, 1, 2)
    made = run_folders.rows_of_run({A: record}, {A: grade}, system="mine", models={"big": "opus"},
                     priced_on={"big": day, "small": day})  # fmt: skip
    told = [(r.system, r.run, r.resolved, r.usd, r.verdict, r.model) for r in made.rows]
    assert told == [
        ("mine", "1", True, 1.25, "pass", ""),
        ("small", "1", False, 0.25, "fail", ""),
        ("big", "1", True, 0.25, "pass", "opus"),
        ("big", "2", True, 0.25, "unknown", "opus"),
    ]
    assert made.left_out == {run_folders.UNGRADED_ATTEMPT: 1, run_folders.BROKEN_ATTEMPT: 1}
    assert {row.price_date for row in made.rows} == {"2026-01-02"}


def test_a_run_that_began_with_another_s_work_is_no_repeat_of_its_tier():
    handed = outcome(2, "big", "won", "pass")
    plan = handed.attempt.plan.model_copy(update={"handover": "continue"})
    handed = handed.model_copy(update={"attempt": handed.attempt.model_copy(update={"plan": plan})})
    record = RunRecord(
        run="r", instance=Instance(id=A, repo="d/d", base_commit="c", problem="p"),
        features=Features(instance_id=A), decisions=(), chosen="2-big", status="candidate",
        usd=Decimal("0.5"), outcomes=(outcome(1, "big", "won", "pass"), handed),
    )  # fmt: skip
    grade = Grade(instance_id=A, outcome="resolved", patch="digest of won")
    made = run_folders.rows_of_run({A: record}, {A: grade}, system="mine", models={}, priced_on={})
    told = [(r.system, r.run) for r in made.rows]
    assert told == [("mine", "1"), ("big", "1"), ("big+continue", "1")]


def test_what_verifiers_paid_for_their_calls_is_in_the_price_of_the_run_and_of_no_tier():
    paid = {"usd": "0.04", "calls": [{"usd": "0.03", "usage": {"input_tokens": 7}},
                                     {"usd": "0.01"}]}  # fmt: skip
    made = outcome(1, "big", "won", "pass")
    judge = Verdict(candidate="", verifier="judge", outcome="unknown", evidence=paid)
    record = RunRecord(
        run="r", instance=Instance(id=A, repo="d/d", base_commit="c", problem="p"),
        features=Features(instance_id=A), decisions=(), chosen="1-big", status="candidate",
        usd=Decimal("0.25"), usage=Usage(input_tokens=9, output_tokens=2),
        outcomes=(made.model_copy(update={"verdicts": (*made.verdicts, judge)}),),
    )  # fmt: skip
    grade = Grade(instance_id=A, outcome="resolved", patch="digest of won")
    found = run_folders.rows_of_run({A: record}, {A: grade}, system="mine", models={}, priced_on={})
    told = [(r.system, r.usd, r.input_tokens, r.output_tokens) for r in found.rows]
    assert told == [("mine", 0.29, 16, 2), ("big", 0.25, 9, 2)]


def test_the_shipped_table_has_three_systems_with_costs_on_the_same_instances():
    table = shipped_table()
    costed = [{r.instance_id for r in table.rows if r.system == name and r.usd is not None}
              for name in table.systems]  # fmt: skip
    whole = [ids for ids in costed if len(ids) == len(table.instances) == 50]
    assert len(whole) == 14
    assert all(row.usd and row.price_date == "2025-09-11" for row in table.rows)


def test_a_table_of_before_the_probability_column_is_read_and_a_probability_over_1_is_not(tmp_path):
    old = tmp_path / "old.csv"
    old.write_text("instance_id,system,resolved,verdict\na,s,1,pass\n")
    [row] = read_tidy_table(old).rows
    assert (row.verdict, row.probability) == ("pass", None)
    new = tmp_path / "new.csv"
    write_table(OutcomeTable((replace(row, probability=0.25),)), new)
    assert read_tidy_table(new).rows[0].probability == 0.25
    old.write_text("instance_id,system,resolved,probability\na,s,1,1.5\n")
    with pytest.raises(UsageError, match=r"old.csv:2: probability is 1.5, more than 1"):
        read_tidy_table(old)
