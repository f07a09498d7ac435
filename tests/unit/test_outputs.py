"""Every file that a command can write is written here, over every policy and every verifier.

A board whose 44 rows are fine and whose 45th holds a Decimal is no board: what is drawn and
written is tried with what figures can be at worst.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from swe_router import plain_values, plugins
from swe_router.__main__ import main
from swe_router.commands import leaderboard, output_files
from swe_router.errors import UsageError
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.simulation.entries import HANDED
from swe_router.records import ACCEPTANCE
from swe_router.reports import (
    board_html,
    board_plot,
    verifier_errors_html,
    verifier_errors_plot,
    verifier_errors_text,
)
from swe_router.reports import board_table as words
from swe_router.reports.plot_parts import error_bar_lengths
from swe_router.reports.verifier_errors import verifier_error_rates
from tests.doubles.judged import row as judged
from tests.doubles.recorded import features, table

PNG = b"\x89PNG"


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def written(facts):
    """The five forms of a board; the rows of its JSON and of its CSV."""
    plane, verifier = (
        board_plot.cost_quality_png(facts),
        board_plot.verifier_map_png(facts["verifier_map"]),
    )
    assert plane.startswith(PNG)
    assert verifier.startswith(PNG)
    page = board_html.leaderboard_page(facts, plane, verifier)
    console = Console(file=io.StringIO(), width=160)
    console.print(words.leaderboard_view(facts))
    tree = json.loads(plain_values.json_text(facts), parse_constant=refuse)
    lines = list(csv.DictReader(io.StringIO(words.as_csv(facts))))
    assert len(lines) == len(tree["rows"]) == len(facts["rows"])
    assert all(row["policy"] in page for row in tree["rows"])
    assert not re.search(r"\b(?:nan|inf)\b", console.file.getvalue())
    return tree["rows"], lines


@pytest.fixture(scope="module")
def whole():
    """A board of every policy there is, with a stranger's dollar signs in a name."""
    known = table(8)
    odd = replace(known, rows=tuple(
        replace(r, system="str$on$g" if r.system == "strong" else r.system) for r in known.rows
    ))  # fmt: skip
    asked = BoardRequest(
        verifier_model.parse_verifier_model("hybrid"),
        "cheap",
        "str$on$g",
        (),
        (),
        None,
        100,
        curves=False,
    )
    return leaderboard_rows(odd, features(odd), asked)


def test_a_board_of_every_policy_is_written_with_its_decimal_knobs(whole):
    rows, lines = written(whole)
    names = {row["policy"] for row in rows}
    assert {*plugins.plugin_names("policies"), *HANDED} - names == {"fixed"}, (
        "fixed is a row a system"
    )
    knobs = {row["policy"]: row["knobs"] for row in rows}
    assert isinstance(knobs["cascade"]["costs"]["cheap"], float)
    told = {line["policy"]: line for line in lines}
    assert json.loads(told["ration"]["knobs"]) == knobs["ration"]
    assert float(told["cascade"]["usd"]) == next(r["usd"] for r in rows if r["policy"] == "cascade")


