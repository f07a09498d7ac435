"""A run whose verifiers only ask models: judged, paid, stopped, resumed and replayed."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from swe_router.__main__ import main
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import Ledger
from tests.doubles.opinions import code_of, materials, outside
from tests.doubles.served import Provider, call, work

ONE = splits.load_instances("demo")[0].id
OPINIONS = ("rubric", "tournament", "summary-bracket")
TIER = """
[tiers.{name}]
dialect = "{dialect}"
model = "m"
base_url = "{url}"
window = 100000
max_output_tokens = 1000
retries = 1
attempt_usd = 0.1
attempt_steps = 9
price = {{ input = 1.0, output = 2.0 }}
"""
REST = """
candidates = 2
selector = "pairwise"
[policy]
name = "best-of-k"
ladder = ["local", "cloud"]
knobs = { k = 2 }
[ensemble]
tiers = ["cloud"]
[verify]
names = ["applies", "rubric", "tournament", "summary-bracket", "acceptance"]
judge = "judge"
[verify.tiers.rubric]
writer = "judge"
[verify.knobs.rubric]
looks = 2
[breaker]
first_wait = 0.1
longest_wait = 0.3
"""
RUBRIC = {"rubric": [{"text": "fixed.py is better", "weight": 3, "axis": "issue"}]}


def attempts_of_cloud(turn: int) -> dict[str, Any]:
    return call("bash", command="echo better > fixed.py") if turn == 1 else work(turn)


def better(text: str) -> bool:
    return "+better" in text or "it is better" in text


def judged(body: dict[str, Any]) -> dict[str, Any]:
    """What an honest judge answers to the prompt of any of the three."""
    turns = [one["content"] for one in body["messages"]]
    prompt = turns[-1]
    if "You write a rubric" in turns[0]:
        return reply(json.dumps({"search": "def "} if len(turns) == 1 else RUBRIC))
    shown = materials(prompt)
    if "top_logprobs" in body:
        place = "first" if "Rate the first" in outside(prompt) else "second"
        return reply("A", {"B" if better(shown[place]) else "R": 0.9, "The": 0.1})
    mine: dict[str, Any] = {"check": code_of(prompt)}
    if "Summarise the work" in prompt:
        mine["change"] = "it is better" if better(shown["diff"]) else "it is right"
    elif "Hold the change" in prompt:
        met = better(shown["diff"])
        mine |= {"met": ["c1"] if met else [], "unmet": [] if met else ["c1"]}
    else:
        mine["better"] = "first" if better(shown["first"]) else "second"
    return reply(json.dumps(mine))


def reply(text: str, letters: dict[str, float] | None = None) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    choice["message"] = {"role": "assistant", "content": text}
    if letters:
        top = [{"token": token, "logprob": math.log(p)} for token, p in letters.items()]
        choice["logprobs"] = {"content": [{"token": text, "logprob": 0, "top_logprobs": top}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "c", "object": "chat.completion", "model": "j", "choices": [choice],
            "usage": usage}  # fmt: skip


class Served:
    """The three servers of a run."""

    def __init__(self) -> None:
        self.local = Provider()
        self.cloud = Provider(refuse=lambda n: (200, attempts_of_cloud(_turn(self.cloud, n))))
        self.judge = Provider(refuse=lambda n: (200, judged(self.judge.seen[n])))

    def __enter__(self) -> Served:
        for one in (self.local, self.cloud, self.judge):
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.local, self.cloud, self.judge):
            one.stop()

    def prompts(self) -> list[str]:
        return [json.dumps(body, sort_keys=True) for body in self.judge.seen]


def _turn(provider: Provider, n: int) -> int:
    return sum(one.get("role") == "assistant" for one in provider.seen[n]["messages"])


def words(tmp_path: Path, served: Served, *more: str) -> list[str]:
    file = tmp_path / "opinions.toml"
    tiers = TIER.format(name="local", dialect="openai", url=served.local.url)
    tiers += TIER.format(name="cloud", dialect="openai", url=served.cloud.url)
    tiers += TIER.format(name="judge", dialect="vllm", url=served.judge.url)
    head, _, rest = REST.partition("[policy]")
    file.write_text(f"budget = 3\n{head}{tiers}[policy]{rest}")
    where = ["--out", str(tmp_path / "runs"), "--sandbox", "local", "--unsafe", "--no-grade"]
    return ["run", "--split", "demo", "-i", ONE, "--preset", str(file), *where, "--json", *more]


def verdicts_of(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Attempt -> verifier -> verdict."""
    (record,) = run.records().values()
    return {
        one.attempt.id: {verdict.verifier: verdict for verdict in one.verdicts}
        for one in record.outcomes
    }


