"""Outcome files of others: what is no verdict makes no row, and winners alone make no table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router.errors import UsageError
from swe_router.outcomes.auditing.audit import audit
from swe_router.outcomes.importers import table_files
from swe_router.outcomes.importers.forms import (
    IMPORTERS_BY_FORM,
    gather,
    guess_form,
    import_in_guessed_form,
)
from swe_router.outcomes.importers.gathering import NO_VERDICT, ImportOptions
from swe_router.outcomes.importers.report_files import reported_verdicts
from swe_router.outcomes.tables import labels, table
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable

A, B, C = "django__django-1", "django__django-2", "sympy__sympy-3"
PRO = "instance_flipt-io__flipt-cd18e54a0371fa222304742c6312e9ac37ea86c1"


def put(path: Path, tree: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def read(form: str, path: Path, **said):
    return gather(IMPORTERS_BY_FORM[form], [path], ImportOptions(**said))


def cells(made) -> dict:
    return {(r.instance_id, r.system, r.run): r.resolved for r in made.table.rows}


# Site files -----------------------------------------------------------------------------------


def entry(resolved=True, cost=0.1, **more):
    cell = {"resolved": resolved, "cost": cost, "api_calls": 5}
    return {"name": "M", "folder": "20251201_m", "per_instance_details": {A: cell}, **more}


def site(*boards):
    named = [{"name": f"board {n}", "results": list(one)} for n, one in enumerate(boards)]
    return {"leaderboards": named}


def test_a_system_that_a_site_lists_on_two_boards_is_one(tmp_path):
    made = read("per-instance", put(tmp_path / "l.json", site([entry()], [entry()], [entry()])))
    assert cells(made) == {(A, "20251201_m", "1"): True}


@pytest.mark.parametrize("other", [entry(resolved=False), entry(cost=0.2)])
def test_boards_that_contradict_each_other_are_an_error_that_names_both(tmp_path, other):
    path = put(tmp_path / "l.json", site([entry()], [other]))
    with pytest.raises(
        UsageError, match=r"twice with different results.*board 0 and board 1"
    ) as raised:
        read("per-instance", path)
    assert "--map" not in str(raised.value), "a hint of another form"


def test_instances_that_one_board_alone_has_are_added(tmp_path):
    more = entry()
    more["per_instance_details"] = {B: {"resolved": False, "cost": 1, "api_calls": 2}}
    made = read("per-instance", put(tmp_path / "l.json", site([entry()], [more])))
    assert set(cells(made)) == {(A, "20251201_m", "1"), (B, "20251201_m", "1")}


# Reports --------------------------------------------------------------------------------------


def runs(folder: Path, report: object, *names: str) -> Path:
    for name in names:
        stats = {"instance_cost": 2.5, "api_calls": 3, "tokens_sent": 7, "tokens_received": 1}
        put(folder / name / f"{name}.traj", {"trajectory": [], "info": {"model_stats": stats}})
    put(folder / "report.json", report)
    return folder


@pytest.mark.parametrize("report", [
    {"resolved": [A]}, {"resolved_ids": [A], "stats": {}}, [A],
    {"resolved": [A], "unresolved": []}, {"resolved_ids": [A], "unresolved_ids": [],
     "submitted_ids": [A, B, C], "error_ids": [], "empty_patch_ids": []}, {A: True},
    {A: {"resolved": True}},
])  # fmt: skip
def test_a_report_of_winners_only_makes_no_table_of_winners(tmp_path, report):
    with pytest.raises(UsageError, match="winners only: 1 resolved, and nothing of the other 2"):
        read("swe-agent", runs(tmp_path, report, A, B, C))


@pytest.mark.parametrize(
    "report",
    [{"resolved_ids": [A], "unresolved_ids": [B]}, {A: True, B: False}, {A: 1, B: 0},
     {"summary": {"total": 2}, "results": {A: {"resolved": True}, B: {"resolved": False}}}],
)  # fmt: skip
def test_a_report_that_tells_of_losers_leaves_out_what_it_does_not_tell(tmp_path, report):
    made = read("swe-agent", runs(tmp_path, report, A, B, C))
    assert {row.instance_id: row.resolved for row in made.table.rows} == {A: True, B: False}
    assert made.left_out[NO_VERDICT] == 1


@pytest.mark.parametrize("inside", [False, True])
def test_a_report_that_is_a_list_of_objects_is_read_by_the_ids_in_them(tmp_path, inside):
    said = [{"instance_id": A, "resolved": True}, {"instance_id": B, "resolved": False}]
    report = {"total": 2, "results": said} if inside else said
    made = read("swe-agent", runs(tmp_path / "r", report, A, B))
    assert {row.instance_id: row.resolved for row in made.table.rows} == {A: True, B: False}
    put(tmp_path / "s" / "results" / "results.json", report)
    assert cells(read("experiments", tmp_path / "s")) == {(A, "s", "1"): True, (B, "s", "1"): False}


def test_a_cost_that_no_number_can_hold_is_no_cost_and_no_traceback(tmp_path):
    made = read("per-instance", put(tmp_path / "l.json", site([entry(cost=10**400)])))
    assert [row.usd for row in made.table.rows] == [None]


def test_an_experiments_folder_of_winners_and_nothing_else_is_refused(tmp_path):
    put(tmp_path / "s" / "results" / "results.json", {"resolved": [A]})
    with pytest.raises(UsageError, match="winners only"):
        read("experiments", tmp_path / "s")


@pytest.mark.parametrize(
    "summary",
    [{"total": 1, "passed": 1, "failed": 0, "pass_rate": 1}, {"pass@1": 1, "resolved_rate": 0},
     {"ok": True, "completed": True}, {}, {"total_instances": 500, "resolved_instances": 0}],
)  # fmt: skip
def test_a_summary_holds_no_verdicts(tmp_path, summary):
    put(tmp_path / "results" / "results.json", summary)
    with pytest.raises(UsageError, match="holds no verdicts"):
        read("experiments", tmp_path)
    with pytest.raises(UsageError, match="holds no verdicts"):
        read("verdicts", put(tmp_path / "v.json", summary))


def test_beside_a_summary_the_reports_of_single_instances_are_read(tmp_path):
    put(tmp_path / "results" / "results.json", {"total": 1, "passed": 1})
    put(tmp_path / "logs" / A / "report.json", {A: {"resolved": True}})
    assert cells(read("experiments", tmp_path)) == {(A, tmp_path.name, "1"): True}


def test_where_the_surroundings_failed_there_is_no_verdict_in_either_form(tmp_path):
    broke = {"resolved": False, "infra_failure": True, "infra_failure_reason": "out_of_memory"}
    fine = {"resolved": False, "infra_failure": False}
    put(tmp_path / "logs" / A / "report.json", {A: broke})
    put(tmp_path / "logs" / B / "report.json", {B: fine})
    put(tmp_path / "logs" / C / "report.json", {**broke})
    assert reported_verdicts(tmp_path / "logs") == {B: False}
    closing = {"resolved_ids": [], "unresolved_ids": [A, B], "infra_failure_ids": [A, C]}
    assert reported_verdicts(put(tmp_path / "closing.json", closing)) == {B: False}


def test_costs_in_the_trajectories_of_a_submission_are_found(tmp_path):
    put(tmp_path / "s" / "results" / "results.json", {"resolved": [A], "no_generation": []})
    stats = {"instance_cost": 2.5, "api_calls": 3, "tokens_sent": 7, "tokens_received": 1}
    for name in (A, B):
        run = {"trajectory": [], "info": {"model_stats": stats}}
        put(tmp_path / "s" / "trajs" / f"{name}.traj", run)
    found = {row.instance_id: row for row in read("experiments", tmp_path / "s").table.rows}
    assert {name: (row.resolved, row.usd, row.steps) for name, row in found.items()} == {
        A: (True, 2.5, 3), B: (False, 2.5, 3)}  # fmt: skip
    put(tmp_path / "s" / B / f"{B}.traj", {"trajectory": [], "info": {"model_stats": stats}})
    put(tmp_path / "s" / "results" / "results.json", {"resolved": [], "unresolved": [B]})
    assert cells(read("swe-agent", tmp_path / "s")) == {(B, "s", "1"): False}


def test_predictions_of_any_usual_name_stand_beside_the_report(tmp_path):
    line = json.dumps({"instance_id": A, "model_patch": "", "model_name_or_path": "m"})
    put(tmp_path / "predictions.jsonl", line + "\n")
    put(tmp_path / "report.json", {"resolved_ids": [], "unresolved_ids": [A]})
    (row,) = read("swe-agent", tmp_path).table.rows
    assert (row.resolved, row.model) == (False, "m")


# Verdicts by key ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["verdicts", "per-instance"])
def test_verdicts_by_id_by_run_and_by_system(tmp_path, form):
    plain = put(tmp_path / "gpt-5" / "eval_results.json", {A: True, B: False, PRO: 1, C: None})
    made = read(form, plain)
    assert cells(made) == {(A, "gpt-5", "1"): True, (B, "gpt-5", "1"): False,
                           (PRO, "gpt-5", "1"): True}  # fmt: skip
    assert made.left_out[NO_VERDICT] == 1
    runs = put(tmp_path / "m.json", {"run_1": {A: 0, B: 1}, "run_2": {A: 1, B: {"resolved": True}}})
    assert cells(read(form, runs)) == {(A, "m", "1"): False, (B, "m", "1"): True,
                                       (A, "m", "2"): True, (B, "m", "2"): True}  # fmt: skip
    systems = put(tmp_path / "two.json", {"gpt-5": {A: True}, "claude-4": {A: False}})
    made = read(form, systems)
    assert cells(made) == {(A, "gpt-5", "1"): True, (A, "claude-4", "1"): False}
    assert "are read as 2 systems" in made.remarks[0]
    assert set(cells(read(form, systems, system="mine"))) == {
        (A, "mine", "gpt-5"), (A, "mine", "claude-4")}  # fmt: skip


TURNED = [
    {A: {"run_1": True, "run_2": 0}, B: {"run_1": False, "run_2": 1}},
    {A: [True, False], B: [False, True]},
    {A: {"run_1": {"resolved": True}, "run_2": {"resolved": False}},
     B: {"run_1": {"resolved": False}, "run_2": {"resolved": True}}},
    {"run_1": {"resolved_ids": [A], "unresolved_ids": [B]},
     "run_2": {"resolved": [B], "unresolved": [A]}},
]  # fmt: skip


@pytest.mark.parametrize("tree", TURNED)
def test_verdicts_by_id_and_then_by_run_are_no_systems_of_that_name(tmp_path, tree):
    made = read("verdicts", put(tmp_path / "mine.json", tree))
    assert cells(made) == {
        (A, "mine", "1"): True, (B, "mine", "1"): False,
        (A, "mine", "2"): False, (B, "mine", "2"): True,
    }  # fmt: skip


def test_verdicts_by_id_and_then_by_system_are_those_of_the_systems(tmp_path):
    tree = {A: {"gpt-5": True, "o3": False}, B: {"gpt-5": False}}
    made = read("per-instance", put(tmp_path / "mine.json", tree))
    told = {(A, "gpt-5", "1"): True, (A, "o3", "1"): False, (B, "gpt-5", "1"): False}
    assert cells(made) == told


def test_a_closing_report_by_itself_is_a_system(tmp_path):
    report = {"resolved_ids": [A], "unresolved_ids": [B], "error_ids": [C], "total_instances": 3}
    made = read("per-instance", put(tmp_path / "gpt.run1.json", report))
    assert cells(made) == {(A, "gpt", "1"): True, (B, "gpt", "1"): False}
    with pytest.raises(UsageError, match="winners only"):
        read("per-instance", put(tmp_path / "won.json", {"resolved_ids": [A]}))


def test_a_list_of_objects_is_read_as_lines_of_them(tmp_path):
    lines = [{"instance_id": A, "model": "m", "resolved": True, "cost": 1.5},
             {"instance_id": B, "model": "m", "resolved": False}]  # fmt: skip
    made = read("verdicts", put(tmp_path / "a.json", lines))
    assert cells(made) == {(A, "m", "1"): True, (B, "m", "1"): False}
    assert [row.usd for row in made.table.rows] == [1.5, None]


@pytest.mark.parametrize(("form", "text"), [
    ("per-instance", f'{{"{A}": true, "{A}": false}}'),
    ("verdicts", f'{{"x": {{"{A}": true, "{A}": true}}}}'),
    ("jsonl", f'{{"instance_id": "{A}", "system": "x", "resolved": true, "resolved": false}}'),
])  # fmt: skip
def test_of_a_name_that_stands_twice_in_an_object_neither_value_is_taken(tmp_path, form, text):
    with pytest.raises(UsageError, match="stands twice in one object"):
        read(form, put(tmp_path / "a.json", text))


def test_a_system_without_a_loss_is_remarked_upon(tmp_path):
    made = read("verdicts", put(tmp_path / "a.json", {A: True, B: True}))
    assert any("all 2 runs of a are resolved" in line for line in made.remarks)


def test_json_lines_in_any_spelling_and_with_tokens_in_an_object(tmp_path):
    one = {"instanceId": A, "model": "m", "isResolved": True, "totalCostUsd": 0.5, "numTurns": 4,
           "durationMs": 1500, "usage": {"inputTokens": 9, "cacheReadInputTokens": 5,
                                         "outputTokens": 2, "note": "\u2028"}}  # fmt: skip
    other = {**one, "instanceId": B, "isResolved": None}
    path = put(tmp_path / "x.jsonl", "".join(
        json.dumps(line, ensure_ascii=False) + "\n" for line in (one, other)))  # fmt: skip
    made = read("jsonl", path)
    (row,) = made.table.rows
    assert made.left_out[NO_VERDICT] == 1
    assert (row.instance_id, row.system, row.resolved, row.usd) == (A, "m", True, 0.5)
    assert (row.steps, row.seconds) == (4, 1.5)
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (9, 5, 2)


def test_what_a_cache_held_of_a_prompt_is_told_apart_in_json_lines(tmp_path):
    chat = {"prompt_tokens": 100, "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 60}}  # fmt: skip
    line = {"instance_id": A, "system": "s", "resolved": 1, "usage": chat}
    (row,) = read("jsonl", put(tmp_path / "x.jsonl", line)).table.rows
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (40, 60, 7)


def test_a_line_of_openhands_after_its_evaluation_is_a_row(tmp_path):
    tokens = {"model": "m-1", "prompt_tokens": 100, "completion_tokens": 7, "cache_read_tokens": 60,
              "cache_write_tokens": 30, "context_window": 200_000}  # fmt: skip
    line = {"instance_id": A, "test_result": {"git_patch": "d", "report": {
                "empty_generation": False, "resolved": True, "error_eval": False}},
            "metadata": {"llm_config": {"model": "m-1"}, "max_iterations": 50},
            "metrics": {"accumulated_cost": 0.3, "accumulated_token_usage": tokens},
            "history": [{"id": 1}], "error": None}  # fmt: skip
    (row,) = read("jsonl", put(tmp_path / "o.jsonl", line)).table.rows
    assert (row.instance_id, row.system, row.resolved, row.usd) == (A, "m-1", True, 0.3)
    assert (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens) == (10, 60, 30)


def test_json_lines_with_a_system_each(tmp_path):
    lines = [{"subject_id": "one", "responses": {A: 1, B: 0}},
             {"subject_id": "two", "responses": {A: 0}}]  # fmt: skip
    path = put(tmp_path / "x.jsonl", "\n".join(map(json.dumps, lines)))
    assert cells(read("jsonl", path)) == {
        (A, "one", "1"): True, (B, "one", "1"): False, (A, "two", "1"): False}  # fmt: skip


def test_a_table_with_a_column_per_system(tmp_path):
    path = put(tmp_path / "t.csv", f"instance_id,gpt-5,claude,notes\n{A},1,False,x\n{B},0,,y\n")
    made = read("csv", path)
    assert cells(made) == {(A, "gpt-5", "1"): True, (A, "claude", "1"): False,
                           (B, "gpt-5", "1"): False}  # fmt: skip
    assert made.left_out[NO_VERDICT] == 1
    assert "2 columns are read as one system each: gpt-5, claude" in made.remarks[0]
    bare = put(tmp_path / "p.csv", f"prompt,gpt-5,mixtral\n{A},True,False\n")
    with pytest.raises(UsageError, match="--map instance_id=COLUMN"):
        read("csv", bare)
    assert len(cells(read("csv", bare, columns={"instance_id": "prompt"}))) == 2


def test_a_message_is_never_as_long_as_the_file_and_json_lines_are_named(tmp_path):
    wide = {"instance_id": A, "text": "word, " * 5000}
    path = put(tmp_path / "x.csv", json.dumps(wide) + "\n")
    with pytest.raises(UsageError, match="no CSV but JSON: --format jsonl") as raised:
        read("csv", path)
    assert len(str(raised.value)) < 500
    many = put(tmp_path / "many.csv", ",".join(f"c{n}" for n in range(3000)) + "\n")
    with pytest.raises(UsageError, match="and 2994 more") as raised:
        read("csv", many)
    assert len(str(raised.value)) < 500
    torn = put(tmp_path / "torn.jsonl", json.dumps(wide)[:-1])
    with pytest.raises(UsageError, match=r"torn.jsonl:1 cannot be read") as raised:
        read("jsonl", torn)
    assert len(str(raised.value)) < 500


def test_ids_of_another_benchmark_are_a_warning_unless_a_split_says_otherwise():
    rows = tuple(OutcomeRow(name, system, resolved=n % 2 == 0, usd=1.0 + n)
                 for n in range(4) for system in ("m", "k")
                 for name in (f"instance_flipt-io__flipt-cd18e54a{n}", f"gsm8k/{n}"))  # fmt: skip
    table = OutcomeTable(rows)
    ids = [one for one in audit(table).findings if one.check == "ids"]
    assert [one.severity for one in ids] == ["warn"]
    told = audit(table, known_ids={A})
    assert "refuse" in [one.severity for one in told.findings if one.check == "ids"]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("t.csv", f"instance_id,m\n{A},1\n", "csv"),
        ("t.jsonl", json.dumps({"instance_id": A, "system": "m", "resolved": 1}), "jsonl"),
        ("m.json", {A: True}, "per-instance"),
        ("s/results/results.json", {"resolved": [A], "no_generation": [B]}, "experiments"),
        (f"s/{A}/{A}.traj", {"trajectory": []}, "swe-agent"),
        (f"s/{A}/{A}.traj.json", {"messages": []}, "mini"),
    ],
)
def test_without_a_format_a_path_is_read_as_it_looks(tmp_path, name, content, form):
    put(tmp_path / name, content)
    if form in ("swe-agent", "mini"):
        put(tmp_path / "s" / "report.json", {"resolved_ids": [A], "unresolved_ids": []})
    path = tmp_path / name.split("/")[0]
    made = gather(import_in_guessed_form, [path], ImportOptions())
    assert made.remarks[0] == f"{path} is read as --format {form}"
    assert {row.instance_id: row.resolved for row in made.table.rows}[A] is True
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match="looks like no form"):
        guess_form(tmp_path / "bare")


def test_trajectories_three_folders_deep_keep_their_costs(tmp_path):
    stats = {"instance_cost": 2.5, "api_calls": 3}
    put(tmp_path / "a" / A / f"{A}.traj", {"trajectory": [], "info": {"model_stats": stats}})
    put(tmp_path / "report.json", {"resolved_ids": [A], "unresolved_ids": []})
    (row,) = read("swe-agent", tmp_path).table.rows
    assert row.usd == 2.5


def test_runs_that_a_report_says_are_undecided_make_no_winners_of_the_rest(tmp_path):
    report = {"resolved_ids": [A], "unresolved_ids": [], "error_ids": [B, C]}
    made = read("swe-agent", runs(tmp_path, report, A, B, C))
    assert [row.instance_id for row in made.table.rows] == [A]
    assert made.left_out[NO_VERDICT] == 2


@pytest.mark.parametrize("head", ["resolved,resolved", "resolved,Resolved", "usd,resolved, usd "])
def test_a_column_that_stands_twice_is_refused_whatever_reads_the_table(tmp_path, head):
    names = f"instance_id,system,candidate,{head}"
    file = tmp_path / "t.csv"
    file.write_text(f"{names}\n{A},s,c,{','.join('1' for _ in head.split(','))}\n")
    for reader in (table_files.import_table, table.read_tidy_table, labels.read_objects):
        with pytest.raises(UsageError, match="twice: which one counts is unclear"):
            list(
                reader(file, ImportOptions())
                if reader is table_files.import_table
                else reader(file)
            )
    file.write_text(f"instance_id,system,resolved,,\n{A},s,1,,\n")
    assert table_files.import_table(file, ImportOptions()).rows, "empty heads are no column"