@pytest.mark.parametrize("width", [200, 160, 100])
def test_a_board_has_a_line_a_policy_where_a_terminal_has_room_for_it(whole, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(words.leaderboard_view(whole))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    heads = next(line for line in lines if line.startswith("policy "))
    at = heads.index("verdict")
    for row in whole["rows"]:
        if row["rate"] is not None:
            line = next(line for line in lines if line.startswith(f"{row['policy'][:24]} "))
            assert f"{row['rate']:.1%} [" in line[:at], "the interval stands by its figure"
            first = line[at:].split()[0]
            assert row["verdict"].startswith(first), "no word of a verdict is cut to letters"
        elif row["verdict"].startswith("unavailable"):
            apart = " ".join(lines).partition("unavailable")[2]
            assert row["policy"] in apart
            assert not any(line.startswith(f"{row['policy']} ") for line in lines)


AT_WORST = (0, 1, 0.0, 1.0, None, math.nan, math.inf, Decimal("0.5"), Decimal(0), 1e-17)


def test_a_board_whose_figures_are_at_the_edge_is_written(whole):
    figures = {k for row in whole["rows"] for k, v in row.items() if isinstance(v, float)}
    rows = [
        {**row, **dict.fromkeys(figures & set(row), value)}
        for row, value in zip(whole["rows"], AT_WORST, strict=False)
    ]
    written({**whole, "rows": [*rows, *whole["rows"][len(AT_WORST) : 20]]})


@pytest.mark.parametrize("count", [0, 1])
def test_a_board_of_no_row_and_of_one_is_written(whole, count):
    written({**whole, "rows": whole["rows"][:count]})


@pytest.mark.parametrize(
    ("tpr", "fpr", "dust"),
    [(1.0, 0.0, 3e-16), (0.0, 1.0, 1e-17), (Decimal("0.83"), Decimal(0), None)],
)
def test_the_verifier_map_takes_rates_of_0_and_1_with_dust_on_their_intervals(
    whole, tpr, fpr, dust
):
    found = whole["verifier_map"]
    ends = {f"{name}_{end}": None if dust is None else float(value) + sign * dust
            for name, value in (("tpr", tpr), ("fpr", fpr))
            for end, sign in (("low", 1), ("high", -1))}  # fmt: skip
    here = {**found["verifier"], "measured": True, "tpr": tpr, "fpr": fpr, **ends}
    assert board_plot.verifier_map_png({**found, "verifier": here}).startswith(PNG)


def test_the_arms_of_an_interval_are_never_negative():
    assert error_bar_lengths(0.0, 2.7e-17, 0.35) == [[0.0], [0.35]]
    assert error_bar_lengths(1.0, 0.6, 1.0 - 1e-16) == [[0.4], [0.0]]
    assert error_bar_lengths(0.5, None, None) == [[0.0], [0.0]]


KINDS = {
    "nobody resolves anything": lambda r: replace(r, resolved=False),
    "everybody resolves everything": lambda r: replace(r, resolved=True),
    "the weak tier is free": lambda r: replace(r, usd=0.0) if r.system == "cheap" else r,
    "all is free": lambda r: replace(r, usd=0.0),
    "some first runs have no cost": lambda r: (
        replace(r, usd=None) if r.run == "1" and r.instance_id.endswith("3") else r
    ),
}


@pytest.mark.parametrize(("kind", "issues"), zip(KINDS, (1, 6, 6, 1, 6), strict=True))
def test_a_table_at_the_edge_gives_a_board(kind, issues):
    known = table(issues, repeats=2)
    known = replace(known, rows=tuple(map(KINDS[kind], known.rows)))
    asked = BoardRequest(verifier_model.parse_verifier_model("hybrid"), "cheap", "strong", (),
                  ("fixed", "cascade", "random-mix", "ration"), None, 100)  # fmt: skip
    rows, _ = written(leaderboard_rows(known, features(known), asked))
    assert any(row["rate"] is not None for row in rows if row["policy"] == "cascade")


def accounts():
    """Rows of verdicts at their worst, by what is the matter with them."""
    names = [*plugins.plugin_names("verifiers"), ACCEPTANCE]
    every = [
        judged(f"own__x-{k}", said, right, score=score, verifier=name, tier=tier)
        for name in names
        for tier in ("weak", "strong")
        for k, (said, right, score) in enumerate(
            [("pass", True, 1.0), ("fail", False, 0.0), ("unknown", True, None),
             ("pass", False, 0.5)] * 3
        )
    ]  # fmt: skip
    return {
        "no row": [],
        "every verifier": every,
        "a right and a wrong one, rates 1 and 0": every[:2],
        "only right ones": [row for row in every if row.resolved],
        "none is graded": [row.model_copy(update={"resolved": None}) for row in every],
        "no verifier speaks": [row.model_copy(update={"outcome": "unknown"}) for row in every],
    }


ACCOUNTS = accounts()


@pytest.mark.parametrize("kind", ACCOUNTS)
def test_a_report_at_the_edge_is_written(kind):
    facts = verifier_error_rates(ACCOUNTS[kind])
    picture = verifier_errors_plot.error_rates_png(facts)
    assert picture.startswith(PNG)
    assert verifier_errors_html.verifier_errors_page(facts, picture)
    assert verifier_errors_text.verifier_errors_markdown(facts)
    json.loads(plain_values.json_text(facts), parse_constant=refuse)


RUN = "sample"
COMMANDS = {
    "leaderboard of a run under its own verifier": (
        "leaderboard sample --policies fixed,cascade --bootstraps 100 --verifier sample:local"
        " --out {}/new/board", 5),
    "report": ("report sample --out {}/new/report", 4),
    "preds": ("export sample --format preds --out {}/new/preds", 2),
    "preds.json": ("export sample --format preds --out {}/new/p.json", 1),
    "preds.jsonl": ("export sample --format preds --out {}/new/p.jsonl", 1),
    "statement": ("export sample --format statement --out {}/new/s", 3),
    "experiments": ("export sample --format experiments --out {}/new/e", 20),
    "outcomes csv": ("outcomes export sample --out {0}/new/t.csv --verdicts {0}/new/v.csv", 2),
    "outcomes gz": ("outcomes export sample --out {0}/new/t.csv.gz --verdicts {0}/new/v.jsonl", 2),
    "features": ("features --split demo -i demo__confet-3 --out {}/f.jsonl", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_writes_files_writes_them(name, tmp_path, capsys):
    line, least = COMMANDS[name]
    assert main([*line.format(tmp_path).split(), "--json"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=refuse)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) >= least
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=refuse)
        if path.suffix == ".jsonl":
            for row in path.read_text().splitlines():
                json.loads(row, parse_constant=refuse)
        if path.suffix == ".csv":
            heads, *rows = csv.reader(io.StringIO(path.read_text()))
            assert rows
            assert {len(row) for row in rows} == {len(heads)}


@pytest.mark.parametrize(
    "line",
    ["leaderboard --out {}/b.csv", "leaderboard --out {}/b.html", "report sample --out {}/r.html",
     "export sample --format preds --out {}/p.csv",
     "export sample --format statement --out {}/s.md",
     "export sample --format experiments --out {}/e.zip", "outcomes export sample --out {}/t.json",
     "outcomes export sample --verdicts {}/t.txt", "export sample --format preds --out {}/file/p",
     "report sample --out {}/file", "leaderboard --out {}/file",
     "outcomes export sample --out {}/file/t.csv"],
)  # fmt: skip
def test_a_place_that_cannot_take_the_files_is_refused_and_nothing_is_made(line, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(line.format(tmp_path).split()) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("swe-router: ")
    assert "\n" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_many_files_are_told_in_one_line(tmp_path, capsys):
    assert main(["export", "sample", "--format", "experiments", "--out", str(tmp_path / "e")]) == 0
    said = capsys.readouterr().out.strip()
    assert re.fullmatch(r"wrote \d\d files to \S+ \(--json names all\)", said)


def test_a_folder_whose_name_has_a_dot_is_a_folder(tmp_path):
    assert output_files.output_folder(tmp_path / "20260101_v1.2", "x").is_dir()
    (tmp_path / "there.json").mkdir()
    assert output_files.output_folder(tmp_path / "there.json", "x").is_dir()
    with pytest.raises(UsageError, match="name a folder"):
        leaderboard.leaderboard(leaderboard.LeaderboardRequest(output_folder=Path("x.png")), print)


def test_nothing_is_tested_on_a_verifier_that_never_speaks():
    """It read "TPR of acceptance less behaviour: differs" where behaviour only said unknown."""
    rows = [
        judged(f"own__x-{k}", "unknown" if name == "behaviour" else "pass", k % 2 == 0,
               verifier=name)
        for name in ("applies", "behaviour", ACCEPTANCE)
        for k in range(40)
    ]  # fmt: skip
    names = {row["b"] for row in verifier_error_rates(rows)["differences"]}
    assert names == {"applies"}
