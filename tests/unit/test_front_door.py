"""``import swe_router`` in a notebook: what it shows, what it gives back, and that it is silent."""

from __future__ import annotations

import ast
import copy
import doctest
import json
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import swe_router
from swe_router.api import ranking, row_list, run_view, runner
from swe_router.api.driving import Lines
from swe_router.api.row_list import RowList
from swe_router.commands import show
from swe_router.commands.signals import graceful_stop, interruptible
from swe_router.errors import UsageError

PACKAGE = Path(swe_router.__file__).parent


@pytest.fixture(scope="module")
def sample():
    return swe_router.load_run("sample")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_notebook_completes_the_public_names_and_nothing_else():
    assert set(dir(swe_router)) == set(swe_router.__all__)
    assert len(dir(swe_router)) <= 20
    assert {"Run", "load_run", "run", "leaderboard", "UsageError"} <= set(dir(swe_router))


def test_a_public_name_stays_what_it_was_after_everything_was_imported():
    """A sub-package of the same name would take its place once it is loaded."""
    for name in swe_router.__all__:
        if name != "__version__":
            assert callable(getattr(swe_router, name)), name
            assert not (PACKAGE / name).exists(), f"{name} is a folder of the package too"
            assert not (PACKAGE / f"{name}.py").exists(), f"{name} is a module too"


