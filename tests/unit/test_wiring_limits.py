"""What a run cannot have is refused where it is put together, with the fix."""

from __future__ import annotations

import json
import resource

import pytest

from swe_router import settings
from swe_router.errors import Lost, UsageError, WouldNotStart
from swe_router.journal import imported_candidates
from swe_router.journal.imported_candidates import load_case
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.records import Features, Instance
from swe_router.records.known_features import require_values
from swe_router.sandboxes import temp_folders, work_trees
from swe_router.sandboxes.pipes import Pipes
from swe_router.wiring import (
    connectivity,
    ensemble,
    preflight,
    repositories,
    service_breaker,
    training_data,
    verifier_stack,
)

INSTANCE = Instance(id="i-1", repo="o/n", base_commit="c" * 40, problem="p")


def test_a_place_that_is_no_folder_or_too_small_is_named_before_a_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file is a file: give a folder with --out"):
        connectivity.check_disk(tmp_path / "file" / "runs", min_gb=0)
    with pytest.raises(UsageError, match=r"GB free at .*: 1e\+09 GB are needed"):
        connectivity.check_disk(tmp_path / "runs", min_gb=1e9)
    assert str(tmp_path) in connectivity.check_disk(tmp_path / "runs", min_gb=0)


def test_more_open_files_than_are_allowed_are_refused_with_the_command():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("any number of files may be open here")
    with pytest.raises(UsageError, match=rf"{hard + 1} open files are needed .*ulimit -n"):
        preflight.allow_open_files(hard + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    assert preflight.allow_open_files(soft) == f"{soft} allowed"


def test_a_folder_of_repositories_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="there is no such folder"):
        repositories.repo_cache(str(tmp_path / "gone"), print)


def test_an_unreadable_history_is_told_and_the_issue_routed_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = []
    cache = repositories.repo_cache("", said.append)
    instance = INSTANCE.model_copy(update={"repo": "demo/nothing"})
    assert repositories.past_commits_of(cache, instance, said.append) == ()
    assert repositories.graph_of(cache, instance, said.append) is None
    assert any("routed without its repository's history" in line for line in said)
    assert any("routed by its text alone" in line for line in said)


def test_a_knob_that_a_selector_has_not_is_named():
    wrong = settings.load("demo", sets=["selector=random", "ensemble.knobs.speed=3"])
    with pytest.raises(UsageError, match="selector 'random': there is no knob 'speed'"):
        ensemble.build_selector(wrong)
    assert ensemble.build_selector(settings.load("demo", sets=["selector=random"])) is not None


def test_a_tier_that_is_not_there_is_named_with_the_nearest_one():
    known = settings.load("demo")
    name = next(iter(known.tiers))
    with pytest.raises(UsageError, match=rf"there is no tier '{name}x': there is .*{name}"):
        verifier_stack.require_tier(known, f"{name}x")
    assert verifier_stack.require_tier(known, name) is known.tiers[name]


def test_a_tier_without_its_key_or_price_has_a_gap_and_others_have_none(monkeypatch):
    known = settings.load("demo")
    name = next(iter(known.tiers))
    assert preflight.tier_gap(known, name) == ""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    keyed = known.tiers[name].model_copy(update={"api_key_env": "NO_SUCH_KEY", "dialect": "openai"})
    without = known.model_copy(update={"tiers": {name: keyed}})
    assert "NO_SUCH_KEY" in preflight.tier_gap(without, name)


def test_a_stop_file_that_nobody_wrote_is_no_giving_up(tmp_path):
    run = RunFolder(tmp_path)
    assert not service_breaker.has_given_up(run)
    run.stop_file.write_text(service_breaker.GIVEN_UP_STOP_REASON)
    assert service_breaker.has_given_up(run)


TABLE = OutcomeTable(
    tuple(
        OutcomeRow(f"i-{number}", system, number < won, usd=usd)
        for system, won, usd in (("small", 1, 0.1), ("middle", 2, 0.2), ("large", 3, 0.3))
        for number in range(4)
    ),
    "t.csv",
)


