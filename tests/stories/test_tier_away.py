"""A tier that stays away holds those that need it and nobody else; the user says how long."""

from __future__ import annotations

import json

import pytest

from swe_router.__main__ import main
from swe_router.instances import splits
from swe_router.journal.header import header_of_run
from swe_router.ledger import log_reader
from swe_router.wiring.run_wiring import RunWiring
from tests.doubles.served import Provider, call
from tests.stories.test_provider_away import CREDIT, folder, preset

THREE = [one.id for one in splits.load_instances("demo")[:3]]
HARD = THREE[1]
WORDS = {one.id: one.problem[:60] for one in splits.load_instances("demo")}
GONE = (401, {"error": {"message": "Incorrect API key provided"}})


def gives_up_on(provider, hard):
    """Refusals of a cheap tier that hands in nothing for some instances."""

    def answer(n):
        said = json.dumps(provider.seen[-1])
        return (
            (200, call("submit")) if any(json.dumps(WORDS[h])[1:-1] in said for h in hard) else None
        )

    return answer


def run(tmp_path, file, ids, *more):
    given = ["--split", "demo", "-i", ",".join(ids), "--preset", str(file), "--no-grade"]
    where = ["--out", str(tmp_path / "runs"), "--sandbox", "local", "--unsafe", "--json"]
    return main(["run", *given, *where, *more])


def test_a_dear_tier_that_stays_away_holds_only_those_that_need_it(tmp_path, capsys):
    """The run ended, though the cheap tier could solve all the others."""
    with Provider() as local, Provider(refuse=lambda n: GONE) as cloud:
        local.refuse = gives_up_on(local, [HARD])
        file = preset(tmp_path, local.url, cloud.url, give_up=0.5)
        assert run(tmp_path, file, THREE) == 1
        said = capsys.readouterr()
        told = json.loads(said.out)
        assert (told["ended"], told["escalated"]) == ("infra", 0)
        assert "key refused" in told["away"]["tier cloud"]["cause"]
        assert f"{HARD}: held for what was given up" in said.err
        made = folder(tmp_path)
        assert set(made.records()) == set(THREE) - {HARD}
        assert {one.status for one in made.records().values()} == {"candidate"}
        assert log_reader.read_ledger(made.ledger_file).reserved == 0

        # It is back: only its own instance is gone on with, and nothing is paid for twice.
        cloud.refuse = lambda n: None
        asked = local.asked
        assert main(["resume", str(made.path)]) == 0
    assert (local.asked, cloud.asked) == (asked, cloud.asked)
    attempts = [one.attempt.id for one in made.records()[HARD].outcomes]
    assert attempts == ["1-local", "2-cloud"]
    spent = sum(one.usd for one in made.records().values())
    assert sum(log_reader.read_ledger(made.ledger_file).settled.values()) == spent
    assert main(["replay", str(made.path)]) == 0
    assert "all as recorded" in capsys.readouterr().out


def test_a_tier_that_comes_back_after_it_was_given_up_is_used_again_in_the_same_run(
    tmp_path, capsys
):
    with Provider() as local, Provider() as cloud:
        cloud.refuse = lambda n: GONE if local.asked < 5 else None  # back at the last instance
        local.refuse = gives_up_on(local, [THREE[0], THREE[2]])
        file = preset(tmp_path, local.url, cloud.url, give_up=0.5)
        assert run(tmp_path, file, THREE, "--set", "breaker.longest_wait=0.1") == 0
        said = capsys.readouterr().err
        assert "tier cloud is given up" in said
        assert "tier cloud is back" in said
        assert main(["replay", "latest", "--out", str(tmp_path / "runs")]) == 0
    escalated = [n for n, one in folder(tmp_path).records().items() if len(one.outcomes) > 1]
    assert sorted(escalated) == sorted([THREE[0], THREE[2]])


def test_a_first_tier_that_stays_away_is_not_asked_for_by_every_instance(tmp_path, capsys):
    """Other tiers are there, so the run looks on: but not at 500 instances that begin with it."""
    with Provider(refuse=lambda n: GONE) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=0.5)
        every = [one.id for one in splits.load_instances("demo")]
        assert run(tmp_path, file, every) == 1
        said = capsys.readouterr().err
    assert said.count("held for what was given up") == 3
    assert f"{len(every) - 3} instances more would begin with it" in said
    assert (cloud.asked, folder(tmp_path).records()) == (0, {})


