"""What a user does with outcome tables, by the command line."""

from __future__ import annotations

import json

import pytest

from swe_router.__main__ import main
from swe_router.outcomes.tables.shipped import shipped_table
from swe_router.outcomes.tables.table import OutcomeTable, read_tidy_table, write_table


def said(capsys, *words: str) -> tuple[int, dict]:
    code = main(["outcomes", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_sample_run_is_exported_and_its_table_audited(tmp_path, capsys):
    out = tmp_path / "run.csv"
    code, told = said(capsys, "export", "sample", "--out", str(out))
    assert (code, told["instances"]) == (0, 15)
    whole = [row for row in read_tidy_table(out).rows if row.system == "swe-router:cascade"]
    assert (len(whole), sum(row.resolved for row in whole)) == (15, 13)
    assert sum(told["left_out"].values()) == 2, "attempts of a broken provider"
    code, told = said(capsys, "audit", str(out))
    assert (code, told["verdict"]) == (0, "warn"), "two tiers do not cover all instances"


def test_a_refused_table_is_exit_code_1_and_the_shipped_one_is_not_refused(tmp_path, capsys):
    assert said(capsys, "audit")[0] == 0
    table = shipped_table()
    faulty = tmp_path / "t.csv.gz"
    write_table(OutcomeTable(table.rows), faulty)
    rates = tmp_path / "rates.json"
    rates.write_text(json.dumps({"agentless+qwen3-32B": 0.9}))
    code, told = said(capsys, "audit", str(faulty), "--published", str(rates))
    assert (code, told["verdict"]) == (1, "refuse")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--format", "nonsense"), "mini, per-instance, run"),
        (("--format", "csv", "--map", "resolved"), "our-column=their-column"),
        (("--format", "csv", "--prices-at", "today"), "YYYY-MM-DD"),
        (("--format", "csv"), "there is no"),
    ],
)
def test_a_slip_is_one_line_that_says_what_can_be_written(tmp_path, capsys, words, line):
    path, out = str(tmp_path / "none.csv"), str(tmp_path / "out.csv")
    assert main(["outcomes", "import", path, *words, "--out", out]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