def test_a_public_name_of_before_says_where_it_is_today():
    script = (
        "import swe_router\n"
        "try: swe_router.solve\n"
        "except AttributeError as error: print(error)\n"
        "from swe_router.solve.engine import solve\n"
        "print(callable(solve))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    told, there = done.stdout.splitlines()
    assert (told, there) == ("swe_router.solve is swe_router.solve.engine.solve now", "True")


def test_type_checkers_are_told_of_every_public_name_and_where_it_lives():
    told = {}
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            told |= {one.asname: f"{node.module}:{one.name}" for one in node.names}
    lazy = {
        name: f"swe_router.{where}" + ("" if ":" in where else f":{name}")
        for name, where in swe_router._LAZY.items()
    }
    assert told == lazy


@pytest.mark.parametrize("module", [run_view, ranking, row_list], ids=lambda one: one.__name__)
def test_the_examples_of_the_docstrings_run(module, empty):
    found = [test for test in doctest.DocTestFinder(recurse=True).find(module) if test.examples]
    assert found or module is row_list
    for one in found:
        said = []
        failed, _ = doctest.DocTestRunner(verbose=False).run(one, out=said.append)
        assert not failed, "".join(said)


def test_every_function_of_the_front_door_has_an_example():
    """That of ``run`` is run by tests/live/test_front_door_live.py: it needs a sandbox."""
    finder = doctest.DocTestFinder(recurse=False)
    for thing in (run_view.Run, run_view.load_run, ranking.leaderboard, runner.run):
        assert any(test.examples for test in finder.find(thing)), thing


def test_a_run_says_what_show_says(sample):
    facts = show.show_run("sample", Path("runs"), None, None).facts
    assert sample.summary == {key: value for key, value in facts.items() if key != "rows"}
    assert [row["usd"] for row in sample.instances] == [row["usd"] for row in facts["rows"]]
    assert len(sample.attempts) == sum(len(row["attempts"]) for row in facts["rows"])
    spend = sample.spend
    parts = [spend[key] for key in ("settled", "lost", "reserved", "unused")]
    assert sum(parts) == pytest.approx(spend["budget"])
    assert sum(tier["usd"] for tier in spend["by_tier"].values()) == pytest.approx(spend["spent"])


def test_everything_that_is_read_of_a_run_is_a_plain_value(sample):
    whole = [sample.instances, sample.attempts, sample.verdicts, sample.spend, sample.summary]
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert sample.settings.policy.name == "cascade"
    assert sample.records["demo__confet-14"].chosen == "2-cloud"


def test_every_row_of_a_table_has_the_same_columns(sample):
    for table in (sample.instances, sample.attempts, sample.verdicts):
        assert len(table) >= 15
        assert {tuple(row) for row in table} == {tuple(table[0])}


def test_the_verdicts_are_those_of_the_records(sample):
    records = sample.records.values()
    said = [one for record in records for made in record.outcomes for one in made.verdicts]
    assert [(row["verifier"], row["outcome"]) for row in sample.verdicts] == [
        (one.verifier, one.outcome) for one in said
    ]


@pytest.mark.parametrize("table", ["instances", "attempts", "verdicts"])
def test_a_table_is_a_data_frame_where_pandas_is(sample, table):
    pandas = pytest.importorskip("pandas")
    frame = sample.to_pandas(table)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(getattr(sample, table)[0])
    assert len(frame) == len(getattr(sample, table))


def test_the_spend_is_a_data_frame_with_one_row_per_tier(sample):
    pytest.importorskip("pandas")
    frame = sample.to_pandas("spend")
    assert list(frame["tier"]) == ["local", "cloud", "overhead"]
    assert frame["usd"].sum() == pytest.approx(sample.spend["spent"])


def test_a_table_that_there_is_not_is_a_usage_error_with_those_that_there_are(sample):
    with pytest.raises(UsageError, match="'steps': there is instances, attempts, verdicts, spend"):
        sample.to_pandas("steps")


def test_without_pandas_the_rows_are_there_and_the_error_has_the_pip_command():
    script = (
        "import sys; sys.modules['pandas'] = None\n"
        "import swe_router\n"
        "run = swe_router.load_run('sample')\n"
        "print(len(run.attempts))\n"
        "try: run.to_pandas()\n"
        "except swe_router.UsageError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    number, error = done.stdout.splitlines()
    assert number == "26"
    assert error == "MissingExtra pandas is not installed: pip install 'swe-router[pandas]'"


def test_a_look_at_a_run_from_python_loads_nothing_that_makes_one():
    script = (
        "import swe_router, sys; swe_router.load_run('sample').verdicts\n"
        "print(*{n.partition('.')[0] for n in sys.modules}, 'swe_router.solve' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *loaded, solves = done.stdout.split()
    assert {"pandas", "numpy", "ray", "docker", "scipy", "pyarrow"}.isdisjoint(loaded)
    assert solves == "False"


def test_what_a_notebook_shows_is_short_and_inert():
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>" * 50
    html = RowList({"instance": evil, "n": 0.123456789} for _ in range(500))._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("<tr>") == row_list.MAX_ROWS + 1
    assert "the first 20 of 500 rows" in html
    assert len(html) < 10_000
    assert "0.1235" in html


def test_a_list_of_rows_is_a_list(sample):
    rows = sample.attempts
    assert repr(rows).startswith("<26 rows: instance, attempt, tier")
    assert repr(RowList([{"a": 1}])) == "<1 row: a>"
    assert repr(RowList()) == "<0 rows>"
    assert "0 rows" in RowList()._repr_html_()
    assert pickle.loads(pickle.dumps(rows)) == copy.deepcopy(rows) == rows == list(rows)


def test_a_run_and_a_board_are_shown_in_one_line_and_a_small_table(sample, empty):
    assert repr(sample) == "<Run sample: 13 of 15 resolved, $0.1734 of $1.0000 spent, done>"
    assert "demo__confet-14" in sample._repr_html_()
    board = swe_router.leaderboard(policies="fixed", bootstraps=100)
    assert repr(board).startswith("<Leaderboard 4 rows over 50 issues; ladder: ")
    assert "oracle-abandon" in board._repr_html_()
    assert json.loads(json.dumps(board.facts, allow_nan=False)) == board.facts
    frame = board.to_pandas()
    assert list(frame["policy"]) == [row["policy"] for row in board.rows]


def test_a_board_of_a_run_takes_the_run_itself_and_writes_its_files(sample, empty, capfd):
    said = []
    board = swe_router.leaderboard(
        [sample], split="demo", policies=["cascade"], bootstraps=100, out="board",
        verifier="perfect", progress=said.append,
    )  # fmt: skip
    assert [rung["system"] for rung in board.facts["ladder"]] == ["local", "cloud"]
    assert (empty / "board" / "leaderboard.html").exists()
    assert said[-1].startswith("wrote leaderboard.csv")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": "much"}, "budget 'much' is not a number of US dollars"),
        ({"budget": 0}, "budget 0 must be more than 0"),
        ({"budget": float("nan")}, "budget nan must be more than 0"),
        ({"split": "demmo"}, "demmo"),
        ({"instances": []}, "instances names none"),
        ({"instances": "demo__confet-999"}, "demo__confet-999"),
        ({"policy": "cascad"}, "did you mean 'cascade'"),
        ({"settings": {"limits.instance_us": 1}}, "did you mean 'limits.instance_usd'"),
        ({"settings": {"limits": {"instance_us": 1}}}, "did you mean 'limits.instance_usd'"),
        ({"settings": {"a b": 1}}, "settings 'a b': write the key as a.b"),
        ({"settings": {"seed": "x"}}, "seed: "),
        ({"hours": 0}, "hours 0"),
        ({"preset": "nothing"}, "nothing"),
        ({"workers": -1}, "workers: "),
    ],
)
def test_what_the_command_refuses_is_a_usage_error_and_leaves_nothing(given, words, empty, capfd):
    with pytest.raises(UsageError) as refused:
        swe_router.run(**{"split": "demo", **given})
    assert words in str(refused.value)
    assert list(empty.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_whole_settings_go_without_a_preset_and_what_is_given_beside_them_counts(empty):
    whole = swe_router.load_settings("demo", sets=["seed=7"])
    with pytest.raises(UsageError, match="leave preset away"):
        swe_router.run(settings=whole, preset="demo")
    with pytest.raises(UsageError, match="demo__confet-999"):
        swe_router.run(settings=whole, instances=["demo__confet-999"])
    kept = runner._resolved(None, whole, split=None, budget=None, policy__name="fixed")
    assert (kept.seed, kept.policy.name) == (7, "fixed")
    assert runner._resolved(None, whole, split=None) == whole


def test_settings_by_name_are_laid_over_the_preset_and_keep_the_rest(empty):
    given = {"limits.instance_usd": 2, "verify": {"threshold": 0.75}, "policy.knobs": {"value": 1}}
    made = runner._resolved(None, given, split="demo")
    asked = swe_router.load_settings(
        "demo",
        sets=["limits.instance_usd=2", "verify.threshold=0.75", "policy.knobs.value=1"],
        split="demo",
    )
    assert made == asked


def test_a_run_that_does_not_exist_is_a_usage_error(empty):
    with pytest.raises(UsageError, match="no run 'latest': there is no folder runs"):
        swe_router.load_run()


def test_a_finished_run_resumes_to_itself(sample, tmp_path):
    shutil.copytree(sample.path, tmp_path / "mine")
    run = swe_router.load_run(tmp_path / "mine")
    said = []
    again = run.resume(progress=said.append)
    assert said == ["nothing is owed"]
    assert again.summary == run.summary
    with pytest.raises(UsageError, match="retry='x': it is one of infra, limit, all"):
        run.resume(retry="x")
    with pytest.raises(UsageError, match="hours 0"):
        run.resume(hours=0)
    with pytest.raises(UsageError, match="budget -1 must be more"):
        run.resume(budget=-1)


def test_lines_of_progress_come_whole():
    said = []
    stream = Lines(said.append)
    for part in ("one", " line\nsec", "ond\n", "rest"):
        stream.write(part)
    assert said == ["one line", "second"]


def test_a_second_interrupt_does_not_end_the_process_of_a_notebook(tmp_path):
    """It took the kernel, with every variable of its user."""

    def second():
        raise KeyboardInterrupt

    with graceful_stop(tmp_path / "stop", lambda line: None, force_quit=second):
        signal.raise_signal(signal.SIGINT)
        assert (tmp_path / "stop").exists()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_run_may_be_driven_from_a_thread(tmp_path):
    """Only the main thread can handle signals: in another one it was a ValueError."""
    came = []

    def work():
        with graceful_stop(tmp_path / "stop", print), interruptible():
            came.append("through")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert came == ["through"]