def test_what_every_instance_needs_ends_the_run_when_it_is_given_up(tmp_path, capsys):
    """The tier that writes the tests of all: without it no attempt could be checked."""
    with Provider() as local, Provider() as cloud, Provider(refuse=lambda n: GONE) as writer:
        file = preset(tmp_path, local.url, cloud.url, give_up=0.5)
        text = file.read_text()
        table = text[text.index("[tiers.cloud]") : text.index("[policy]")]
        table = table.replace("tiers.cloud", "tiers.writer").replace(cloud.url, writer.url)
        text = text.replace(
            'names = ["applies"]', 'names = ["applies", "reproduction"]\nwriter = "writer"'
        )
        file.write_text(text.replace("[policy]", f"{table}\n[policy]"))
        assert run(tmp_path, file, THREE) == 1
        told = json.loads(capsys.readouterr().out)
    assert (told["ended"], list(told["away"])) == ("infra", ["tier writer"])
    assert (local.asked, cloud.asked) == (3, 0), "attempts were paid for that nobody could check"


@pytest.mark.parametrize("command", ["resume", "run --resume"])
def test_patience_is_the_users_at_a_resume(tmp_path, capsys, command):
    """A run that gave up after its 240 s could never be told to wait for longer, or less long."""
    with Provider(refuse=lambda n: GONE) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=0.3)
        assert run(tmp_path, file, THREE[:1]) == 1
        made = folder(tmp_path)
        asked = local.asked
        local.refuse = lambda n: GONE if local.asked < asked + 12 else None
        more = ["--set", "breaker.give_up_seconds=60", "--set", "breaker.longest_wait=0.1"]
        if command == "resume":
            assert main(["resume", str(made.path), *more]) == 0
        else:
            assert run(tmp_path, file, THREE[:1], "--resume", made.name, *more) == 0
    assert len(made.records()) == 1
    assert made.settings_file.read_text().count('"give_up_seconds": 0.3') == 1, "the seal broke"
    assert main(["show", str(made.path)]) == 0
    assert main(["replay", str(made.path)]) == 0
    capsys.readouterr()


def test_patience_can_be_changed_while_another_process_drives_the_run(tmp_path, capsys):
    with Provider(refuse=lambda n: GONE) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=0.1)
        assert run(tmp_path, file, THREE[:1]) == 1
    made = folder(tmp_path)
    driver, settings = RunWiring(made, header_of_run(made), print), header_of_run(made).settings
    capsys.readouterr()
    with made.locked():
        more = ["--set", "tiers.local.give_up_seconds=7200", "--json"]
        assert main(["resume", str(made.path), *more]) == 0
        assert json.loads(capsys.readouterr().out)["driven"] is True
    known = driver.breaker._patience("tier local"), driver.breaker._patience("tier cloud")
    assert [one.give_up_seconds for one in known] == [7200.0, settings.breaker.give_up_seconds]
    assert known[0].refused_seconds == 7200.0, "a key that is refused was given up earlier"


WRONG = {
    "budget=7": "budget",
    "tiers.local.model=x": "tiers.local.model",
    "breaker.give_up_secs=1": "give_up_seconds",
    "breaker.give_up_seconds=-1": "breaker.give_up_seconds",
    "tiers.loca.give_up_seconds=3": "loca",
    "breaker=3": "breaker",
    "patience": "a.b=value",
}


def test_a_resume_may_change_its_patience_and_nothing_that_the_run_was_made_with(tmp_path, capsys):
    with Provider(refuse=lambda n: GONE) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=0.1)
        assert run(tmp_path, file, THREE[:1]) == 1
    made = folder(tmp_path)
    for text, names in WRONG.items():
        capsys.readouterr()
        assert main(["resume", str(made.path), "--set", text]) == 2, text
        said = capsys.readouterr().err
        assert names in said
        assert "Traceback" not in said
        assert not made.patience_file.exists()
    made.patience_file.write_text('{"breaker": {"failures": "many"}}')
    assert main(["resume", str(made.path)]) == 2
    assert "patience.json is damaged" in capsys.readouterr().err


def test_an_account_without_credit_is_given_up_sooner_than_a_server_that_may_be_starting(
    tmp_path, capsys
):
    refused = (400, {"error": {"type": "invalid_request_error", "message": CREDIT}})
    with Provider(refuse=lambda n: refused) as local, Provider() as cloud:
        file = preset(tmp_path, local.url, cloud.url, give_up=3600.0)
        assert run(tmp_path, file, THREE[:1], "--set", "breaker.refused_seconds=0.3") == 1
    told = json.loads(capsys.readouterr().out)
    assert "no credit" in told["away"]["tier local"]["cause"]
