"""An issue of one's own, outside of any benchmark: from a repository to a judged patch."""

from __future__ import annotations

import gzip
import json
import subprocess

import pytest

from swe_router.__main__ import main
from swe_router.codegraph import repo_building
from swe_router.commands.grade.grading_run import grade_file
from swe_router.commands.run import own_issue_file
from swe_router.commands.run.own_issue_file import OwnIssueRequest
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.journal.run_folder import RunFolder

TIER = """
[tiers.one]
dialect = "scripted"
model = "m"
window = 90000
attempt_usd = 0.5
price = "free"
[tiers.one.options]
recordings = "{folder}"
[policy]
name = "fixed"
ladder = ["one"]
[verify]
names = ["applies"]
"""
RECORDING = """
[[step]]
[[step.call]]
tool = "bash"
command = "pwd; sed -i 's/ + 1//' calc.py && git diff --stat"
[[step]]
[[step.call]]
tool = "submit"
"""
COMMAND = "python -c 'from calc import add; assert add(1, 2) == 3'"
ISSUE = "Sums are one too high.\n\n![a screenshot](https://example.org/sum.png)\n"


def git(folder, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "my calc"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "calc.py").write_text("def add(a, b):\n    return a + b + 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    git(folder, "tag", "v1")
    (folder / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    git(folder, "commit", "-qam", "the fix, which no sandbox may show")
    return folder


def words_of(repo, tmp_path, *more):
    (tmp_path / "issue.md").write_text(ISSUE)
    asked = OwnIssueRequest(str(repo), str(tmp_path / "issue.md"), "v1", test_command=COMMAND)
    (one,) = splits.load_instances(str(own_issue_file.write_own_issue(asked, tmp_path / "probe")))
    (tmp_path / "played").mkdir()
    (tmp_path / "played" / f"{one.id}.toml").write_text(RECORDING)
    preset = tmp_path / "mine.toml"
    preset.write_text(TIER.format(folder=tmp_path / "played"))
    return [
        *("run", "--repo", str(repo), "--commit", "v1", "--issue", str(tmp_path / "issue.md")),
        *("--preset", str(preset), "--budget", "1", "--out", str(tmp_path / "runs"), "--json"),
        *more,
    ]


def test_an_issue_of_ones_own_is_solved_and_judged_by_the_users_command(repo, tmp_path, capsys):
    assert main(words_of(repo, tmp_path, "--test-command", COMMAND)) == 0
    assert json.loads(capsys.readouterr().out)["resolved"] == 1
    run = RunFolder.find("latest", tmp_path / "runs")
    (one,) = run.instances()
    assert (one.dataset, one.repository, one.base_commit) == (
        *("own-issue", str(repo)),
        git(repo, "rev-parse", "v1"),
    )
    assert one.images == ("https://example.org/sum.png",)
    assert COMMAND not in (run.path / "instances.jsonl").read_text()
    grade = run.grades()[one.id]
    assert grade.evidence["exit_before"] == "1"
    assert grade.evidence["exit_after"] == "0"
    assert main(["replay", str(run.path), "--out", str(tmp_path / "runs"), "--json"]) == 0
    assert main(["show", str(run.path), "--json"]) == 0


def test_without_a_command_the_patch_is_there_and_ungraded_with_the_reason(repo, tmp_path, capsys):
    assert main(words_of(repo, tmp_path)) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["resolved"] == 0
    run = RunFolder.find("latest", tmp_path / "runs")
    (grade,) = run.grades().values()
    assert grade.outcome == "ungraded"
    assert "no test command was given" in grade.evidence["reason"]
    name = grade.instance_id
    assert main(["show", str(run.path), name]) == 0
    assert "stands: ungraded (no test command was given" in capsys.readouterr().out
    (record,) = run.records().values()
    assert "-    return a + b + 1" in record.patch


@pytest.mark.parametrize(
    ("command", "patch", "outcome", "reason"),
    [
        ("exit 3", "fix", "unresolved", "ended with exit 3"),
        ("true", "fix", "resolved", "succeeds with the patch"),
        ("no-such-program", "fix", "ungraded", "could not be started"),
        ("true", "nonsense", "unresolved", "does not apply"),
    ],
)
def test_the_users_command_is_the_judge(repo, tmp_path, command, patch, outcome, reason):
    asked = OwnIssueRequest(str(repo), "Sums are too high.", "v1", test_command=command)
    split = str(own_issue_file.write_own_issue(asked, tmp_path))
    (one,) = splits.load_instances(split)
    fix = git(repo, "diff", "v1", "main") + "\n"
    fix = fix if patch == "fix" else fix.replace("+ 1", "+ 7")
    predictions = tmp_path / "preds.json"
    predictions.write_text(json.dumps({one.id: {"instance_id": one.id, "model_patch": fix}}))
    (grade,) = grade_file(
        predictions, split, sandbox="local", unsafe=True, timeout=60, workers=1,
        say=lambda line: None,
    ).values()  # fmt: skip
    assert (grade.outcome, reason in grade.evidence["reason"]) == (outcome, True), grade
    assert bool(grade.doubt) == (command == "true" and patch == "fix")


def test_a_strategy_with_requests_of_its_own_replays_by_its_seals_and_sums(repo, tmp_path, capsys):
    scaffold = tmp_path / "mine"
    scaffold.mkdir()
    (scaffold / "scaffold.toml").write_text('strategy = "tests.doubles.third_party:WritesItself"\n')
    own = ("--test-command", COMMAND, "--set", f"scaffold={scaffold}")
    assert main(words_of(repo, tmp_path, *own)) == 0
    assert json.loads(capsys.readouterr().out)["resolved"] == 1
    run = RunFolder.find("latest", tmp_path / "runs")
    assert main(["replay", str(run.path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "WritesItself', which makes its own requests, seals and sums were compared" in told
    (file,) = run.path.glob("trajectories/*/1-one*.jsonl.gz")
    changed = gzip.decompress(file.read_bytes()).replace(b"0" * 64, b"1" * 64)
    file.write_bytes(gzip.compress(changed))
    assert main(["replay", str(run.path)]) == 1
    assert "step 1 seal" in capsys.readouterr().out


def test_a_name_of_a_remote_is_looked_up_as_git_does_and_not_by_its_last_part(repo, tmp_path):
    git(repo, "branch", "aa/main", "v1")
    git(repo, "tag", "-a", "noted", "-m", "an annotated tag")
    address = repo.rename(tmp_path / "calc").as_uri()

    def commit(name=""):
        file = own_issue_file.write_own_issue(
            OwnIssueRequest(address, "It breaks badly.", name), tmp_path
        )
        return splits.load_instances(str(file))[0].base_commit

    there = tmp_path / "calc"
    main_now = git(there, "rev-parse", "main")
    assert commit("main") == commit() == commit("noted") == commit("refs/heads/main") == main_now
    assert commit("aa/main") == git(there, "rev-parse", "v1") != main_now


def test_a_remote_without_its_default_branch_asks_for_a_commit_and_takes_one(repo, tmp_path):
    git(repo, "symbolic-ref", "HEAD", "refs/heads/gone")
    address = repo.rename(tmp_path / "calc").as_uri()
    with pytest.raises(UsageError, match="has no default branch: name a commit by --commit"):
        own_issue_file.write_own_issue(OwnIssueRequest(address, "It breaks badly."), tmp_path)
    repo_building.check_answers(address)
    file = own_issue_file.write_own_issue(
        OwnIssueRequest(address, "It breaks badly.", "main"), tmp_path
    )
    assert splits.load_instances(str(file))[0].repository == address


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"repository": "no/such/folder"}, "no folder of that name, and no address"),
        ({"commit": "nobranch"}, "--commit 'nobranch' is not in"),
        ({"commit": "--upload-pack=x"}, "is no commit, branch or tag"),
        ({"issue": "no-such-file.md"}, "no such file; give a file, a text or -"),
        ({"issue": " \n"}, "--issue is empty"),
    ],
)
def test_half_an_issue_is_refused_with_what_to_give(repo, tmp_path, fields, reason):
    given = {"repository": str(repo), "issue": "It breaks badly.", **fields}
    with pytest.raises(UsageError) as error:
        own_issue_file.write_own_issue(OwnIssueRequest(**given), tmp_path)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--issue", "It breaks."], "--issue: goes with --repo"),
        (["--repo", "."], "--repo needs --issue"),
        (["--repo", ".", "--issue", "It breaks.", "--workdir", "/app"], "it goes with --image"),
        (["--repo", ".", "--issue", "a b", "--split", "demo"], "--split and --from do not go"),
    ],
)
def test_flags_that_do_not_go_together_are_named(words, reason, capsys, tmp_path):
    assert main(["run", *words, "--out", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err