def check_money(run: RunFolder) -> None:
    figures = Ledger(run.ledger_file, Decimal(3)).figures()
    (record,) = run.records().values()
    assert figures.lost == figures.reserved == 0
    asked = sum(one.usd for outcome in record.outcomes for one in outcome.verdicts)
    assert figures.settled == record.usd + asked > record.usd


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run that nothing disturbed, and what its judge was asked."""
    folder = tmp_path_factory.mktemp("whole")
    with Served() as served:
        assert main(words(folder, served)) == 0
        return folder, served.prompts()


def test_the_better_change_is_preferred_by_all_three_and_handed_in(whole):
    run = RunFolder.find("latest", whole[0] / "runs")
    made = verdicts_of(run)
    worse, preferred = made["1-local"], made["2-cloud"]
    for name in OPINIONS:
        assert worse[name].score < preferred[name].score, name
        assert worse[name].outcome == preferred[name].outcome == "unknown"
    (record,) = run.records().values()
    assert record.chosen == "2-cloud"
    check_money(run)
    unweighed = set(preferred["acceptance"].evidence["unweighed"])
    assert unweighed == {"rubric", "tournament", "summary_bracket"}


def test_no_question_is_paid_for_twice_and_the_run_keeps_its_prompts(whole):
    folder, prompts = whole
    assert len(prompts) == len(set(prompts)) == 2 + 2 + 12 + 2 + 2
    run = RunFolder.find("latest", folder / "runs")
    kept = json.loads((run.path / "settings.json").read_text())["made_with"]
    assert {"prompt/rubric", "prompt/rubric-check", "prompt/tournament", "prompt/run-summary",
            "prompt/summary-bracket"} <= kept.keys()  # fmt: skip


def test_it_replays_exactly_without_a_server(whole, capsys):
    run = RunFolder.find("latest", whole[0] / "runs")
    assert main(["replay", str(run.path), "--out", str(whole[0] / "runs")]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("at", [1, 3, 9, 17])
def test_a_stopped_run_resumes_with_every_answer_that_it_paid_for(tmp_path, whole, at):
    """The user stops it while the judge is asked: the resume asks the rest and ends the same."""

    def stops(n: int) -> None:
        if n == at:
            next((tmp_path / "runs").glob("*/settings.json")).with_name("stop").touch()

    with Served() as served:
        served.judge.after = stops
        main(words(tmp_path, served))
        run = RunFolder.find("latest", tmp_path / "runs")
        served.judge.after = lambda n: None
        assert main(["resume", str(run.path), "--out", str(tmp_path / "runs"), "--json"]) == 0
        asked = served.prompts()
    assert sorted(asked) == sorted(set(asked)), "a paid question was asked again"
    check_money(run)
    made = verdicts_of(RunFolder.find("latest", tmp_path / "runs"))
    expected = verdicts_of(RunFolder.find("latest", whole[0] / "runs"))
    for attempt_id, verdicts in expected.items():
        for name in OPINIONS:
            assert made[attempt_id][name].score == verdicts[name].score
    assert main(["replay", str(run.path), "--out", str(tmp_path / "runs")]) == 0
