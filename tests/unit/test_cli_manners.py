"""What the command line owes its user: silence at Ctrl-C, JSON for errors, words where it helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import swe_router
from swe_router import assets, plugins, settings
from swe_router.__main__ import main
from swe_router.cli.output import ids
from swe_router.errors import UsageError
from tests.doubles.background import HEARS, in_background
from tests.doubles.copies import copied

STOPPED_SOON = (
    HEARS
    + """
import os, signal, sys
import swe_router.cli.entry_point as door

class Stop:
    left = int(sys.argv[1])

    def find_spec(self, name, path=None, target=None):
        Stop.left -= 1
        if not Stop.left:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass
            raise ImportError("of a module that was half imported")

sys.meta_path.insert(0, Stop())
sys.exit(door.main(["policies"]))
"""
)
SAMPLE = assets.assets_root() / "runs" / "sample"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied(SAMPLE, tmp_path / "runs" / "one")
    return tmp_path / "runs"


@pytest.mark.parametrize("imports", [1, 30, 60])
def test_ctrl_c_in_the_first_second_is_silence_and_130(imports):
    """It was a KeyboardInterrupt traceback out of whatever was being imported."""
    with in_background():
        done = subprocess.run(
            [sys.executable, "-c", STOPPED_SOON, str(imports)], capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [["run", "--nonsense"], ["show", "nothing"], ["run", "--budget", "x"], ["nothing"],
     ["run", "--policy", "nothing", "--dry-run"], ["grade"], ["report", "--out", "r.html"]],
)  # fmt: skip
def test_a_usage_error_under_json_is_one_json_value_and_the_line_stays(words, capsys, tmp_path):
    assert main([*words, "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert said.err.strip() == f"swe-router: {error}"


def test_the_lazy_names_are_listed():
    assert set(swe_router.__all__) <= set(dir(swe_router))


def test_off_a_terminal_the_width_is_that_of_columns(runs, capsys, monkeypatch):
    widths = {}
    for columns in ("60", "", "abc"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["policies"]) == 0
        widths[columns] = max(map(len, capsys.readouterr().out.splitlines()))
    assert widths["60"] <= 60
    assert 100 < widths[""] == widths["abc"] <= 160


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["run"], ["outcomes", "import"]])
def test_both_words_for_help_work_everywhere(flag, command, capsys):
    main([*command, flag])
    assert "Usage: swe-router" in capsys.readouterr().out


def test_completion_can_be_shown_and_completes_commands():
    env = {**os.environ, "_SWE_ROUTER_COMPLETE": "complete_bash", "COMP_WORDS": "swe-router repl",
           "COMP_CWORD": "1"}  # fmt: skip
    code = "import sys; from swe_router.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert "replay" in done.stdout.split()
    shown = subprocess.run(
        [sys.executable, "-m", "swe_router", "--show-completion", "bash"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "_swe_router_completion" in shown.stdout or "complete" in shown.stdout


def test_instances_may_stand_in_a_file(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a__b-1  # the first\n\n# none\na__b-2, a__b-3\n")
    assert ids([f"@{path}", "c__d-4,a__b-1"]) == ["a__b-1", "a__b-2", "a__b-3", "c__d-4"]
    assert ids(None) is None
    for bad in (f"@{tmp_path}/nothing", f"@{tmp_path}"):
        with pytest.raises(UsageError, match="--instances @"):
            ids([bad])
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="holds no instance id"):
        ids([f"@{path}"])


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_an_empty_id_is_not_the_whole_split(value, capsys):
    with pytest.raises(UsageError, match="names no instance"):
        ids([value, "a__b-1"])
    assert main(["run", "--split", "demo", "--dry-run", "-i", value]) == 2
    assert "names no instance" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        ["leaderboard", "--policies", ""],
        ["leaderboard", "--models", " , "],
        ["verify", "--predictions", "p.json", "--split", "demo", "--names", ""],
    ],
)
def test_a_list_of_nothing_is_not_everything(asked, capsys):
    assert main(asked) == 2
    assert f"{asked[-2]} {asked[-1]!r} names none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        '["a__b-1", "a__b-2"]',
        '[{"instance_id": "a__b-1"}, {"instance_id": "a__b-2"}]',
        '{"instance_id": "a__b-1", "model_patch": ""}\n{"instance_id": "a__b-2"}\n',
    ],
)
def test_a_file_of_instances_may_be_json(text, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(text)
    assert ids([f"@{path}"]) == ["a__b-1", "a__b-2"]


@pytest.mark.parametrize("text", ["[]", '{"a__b-1": {}}', "[1]", '["a', '[{"id": "a__b-1"}]'])
def test_json_without_ids_is_no_id(text, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="a list of ids is read"):
        ids([f"@{path}"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hours", "0"], "--hours 0: say for how long"),
        (["--resume", "latest"], "--dry-run plans a new run"),
        (["--notify", "ftp://host/x"], "--notify ftp://"),
        (["--notify", "https:///x"], "--notify https://"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(words, said, capsys):
    assert main(["run", "--split", "demo", "--dry-run", *words]) == 2
    assert said in capsys.readouterr().err


def test_subset_is_another_word_for_split(capsys):
    assert main(["run", "--subset", "demo", "-i", "demo__confet-3", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "demo"


def test_runs_lists_the_runs_and_a_damaged_one_does_not_hide_the_others(runs, capsys):
    copied(SAMPLE, runs / "broken")
    (runs / "broken" / "settings.json").write_text('{"settings": 3}')
    assert main(["runs", "--json"]) == 0
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["one"]["concluded"] == rows["one"]["instances"] == 15
    assert (rows["one"]["resolved"], rows["one"]["ended"]) == (13, "done")
    assert rows["broken"]["error"]
    assert main(["runs"]) == 0
    said = capsys.readouterr().out
    assert "15/15" in said
    assert "damaged" in said


def test_one_policy_is_told_in_full_and_a_wrong_name_does_not_print_all(capsys):
    assert main(["policies", "ration", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["policy"] == "ration"
    assert "reject" in told["knobs"]
    assert main(["policies", "always-local"]) == 0
    capsys.readouterr()
    assert main(["policies", "cascad"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'cascade'" in said
    assert len(said) < 200
    with pytest.raises(UsageError, match="there is docker, local"):
        plugins.load_plugin("sandboxes", "x")


def test_always_a_tier_is_a_policy_wherever_a_policy_is_named(capsys):
    made = settings.load("demo", policy__name="always-cloud").policy
    assert (made.name, made.knobs["tier"]) == ("fixed", "cloud")
    assert settings.load("demo", sets=["policy.name=always-local"]).policy.name == "fixed"
    assert main(["route", "demo__confet-3", "--policy", "always-nothing"]) == 2
    assert "'nothing'" in capsys.readouterr().err
    words = ["leaderboard", "--policies", "always-qwen3-32B", "--bootstraps", "100", "--json"]
    assert main(words) == 0
    assert any(
        r["policy"].startswith("always-") for r in json.loads(capsys.readouterr().out)["rows"]
    )


def test_another_model_has_not_the_facts_of_the_presets_model():
    """gpt-99 was told to retire on the day of o3."""
    old = settings.load("hybrid").tiers["o3"]
    assert old.retires is not None
    new = settings.load("hybrid", sets=["tiers.o3.model=gpt-99"]).tiers["o3"]
    assert (new.retires, new.successor) == (None, "")
    assert new.attempt_usd == old.attempt_usd
    moved = settings.load("hybrid", sets=["tiers.o3.model=gpt-5.5"]).tiers["o3"]
    assert moved.window == 1_000_000, "its own, from the table of models"
    kept = ["tiers.o3.model=gpt-99", "tiers.o3.retires=2027-01-01", "tiers.o3.window=5000"]
    mine = settings.load("hybrid", sets=kept).tiers["o3"]
    assert (str(mine.retires), mine.window) == ("2027-01-01", 5000)
    same = settings.load("hybrid", sets=["tiers.o3.model=o3"]).tiers["o3"]
    assert same == old


def test_a_price_that_was_given_for_a_model_is_not_anothers(tmp_path):
    preset = tmp_path / "mine.toml"
    preset.write_text(
        '[tiers.one]\ndialect = "vllm"\nmodel = "a"\nwindow = 9000\nattempt_usd = 1\n'
        "price = {input = 1, output = 2}\n"
    )
    assert settings.load(str(preset), sets=["tiers.one.model=b"]).tiers["one"].price == "table"
    assert settings.load(str(preset), sets=["tiers.one.window=8000"]).tiers["one"].price != "table"


def test_policies_cite_what_a_user_can_find(capsys):
    assert main(["policies", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert row["source"], row["policy"]
        assert "document" not in row["source"]
        assert ".md" not in row["source"]


@pytest.mark.parametrize(("name", "lines"), [("ledger.jsonl", 0), ("ledger.jsonl", 4),
                                             ("instances.jsonl", 2)])  # fmt: skip
def test_runs_tells_no_figures_that_the_files_do_not_bear_out(runs, name, lines, capsys):
    file = runs / "one" / name
    kept = file.read_text().splitlines(keepends=True)[:lines]
    file.unlink() if lines == 0 else file.write_text("".join(kept))
    assert main(["runs", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "damaged"
    assert name in row["error"] or "instances" in row["error"]
    assert "usd" not in row


def test_runs_of_a_folder_that_is_not_there_are_no_empty_list(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0, "who has made none yet has no such folder"
    capsys.readouterr()
    assert main(["runs", "--out", str(tmp_path / "nosuch"), "--json"]) == 2
    said = capsys.readouterr()
    assert "nosuch" in json.loads(said.out)["error"]
    assert main(["runs", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_runs_says_of_another_format_which_and_of_lost_settings_that_they_are_lost(
    tmp_path, capsys
):
    for name in ("other", "lost"):
        copied(assets.assets_root() / "runs" / "sample", tmp_path / name)
    file = tmp_path / "other" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": "swe-router/9"}))
    (tmp_path / "lost" / "settings.json").unlink()
    (tmp_path / "no-run").mkdir()
    assert main(["runs", "--out", str(tmp_path), "--json"]) == 0
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"other", "lost"}
    assert (rows["other"]["state"], rows["lost"]["state"]) == ("other", "damaged")
    assert "swe-router/9" in rows["other"]["error"]
    assert main(["runs", "--out", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("damaged") == 1
    assert "another format ('swe-router/9'" in said
    for command in ("show", "replay", "report", "resume"):
        assert main([command, str(tmp_path / "lost")]) == 2
        said = capsys.readouterr().err
        assert "lost/settings.json is missing" in said, "and not: there is no such run"


@pytest.mark.parametrize("words", [("--out", "-"), ("--out=-",)])
def test_a_dash_is_no_name_of_a_folder(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in ("preds", "experiments", "statement"):
        assert main(["export", "sample", "--format", form, *words]) == 2
        assert "--out - names no file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_policies_are_blocks_where_a_table_would_cut_words_to_letters(capsys, monkeypatch):
    for columns in ("40", "60", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["policies"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "cascade" in [line.strip() for line in lines]
        assert "  maturity: stable" in [line.rstrip() for line in lines]
        assert max(map(len, lines)) <= int(columns)


def test_a_comparison_of_selectors_says_what_its_words_mean(capsys):
    assert main(["replay", "sample", "--selector", "all", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["selectors"]
    blind = next(row for row in rows if row["selector"] == "mean single")
    assert blind["high"] < 0 < blind["p"], "an interval that excludes 0, and a test that does not"
    assert blind["said"] == "not told"
    assert main(["replay", "sample", "--selector", "all"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "differs: the interval excludes 0 and p is under 0.05" in said
    assert "not significant: one of the two does not hold" in said
