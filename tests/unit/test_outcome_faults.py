"""A table of outcomes that cannot be read is refused with file, line and cell."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from swe_router.errors import UsageError
from swe_router.outcomes.auditing import cells
from swe_router.outcomes.importers.gathering import ImportOptions
from swe_router.outcomes.importers.mappings import import_json_lines
from swe_router.outcomes.simulation.ladders import MAX_COUNT, ladder
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, read_tidy_table

HEAD = "instance_id,system,resolved,usd\n"
A, B = "django__django-1", "django__django-2"


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("instance_id,resolved\nx,1\n", r"has no column system \(found: instance_id, resolved\)"),
        (HEAD + "a,,1,1\n", r"t\.csv:2: system is empty"),
        (HEAD + "a,s,yes?,1\n", r"t\.csv:2: resolved is 'yes\?', not 0 or 1"),
        (HEAD + "a,s,1,much\n", r"t\.csv:2: usd is 'much', not a number"),
        (HEAD + "a,s,1,-1\n", r"t\.csv:2: usd is -1, which is no amount"),
        (HEAD + "a,s,1,1\na,s,0,2\n", r"t\.csv:3 has a, s, run 1 again; number repeats"),
        ("instance_id,System,system,resolved\n", r"has the column 'System', 'system' twice"),
    ],
)
def test_a_table_is_refused_at_its_first_wrong_cell(text, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        read_tidy_table(put(tmp_path / "t.csv", text))


def test_a_table_that_is_not_there_or_is_cut_off_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no outcome table .*t\.csv"):
        read_tidy_table(tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(HEAD.encode())[:-9])
    with pytest.raises(UsageError, match=r"t\.csv\.gz cannot be read as a table"):
        read_tidy_table(tmp_path / "t.csv.gz")


def test_lines_without_a_verdict_are_counted_and_a_table_without_lines_is_refused(tmp_path):
    table, found = cells.read_with_findings(
        put(tmp_path / "t.csv", HEAD + f"{A},s,,1\n{B},s,1,1\n")
    )
    assert [row.instance_id for row in table.rows] == [B]
    assert [(one.severity, one.check, one.message) for one in found] == [
        ("warn", "missing-verdicts", "1 lines have no verdict")
    ]
    with pytest.raises(UsageError, match="has no rows"):
        cells.read_with_findings(put(tmp_path / "t.csv", HEAD))


def warnings(tmp_path: Path, head: str, *lines: str) -> dict[str, str]:
    table = read_tidy_table(put(tmp_path / "t.csv", "\n".join([head, *lines]) + "\n"))
    return {
        one.check: one.message for one in cells.cell_findings(table, None) if one.severity == "warn"
    }


def test_a_table_without_costs_or_with_costs_of_two_kinds_is_warned_of(tmp_path):
    head = "instance_id,system,resolved,usd,price_date"
    found = warnings(tmp_path, head, f"{A},s,1,,", f"{B},s,0,,")
    assert "no row has a cost" in found["missing-costs"]
    found = warnings(tmp_path, head, f"{A},s,1,1,", f"{B},s,0,2,2025-01-01")
    assert found["price-dates"] == "billed costs next to ones at the prices of 2025-01-01"


def test_one_run_under_two_numbers_and_ids_of_another_benchmark_are_warned_of(tmp_path):
    head = "instance_id,system,resolved,run,usd"
    found = warnings(tmp_path, head, f"{A},s,1,1,0.5", f"{A},s,1,2,0.5", f"{B},s,0,1,0.7",
                     "other__project-1,s,0,1,0.2")  # fmt: skip
    assert found["duplicates"].startswith("1 instances have one run under two numbers")
    assert found["ids"].startswith("1 ids are of another benchmark than the rest")


def test_only_some_systems_are_no_ladder(tmp_path):
    table = read_tidy_table(put(tmp_path / "t.csv", HEAD + f"{A},s,1,1\n{B},s,0,1\n"))
    with pytest.raises(UsageError, match="a board needs two systems with costs"):
        ladder(table, table.instances)


def test_a_ladder_keeps_the_corners_that_carry_the_most_and_both_ends():
    """Six systems on a hull; the area that a corner adds decides which of them go."""
    won = (10, 40, 60, 61, 70, 75)
    usd = (1.0, 2.0, 3.0, 3.15, 6.0, 12.0)
    rows = [
        OutcomeRow(f"i-{number}", f"s{system}", number < won[system], usd=usd[system])
        for system in range(len(won))
        for number in range(100)
    ]
    table = OutcomeTable(tuple(rows))
    found = ladder(table, table.instances)
    assert len(found) == MAX_COUNT
    assert found == ["s0", "s2", "s4", "s5"], "s3 adds least to the hull, then s1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([1, 2], r"rows\.jsonl:1 is no JSON object"),
        ({"responses": {A: 1, B: 0}}, r"rows\.jsonl:1 names no system: say --system NAME"),
        ({"subject_id": "s", "responses": {"resolved": [A]}}, "lists winners only"),
    ],
)
def test_a_line_that_is_no_run_is_named(line, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        import_json_lines(put(tmp_path / "rows.jsonl", json.dumps(line) + "\n"), ImportOptions())


def test_lines_of_one_system_bear_the_name_that_was_given(tmp_path):
    lines = [{"instance_id": A, "model": "x", "resolved": True, "durationMs": 1500},
             {"instance_id": B, "model": "y", "resolved": None}]  # fmt: skip
    path = put(tmp_path / "rows.jsonl", "".join(json.dumps(one) + "\n" for one in lines))
    made = import_json_lines(path, ImportOptions(system="ours"))
    assert [(row.instance_id, row.system) for row in made.rows] == [(A, "ours")]
    assert sum(made.left_out.values()) >= 1
    with pytest.raises(UsageError, match="has no lines"):
        import_json_lines(put(tmp_path / "rows.jsonl", ""), ImportOptions())
