"""Learning policies live: fitted on a table, learning as they go, replayed as recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router.__main__ import main
from swe_router.commands.run import jobs, run_driver
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from swe_router.settings import load

TWO = [one.id for one in splits.load_instances("demo")[3:5]]


@pytest.fixture
def table(tmp_path) -> Path:
    rows = ["instance_id,system,resolved,usd,steps"]
    for n in range(12):
        rows.append(f"o{n % 3}__r-{n},small,{int(n % 3 == 0)},0.01,9")
        rows.append(f"o{n % 3}__r-{n},large,{int(n % 4 > 0)},0.2,20")
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run(tmp_path: Path, policy: str, *knobs: str, dry: bool = False) -> int:
    sets = [word for knob in knobs for word in ("--policy-set", knob)]
    cheap = ["--no-grade", "--sandbox", "local", "--unsafe", "--set", 'verify.names=["applies"]']
    where = ["--out", str(tmp_path / "runs"), "--json", "-i", *TWO]
    asked = ["run", "--split", "demo", "--policy", policy, "--budget", "1"]
    return main([*asked, *sets, *cheap, *where, *(["--dry-run"] if dry else [])])


def test_a_bandit_learns_between_issues_and_after_a_resume_and_replays(tmp_path, table, capsys):
    reads = f"outcomes={table}", "systems.local=small", "systems.cloud=large"
    assert run(tmp_path, "mixllm", *reads, "rate=0.5", "value=0.01") == 0
    assert "local = small, cloud = large" in capsys.readouterr().err
    folder = RunFolder.find("latest", tmp_path / "runs")
    seen = [record.decisions[0].state for record in folder.concluded()]
    assert seen[0]["shifts"] == []
    assert any(seen[1]["shifts"]), "the second issue was decided on what the first one taught"
    resumed = jobs.learned_policy(
        run_driver.RunWiring(folder, run_driver.header_of_run(folder), str)
    ).state()
    assert resumed["shifts"] != seen[1]["shifts"], "a resume would forget what the run taught"
    assert main(["replay", "latest", "--out", str(tmp_path / "runs")]) == 0
    assert "2 instances replayed: all as recorded" in capsys.readouterr().out
    table.write_text(table.read_text().replace("0.2,20", "0.3,20"))
    main(["replay", "latest", "--out", str(tmp_path / "runs")])
    assert "fitted on other outcomes when this was recorded" in capsys.readouterr().err


WRONG = {
    "no such table": ("knn", ["outcomes=/nowhere/t.csv"], "there is no /nowhere/t.csv"),
    "no such system": ("knn", ["systems.local=nobody"], "'nobody' is no system of the outcomes"),
    "no such tier": ("knn", ["systems.locl=small"], "did you mean 'local'"),
    "no such verifier": ("knn", ["verifier=odd"], "--verifier 'odd'"),
    "no such features": ("knn", ["features=/nowhere/f.jsonl"], "/nowhere/f.jsonl"),
    "a policy that does not learn": ("cascade", ["outcomes=x.csv"], "has no knob 'outcomes'"),
    "repeats that are not there": ("hybrid-llm-prob", [], "needs real repeats"),
    "routes that are not there": ("arch-router", [], "needs features judge.route"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_fit_that_cannot_be_is_one_clear_line(what, tmp_path, capsys):
    policy, knobs, said = WRONG[what]
    assert run(tmp_path, policy, *knobs, dry=True) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[-1]
    assert not (tmp_path / "runs").exists()


def test_no_policy_is_fitted_on_the_repository_that_it_decides_on(table):
    from swe_router.plugins import load_plugin as plugin
    from swe_router.records import Instance
    from swe_router.wiring import training_data

    settings = load("demo")
    assert settings.ladder == ("local", "cloud")
    from swe_router.journal.header import Header

    header = Header(settings, "", {}, {}, "local", {}, 0.0)
    bare = plugin("policies", "knn")(header.ladder())
    asked = training_data.TrainingSources(
        outcomes=str(table), systems={"local": "small", "cloud": "large"}
    )
    issues = [Instance(id="o1__r-1", repo="o1/r", base_commit="c", problem="p"),
              Instance(id="x__y-1", repo="x/y", base_commit="c", problem="p")]  # fmt: skip
    parts = training_data.fit_policy(bare, asked, issues, lambda line: None).parts
    assert set(parts["o1/r"].training.groups) == {"o0/r", "o2/r"}
    assert set(parts["x/y"].training.groups) == {"o0/r", "o1/r", "o2/r"}


def test_the_card_tells_odds_costs_and_every_policy(capsys):
    assert main(["route", TWO[0], "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    for tier in card["tiers"]:
        assert 0 <= tier["p_low"] <= tier["p"] <= tier["p_high"] <= 1
        assert 0 < tier["usd_low"] <= tier["usd_high"]
    rivals = {row["policy"]: row for row in card["rivals"]}
    assert rivals["always-local"]["first"] == ["local"]
    assert "needs real repeats" in rivals["hybrid-llm-prob"]["unavailable"]
    assert sum(row["unavailable"] is None for row in card["rivals"]) >= 40
    assert main(["policies", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert all(row["source"] and row["idea"] and row["maturity"] for row in listed)
