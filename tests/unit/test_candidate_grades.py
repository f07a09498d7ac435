"""Every patch an attempt left has its own official verdict, kept beside those handed in."""

from __future__ import annotations

import json
import sys
from itertools import product

import pytest

from swe_router.commands.grade import grading_run, pending_grades
from swe_router.commands.report.error_rates import error_rates_of_runs, measured_verifier
from swe_router.commands.report.graded_verdicts import judged_verdicts
from swe_router.errors import UsageError
from swe_router.grading import gold as answer_key
from swe_router.grading.backend import GradingPlace, GradingTask
from swe_router.grading.grade import grade_patches
from swe_router.grading.official import OfficialBackend
from swe_router.grading.predictions import Prediction
from swe_router.instances import splits
from swe_router.journal.header import header_of_run
from swe_router.outcomes.importers import run_folders
from swe_router.records import ACCEPTANCE
from tests.doubles.grading import grading
from tests.doubles.judged import attempt, digest, folder, grade, patch, record, said

A, B = "o__r-1", "o__r-2"
HARNESS = '''
import json, pathlib, sys
o = dict(zip(sys.argv[1::2], sys.argv[2::2]))
[row] = json.load(open(o["--dataset_name"]))
[pred] = json.load(open(o["--predictions_path"]))
folder = pathlib.Path("logs/run_evaluation", o["--run_id"], pred["model_name_or_path"])
folder = folder / row["instance_id"]
folder.mkdir(parents=True)
with open(o["--report_dir"] + "/../../../calls", "a") as f:
    f.write(o["--run_id"] + "\\n")
(folder / "test_output.txt").write_text("""+ : '>>>>> Start Test Output'
PASSED t.py::a
= 1 passed in 0.1s =
+ : '>>>>> End Test Output'
+ echo '>>>>> Test Exit Code: 0'
>>>>> Test Exit Code: 0
""")
good = "+good" in pred["model_patch"]
report = {"patch_successfully_applied": True, "resolved": good}
(folder / "report.json").write_text(json.dumps({row["instance_id"]: report}))
'''


@pytest.fixture
def split(tmp_path):
    row = {
        "repo": "o/r", "version": "1", "base_commit": "c" * 40, "problem_statement": "It breaks.",
        "image": "img:1", "patch": patch("gold"), "test_patch": "", "FAIL_TO_PASS": ["t.py::a"],
        "PASS_TO_PASS": [], "log_parser": "parse_log_pytest", "eval_type": "pass_and_fail",
        "eval_script": ": '>>>>> Start Test Output'\ntest\n: '>>>>> End Test Output'",
    }  # fmt: skip
    (tmp_path / "rows.json").write_text(json.dumps([{**row, "instance_id": n} for n in (A, B)]))
    return str(tmp_path / "rows.json")


@pytest.fixture
def run(tmp_path):
    """Two instances: A with three attempts (two patches, one twice) and one blank, B with one."""
    checks = (said("applies", "pass"), said("repo-tests", "pass"))
    first = record(
        A,
        [attempt(1, "local", patch("bad"), *checks), attempt(2, "local", patch("bad"), *checks),
         attempt(3, "cloud", patch("good"), *checks), attempt(4, "cloud", "", checks[0])],
        "3-cloud",
    )  # fmt: skip
    second = record(B, [attempt(1, "local", patch("bad"), said("repo-tests", "fail"))], "1-local")
    return folder(tmp_path, [first, second])


def owed(run, **options):
    found = pending_grades.pending_grades(
        run, grading_run.run_predictions(run), grade_all_candidates=True, **options
    )
    return [(p.instance_id, p.digest) for p in found.submitted], [
        (p.instance_id, p.digest) for p in found.candidates
    ]


def test_a_patch_is_owed_once_and_a_blank_one_never(run):
    bad, good = digest(patch("bad")), digest(patch("good"))
    assert owed(run) == ([(A, good), (B, bad)], [(A, bad)])


def test_what_was_graded_is_not_owed_again_and_an_ungraded_one_is(run):
    run.add_grades([grade(A, patch("good"), "resolved"), grade(B, patch("bad"), "ungraded")])
    run.add_candidate_grade(grade(A, patch("bad"), "unresolved"))
    assert owed(run) == ([(B, digest(patch("bad")))], [])
    assert not pending_grades.has_ungraded_candidate(run), (
        "an ungraded one was seen: a resume does not insist"
    )


