"""What is written of a board: complete, self-contained, and with labels that can be read."""

import base64
import csv
import io
import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swe_router.commands import leaderboard
from swe_router.errors import UsageError
from swe_router.outcomes.leaderboard.board_rows import BoardRequest, leaderboard_rows
from swe_router.outcomes.simulation import verifier_model
from swe_router.outcomes.tables.table import write_table
from swe_router.reports import board_html, board_plot
from swe_router.reports import board_table as words
from swe_router.reports.label_placement import place_labels
from tests.doubles.recorded import features, table


@pytest.fixture(scope="module")
def facts():
    known = table()
    asked = BoardRequest(verifier_model.parse_verifier_model("hybrid"), "cheap", "strong", (),
                  ("fixed", "cascade", "retry", "random-mix"), None, 100)  # fmt: skip
    return leaderboard_rows(known, features(known), asked)


def test_the_csv_has_every_row_and_empty_cells_for_what_is_unknown(facts):
    lines = list(csv.DictReader(io.StringIO(words.as_csv(facts))))
    assert [line["policy"] for line in lines] == [row["policy"] for row in facts["rows"]]
    retry = next(line for line in lines if line["policy"] == "retry")
    assert retry["rate"] == ""
    assert retry["verdict"].startswith("unavailable: ")


def test_the_page_needs_nothing_from_elsewhere_and_escapes(facts):
    evil = {**facts, "table": "<script>alert(1)</script>"}
    page = board_html.leaderboard_page(evil, b"\x89PNG one", b"\x89PNG two")
    assert re.findall(r"(?:https?:)?//\w", page) == []
    assert page.count("<script") == 1, "the page's own, which sorts"
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert not re.search(r"<(?:script|img|link)[^>]*(?:src|href)=[\"'](?!data:)", page)
    assert base64.b64encode(b"\x89PNG one").decode() in page
    assert all(row["policy"] in page for row in facts["rows"])


def test_rows_that_could_not_be_played_are_folded_away_and_every_head_sorts(facts):
    page = board_html.leaderboard_page(facts, b"\x89PNG one", b"\x89PNG two")
    body, _, rest = page.partition("</tbody>")
    folded = rest[rest.index("<details>") : rest.index("</details>")]
    for row in facts["rows"]:
        assert (row["policy"] in folded) == (row["rate"] is None)
    assert "1 policies" not in page or len([r for r in facts["rows"] if r["rate"] is None]) != 1
    heads = page.count('<th scope="col"><button')
    cells = re.findall(r"<tr>(.*?)</tr>", body[body.index("<tbody>") :], re.DOTALL)
    assert {one.count("<td") for one in cells} == {heads}
    rates = [float(v) for v in re.findall(r'data-value="([\d.]+)">\s*[\d.]+%', body)]
    assert sorted(rates) == sorted(r["rate"] for r in facts["rows"] if r["rate"] is not None)


def test_the_verifier_map_is_drawn_from_json_alone_with_a_measured_point(facts):
    found = {**facts["verifier_map"]}
    found["verifier"] = {**found["verifier"], "measured": True, "tpr_low": 0.8, "tpr_high": 0.95,
                         "fpr_low": 0.2, "fpr_high": 0.4}  # fmt: skip
    assert board_plot.verifier_map_png(found).startswith(b"\x89PNG")


def crowded(count=25):
    """Axes with a crowd of labelled points; the labels that found a place, and all of them."""
    figure = Figure(figsize=(6, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5 + 0.01 * (k % 5), 0.5 + 0.01 * (k // 5)) for k in range(count)]
    texts = [axes.text(x, y, f"a name {k}", fontsize=8) for k, (x, y) in enumerate(points)]
    figure.draw_without_rendering()
    return axes, place_labels(axes, texts, points), texts


def test_labels_never_lie_over_each_other_nor_outside_and_are_joined_to_their_points():
    axes, kept, texts = crowded()
    renderer = axes.figure.canvas.get_renderer()
    sandboxes = [text.get_window_extent(renderer) for text in kept]
    frame = axes.get_window_extent(renderer)
    assert len(sandboxes) >= 12
    assert kept[0] is texts[0], "the first are kept first"
    for number, sandbox in enumerate(sandboxes):
        assert frame.x0 <= sandbox.x0 and sandbox.x1 <= frame.x1  # noqa: PT018
        for other in sandboxes[:number]:
            assert (
                sandbox.x1 <= other.x0
                or other.x1 <= sandbox.x0
                or sandbox.y1 <= other.y0
                or (other.y1 <= sandbox.y0)
            )
    lines = [one for one in axes.texts if one not in kept]
    assert len(lines) > len(kept) / 2
    assert set(texts) - set(kept) <= {one for one in texts if one.axes is None}


def test_the_same_labels_are_placed_at_the_same_spots():
    places = [[text.get_position() for text in crowded(9)[1]] for _ in range(2)]
    assert places[0] == places[1]


def test_a_label_alone_stays_and_none_is_no_error():
    _, kept, _ = crowded(1)
    assert len(kept) == 1
    assert crowded(0)[1] == []


def test_names_lose_what_they_share_but_stay_apart():
    names = ["mini:20251201_mini-v1.17.1_deepseek-v3.2", "mini:20250929_mini-v1.13.3_sonnet-4-5"]
    assert list(words.short_names(names).values()) == ["deepseek-v3.2", "sonnet-4-5"]
    clash = ["20250101_same", "20260101_same"]
    assert list(words.short_names(clash).values()) == clash


def test_a_board_is_made_from_a_file_and_written(tmp_path):
    write_table(table(), tmp_path / "t.csv.gz")
    wish = leaderboard.LeaderboardRequest(
        outcome_table_path=tmp_path / "t.csv.gz", weak="cheap", strong="strong",
        policies=("fixed", "cascade"), bootstraps=100, output_folder=tmp_path / "out",
    )  # fmt: skip
    shown = leaderboard.leaderboard(wish, lambda line: None)
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert there == {"leaderboard.csv", "leaderboard.html", "leaderboard.json", "leaderboard.png",
                     "verifier-map.png"}  # fmt: skip
    assert (tmp_path / "out" / "leaderboard.png").read_bytes().startswith(b"\x89PNG")
    assert shown.facts["rows"]


def test_a_policy_that_does_not_exist_is_said_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'cascade'"):
        leaderboard.leaderboard(
            leaderboard.LeaderboardRequest(policies=("cascad",)), lambda line: None
        )


def test_the_shipped_run_is_a_row_and_a_handful_of_issues_shows_nothing(tmp_path):
    wish = leaderboard.LeaderboardRequest(
        runs=("sample",), runs_in=tmp_path, policies=("fixed",), bootstraps=100
    )
    rows = {
        row["policy"]: row for row in leaderboard.leaderboard(wish, lambda line: None).facts["rows"]
    }
    assert rows["swe-router:cascade"]["kind"] == "run"
    assert {row["verdict"] for row in rows.values()} == {"not distinguishable from a random mix"}