def test_tiers_stand_for_systems_by_rank_and_by_name():
    found = training_data.systems_of_arms(TABLE, {"strong": "middle"}, ["weak", "strong"])
    assert found == {"weak": "small", "strong": "middle"}
    assert training_data.systems_of_arms(TABLE, {}, ["only"]) == {"only": "large"}
    with pytest.raises(UsageError, match=r"systems\.stronk: the ladder is weak, strong"):
        training_data.systems_of_arms(TABLE, {"stronk": "large"}, ["weak", "strong"])
    bare = OutcomeTable((OutcomeRow("i", "s", True),), "bare.csv")
    with pytest.raises(UsageError, match=r"no run of bare\.csv has a cost"):
        training_data.systems_of_arms(bare, {}, ["weak"])


def test_what_a_fit_reads_is_told_from_a_policys_own_knobs():
    own, asked = training_data.split_knobs(
        {"margin": 1, "outcomes": "t.csv", "systems": {"weak": "s"}, "systems.strong": "l"}
    )
    assert own == {"margin": 1}
    assert (asked.outcomes, asked.systems) == ("t.csv", {"weak": "s", "strong": "l"})
    with pytest.raises(UsageError, match=r"write systems\.TIER=SYSTEM"):
        training_data.split_knobs({"systems": "s"})


def test_ratings_of_a_features_file_reach_the_issue_that_they_are_of(tmp_path):
    row = {"instance_id": "i-1", "repo": "o/n", "values": {"judge.hard": 4.0, "words": 7.0},
           "provenance": {"judge.hard": "judge", "words": "issue"}}  # fmt: skip
    file = tmp_path / "f.jsonl"
    file.write_text(json.dumps(row) + "\n")
    bare = Features(instance_id="i-1", repo="o/n", values={"words": 3.0})
    rated = training_data.with_ratings(bare, {"features": str(file)})
    assert require_values(rated) == {"words": 3.0, "judge.hard": 4.0}
    assert rated.provenance["judge.hard"] == "judge"
    other = bare.model_copy(update={"instance_id": "i-2"})
    assert training_data.with_ratings(other, {"features": str(file)}) is other
    assert training_data.with_ratings(bare, {}) is bare


def test_a_policy_that_learns_needs_an_issue_with_a_run_of_each_system(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("instance_id,system,resolved,usd\na,s,1,1\nb,l,1,2\n")
    asked = training_data.TrainingSources(outcomes=str(table))
    with pytest.raises(UsageError, match=r"has no issue with a run of each system \(.*s"):
        training_data.training_of_ladder(asked, ["weak", "strong"], [])


@pytest.mark.parametrize("text", ["{", "[1]", '{"instance_id": "i"}', '{"outcomes": [1]}'])
def test_imported_candidates_that_are_damaged_are_named(text, tmp_path):
    assert load_case(tmp_path) is None
    (tmp_path / imported_candidates.CASE_FILE).write_text(text)
    with pytest.raises(UsageError, match="is damaged"):
        load_case(tmp_path)


def test_a_line_that_is_no_note_of_a_verifier_is_named(tmp_path):
    file = tmp_path / "notes.jsonl"
    file.write_text('{"key": "a", "value": 1}\n{"key": "a"}\n')
    with pytest.raises(UsageError, match=r"notes\.jsonl:2 is no note"):
        len(VerifierStore(file))


def test_a_process_that_takes_no_commands_is_lost_and_says_how_it_ended():
    deaf = Pipes(["sleep", "1000"], None)
    try:
        with pytest.raises(Lost, match="takes no more commands"):
            deaf.send(b"x" * 1_000_000, 0.05)
        assert deaf.recv(0.0) is None
        assert deaf.epitaph() == ""
    finally:
        deaf.close()
        deaf.close()
    gone = Pipes(["sh", "-c", "exit 3"], None)
    try:
        assert gone.recv(60.0) == b""
        assert gone.epitaph() == "its process ended with code 3"
        with pytest.raises(Lost, match="the sandbox went away: its process ended with code 3"):
            gone.send(b"x", 5.0)
    finally:
        gone.close()


def test_a_folder_whose_modes_an_agent_took_away_is_removed(tmp_path):
    folder = tmp_path / "sandbox"
    (folder / "inner" / "deep").mkdir(parents=True)
    (folder / "inner" / "deep" / "file").write_text("")
    (folder / "inner" / "deep").chmod(0)
    (folder / "inner").chmod(0)
    temp_folders.discard_folder(folder)
    assert not folder.exists()


def test_a_commit_that_a_repository_has_not_is_named_in_gits_words(tmp_path):
    with pytest.raises(WouldNotStart, match="does not appear to be a git repository"):
        work_trees.check_out(tmp_path / "none", "c" * 40, tmp_path / "tree")