def test_a_candidate_that_is_handed_in_later_is_written_down_without_a_run(run):
    run.add_candidate_grade(grade(A, patch("good"), "resolved"))
    found = pending_grades.pending_grades(
        run, grading_run.run_predictions(run), grade_all_candidates=False
    )
    assert [(g.instance_id, g.outcome) for g in found.reused_grades] == [(A, "resolved")]
    assert [p.instance_id for p in found.submitted] == [B]
    assert found.candidates == []


def test_a_verdict_goes_before_an_ungraded_one_of_the_same_patch_in_either_file(run):
    key = (A, digest(patch("good")))
    run.add_candidate_grade(grade(A, patch("good"), "resolved"))
    run.add_grades([grade(A, patch("good"), "ungraded")])
    assert run.grades_by_patch()[key].outcome == "resolved"


def test_a_damaged_line_is_named_with_file_and_number(run):
    run.add_candidate_grade(grade(A, patch("bad"), "unresolved"))
    with run.candidate_grades_file.open("a") as file:
        file.write('{"instance_id": "o__r-1", "outcome": "maybe"}\n')
    with pytest.raises(UsageError, match=r"candidate_grades.jsonl:2 is no Grade \(outcome"):
        run.grades_by_patch()


def test_a_torn_last_line_is_owed_again(run):
    with run.candidate_grades_file.open("a") as file:
        file.write('{"instance_id": "o__r-1", "outcome": "unres')
    assert (A, digest(patch("bad"))) in owed(run)[1]
    run.add_candidate_grade(grade(A, patch("bad"), "unresolved"))
    assert [g.outcome for g in run.candidate_grades()] == ["unresolved"]


@pytest.fixture
def official(tmp_path):
    (tmp_path / "harness.py").write_text(HARNESS)
    command = (sys.executable, "-S", str(tmp_path / "harness.py"))
    return lambda: OfficialBackend(tmp_path / "work", harness=command)


def test_two_patches_of_one_instance_never_share_a_verdict(official, split, tmp_path):
    both = [Prediction(instance_id=A, patch=patch(word)) for word in ("bad", "good")]
    for _ in range(2):  # the second time from the harness's own cache
        found = grade_patches(both, *grading(split, official()))
        assert {key: g.outcome for key, g in found.items()} == {
            (A, both[0].digest): "unresolved",
            (A, both[1].digest): "resolved",
        }
    calls = (tmp_path / "work" / "calls").read_text().split()
    assert len(calls) == len(set(calls)) == 2
    gold, [instance] = answer_key.read_gold(split)[A], splits.load_instances(split, ids=(A,))
    places = [GradingPlace(tmp_path, GradingTask(instance, gold, one), "local") for one in both]
    assert len({place.folder for place in places}) == 2


class Stopped(Exception):
    """The user's Ctrl-C, at a moment of our choosing."""


def test_an_interrupted_grading_keeps_what_came_and_the_rest_stays_owed(run, official, split):
    left = pending_grades.pending_grades(
        run, grading_run.run_predictions(run), grade_all_candidates=True
    )

    def keep(one):
        run.add_grades([one])
        raise Stopped

    with pytest.raises(Stopped):
        grade_patches(left.submitted, *grading(split, official()), workers=1, progress=keep)
    assert len(run.grades()) == 1
    assert len(owed(run)[0]) == 1


def test_a_combination_of_another_package_is_what_decided_in_reports(tmp_path):
    """Without a row of ``acceptance`` a report has no error rate of what was accepted."""
    mine = said("mine", "pass", 0.8).model_copy(update={"combines": True})
    one = attempt(1, "local", patch("good"), said("applies", "pass"), mine)
    run = folder(tmp_path, [record(A, [one], "1-local")])
    rows = {row.verifier: row for row in judged_verdicts(run, header_of_run(run))}
    assert list(rows) == ["applies", "mine", ACCEPTANCE]
    assert (rows[ACCEPTANCE].outcome, rows[ACCEPTANCE].score) == ("pass", 0.8)
    assert rows[ACCEPTANCE].seconds == 2.0


def test_verdicts_are_joined_with_the_result_on_their_own_patch(run):
    run.add_grades([grade(A, patch("good"), "resolved"), grade(B, patch("bad"), "unresolved")])
    rows, asked = judged_verdicts(run, header_of_run(run)), ("applies", "repo-tests", ACCEPTANCE)
    assert [(r.instance_id, r.attempt, r.verifier, r.outcome, r.resolved) for r in rows] == [
        *((A, f"{n}-local", v, "pass", None) for n in (1, 2) for v in asked),
        *((A, "3-cloud", v, "pass", True) for v in asked),
        (B, "1-local", "repo-tests", "fail", False),
        (B, "1-local", ACCEPTANCE, "fail", False),
    ]  # fmt: skip
    assert rows[0].author == "recorded-local"
    assert [r.seconds for r in rows[:3]] == [1.0, 1.0, 2.0], (
        "the combination costs what it rests on"
    )
    run.add_candidate_grade(grade(A, patch("bad"), "unresolved"))
    facts = error_rates_of_runs([run])
    assert (facts["candidates"], facts["right"], facts["wrong"], facts["ungraded"]) == (4, 1, 3, 0)


def test_nothing_is_said_of_a_cascade_from_the_last_tier_of_the_ladder(tmp_path):
    told = said(ACCEPTANCE, "pass", 0.9)
    pairs = product(("local", "cloud"), ("good", "bad"))
    made = [attempt(k, tier, patch(word), told) for k, (tier, word) in enumerate(pairs)]
    run = folder(tmp_path, [record(A, made, None)])
    for word, outcome in (("good", "resolved"), ("bad", "unresolved")):
        run.add_candidate_grade(grade(A, patch(word), outcome))
    groups = error_rates_of_runs([run])["groups"]
    assert [(one["tier"], one["needs"] is None) for one in groups] == [
        ("local", False), ("cloud", True), ("all", True),
    ]  # fmt: skip


def test_an_acceptance_verdict_is_the_combination_and_not_counted_twice(tmp_path):
    one = attempt(1, "local", patch("bad"), said("repo-tests", "pass", usd="0.02"),
                  said(ACCEPTANCE, "fail", 0.2))  # fmt: skip
    rows = judged_verdicts(
        run := folder(tmp_path, [record(A, [one], "1-local")]), header_of_run(run)
    )
    assert [(r.verifier, r.outcome, r.score, float(r.usd)) for r in rows] == [
        ("repo-tests", "pass", None, 0.02), (ACCEPTANCE, "fail", 0.2, 0.02),
    ]  # fmt: skip


def test_an_exported_run_has_a_row_an_attempt_with_verdict_and_probability(tmp_path):
    one = attempt(1, "local", patch("bad"), said(ACCEPTANCE, "fail", 0.2))
    two = attempt(2, "cloud", patch("good"), said(ACCEPTANCE, "pass", 0.9))
    made = record(A, [one, two], "2-cloud")
    marked = {(A, digest(patch("bad"))): grade(A, patch("bad"), "unresolved")}
    found = run_folders.rows_of_run(
        {A: made},
        {A: grade(A, patch("good"), "resolved")},
        system="all",
        models={},
        priced_on={},
        candidates=marked,
    )
    assert [(r.system, r.resolved, r.verdict, r.probability) for r in found.rows] == [
        ("all", True, "pass", 0.9), ("local", False, "fail", 0.2), ("cloud", True, "pass", 0.9),
    ]  # fmt: skip
    assert found.left_out == {}


def test_a_runs_operating_point_is_measured_on_the_asked_tier(run):
    run.add_grades([grade(A, patch("good"), "resolved"), grade(B, patch("bad"), "unresolved")])
    run.add_candidate_grade(grade(A, patch("bad"), "unresolved"))
    whole = measured_verifier(run)
    assert (whole.tpr, whole.fpr) == (1.0, pytest.approx(2 / 3))
    assert (whole.measured.tpr_n, whole.measured.fpr_n) == (1, 3)
    assert "too few" in whole.description
    with pytest.raises(UsageError, match="0 right and 3 wrong patches of local"):
        measured_verifier(run, "", "local")
    with pytest.raises(UsageError, match="no patch of tier 'none': there is local, cloud"):
        measured_verifier(run, "none")
