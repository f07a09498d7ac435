"""Weights of the user's own: what is fitted on, what is refused, and that the file serves."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from dataclasses import replace

import pytest

from swe_router import settings
from swe_router.__main__ import main
from swe_router.commands.calibrate import acceptance_calibration
from swe_router.commands.calibrate.acceptance_calibration import CalibrateRequest, calibrate
from swe_router.commands.report.error_rates import error_rates_of_runs
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import calibration
from swe_router.integrity.locate import find_run
from swe_router.outcomes.tables import labels
from swe_router.verifiers.acceptance import AcceptanceVerifier
from tests.doubles.judged import attempt, digest, folder, grade, patch, record, said
from tests.doubles.third_party import Sizes, name_of


def line(number: int, right: bool, **more):
    """A row of ``verify --json`` whose repo-tests verdict mostly tells right from wrong."""
    honest = number % 5 != 0
    outcome = "pass" if right == honest else "fail"
    counts = {"broken": 0 if outcome == "pass" else 2}
    return {
        "instance_id": f"own__repo{number % 4}-{number}", "candidate": "0", "outcome": outcome,
        "probability": None, "model_name_or_path": "some-model",
        "verdicts": [{"verifier": "repo-tests", "outcome": outcome, "score": None, "seconds": 1.0,
                      "evidence": {"counts": counts, "tests": {}}}],
        **more,
    }  # fmt: skip


@pytest.fixture
def files(tmp_path):
    def make(count: int, rights=lambda n: n % 2 == 0):
        rows = [line(n, rights(n), resolved=not rights(n)) for n in range(count)]
        said = tmp_path / "said.jsonl"
        said.write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = tmp_path / "labels.csv"
        told.write_text(
            "candidate,instance_id,resolved,existing_tests_broken\n"
            + "".join(f"0,{row['instance_id']},{int(rights(n))},7\n" for n, row in enumerate(rows))
        )
        return CalibrateRequest(tmp_path / "mine.json", verdict_files=(said,), label_files=(told,))

    return make


def test_a_fit_is_a_file_that_acceptance_takes_and_the_rows_own_label_is_ignored(files):
    wish = files(80)
    facts = calibrate(wish).facts
    assert (facts["rows"], facts["right"], facts["repositories"]) == (80, 40, 4)
    one = facts["classes"]["unknown"]
    assert one["auc"] > 0.6, "with the planted labels of the rows it would be under a half"
    made = calibration.load_calibration(str(wish.output_file))
    kept = made.probability({"tests_kept": 1.0}, "unknown", "new/repo")
    assert kept > made.probability({"tests_broken": 1.3}, "unknown", "new/repo")
    chosen = settings.load("demo", sets=[f"verify.calibration={wish.output_file}"]).verify
    assert AcceptanceVerifier(chosen).calibration.name == "mine"


def test_what_is_learned_of_a_new_signal_and_what_cannot_be_asked_is_reported(files, capsys):
    wish = files(80)
    rows = [json.loads(text) for text in wish.verdict_files[0].read_text().splitlines()]
    for number, row in enumerate(rows):
        sizes = {"verifier": name_of(Sizes), "outcome": "unknown", "score": None, "seconds": 1.0}
        row["verdicts"] += [
            {**sizes, "evidence": {"lines": 1 if number % 2 == 0 else 9}},
            {**sizes, "verifier": "uninstalled"},
        ]
    wish.verdict_files[0].write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("--verdicts", str(wish.verdict_files[0]), "--labels", str(wish.label_files[0]))
    assert main(["calibrate", *words, "--out", str(wish.output_file)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "signal small_change of no published figure: learned from 0 to +" in printed
    assert "80 verdicts of uninstalled give no signal: no package here offers it" in printed
    facts = calibrate(wish).facts
    assert facts["new_signals"]["small_change"]["unknown"] > 0.3
    assert facts["absent_verifiers"] == {"uninstalled": 80}


def test_blank_patches_and_rows_without_a_verdict_lower_no_bound(files):
    """A refused blank patch is no wrong patch that the verifiers saw through."""
    wish = files(40)
    text = wish.verdict_files[0].read_text()
    bare = calibrate(wish).facts["classes"]
    more = [line(n, False, patch=hashlib.sha256(b"").hexdigest()) for n in range(100, 200)]
    more.append({**line(200, False), "verdicts": []})
    wish.verdict_files[0].write_text(text + "".join(json.dumps(row) + "\n" for row in more))
    with wish.label_files[0].open("a") as told:
        told.writelines(f"0,{row['instance_id']},0,0\n" for row in more)
    facts = calibrate(wish).facts
    assert facts["classes"] == bare
    assert facts["left_out"] == {"rows of blank patches, or without a verdict": 101}


def test_the_same_rows_give_the_same_file(files):
    wish = files(40)
    calibrate(wish)
    first = wish.output_file.read_bytes()
    calibrate(wish)
    assert wish.output_file.read_bytes() == first


@pytest.mark.parametrize(
    ("count", "rights", "line"),
    [
        (12, lambda n: n % 2 == 0, "12 graded patches, right ones of 6 instances, wrong ones of 6"),
        (60, lambda n: n > 2, "60 graded patches, right ones of 57 instances, wrong ones of 3"),
    ],
)
def test_too_few_is_refused_with_what_there_is_and_nothing_is_written(files, count, rights, line):
    wish = files(count, rights)
    with pytest.raises(UsageError, match=line):
        calibrate(wish)
    assert not wish.output_file.exists()


def test_a_bound_that_the_data_cannot_show_is_not_claimed(files):
    one = calibrate(files(24)).facts["classes"]["unknown"]
    assert not one["shown"]
    assert one["claim"].startswith("not shown")


def test_of_runs_each_distinct_graded_patch_counts_once(tmp_path):
    made = []
    for n in range(24):
        tests = said("repo-tests", "pass" if n % 3 else "fail", counts={"broken": 0}, tests={})
        twice = [attempt(k, "local", patch(str(n)), tests) for k in (1, 2)]
        made.append(record(f"own__repo{n % 4}-{n}", [*twice, attempt(3, "cloud", patch("x"))], "1"))
    run = folder(tmp_path, made)
    for n, one in enumerate(made[:-1]):
        mark = "resolved" if n % 3 else "unresolved"
        run.add_candidate_grade(grade(one.instance.id, patch(str(n)), mark))
    facts = calibrate(CalibrateRequest(tmp_path / "c.json", runs=(str(run.path),))).facts
    assert facts["rows"] == 23
    assert facts["left_out"] == {
        acceptance_calibration.REPEATED_PATCHES: 23,
        acceptance_calibration.UNGRADED_PATCHES: 2,
    }
    assert facts["recordings"]
    assert digest(patch("0")) in {g.patch for g in run.candidate_grades()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.jsonl", '{"instance_id":"a","candidate":0,"resolved":true}\n\n'),
        ("l.json", '[{"instance_id":"a","candidate":"0","resolved":1}]'),
        ("l.csv", "instance_id,candidate,resolved\na,0,True\nb,0,\n"),
        ("l.jsonl.gz", '{"instance_id":"a","candidate":0,"resolved":true}\n'),
    ],
)
def test_labels_are_read_in_every_form(tmp_path, name, text):
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert labels.read_labels([tmp_path / name]) == {("a", "0"): True}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[3]", "holds no objects"),
        ('{"instance_id":"a","resolved":true}', "row 1 has no candidate"),
        ('{"instance_id":"a","candidate":1,"resolved":"maybe"}', "'maybe', not true or false"),
        ('{"instance_id":"a","candidate":1,"resolved":1}\n'
         '{"instance_id":"a","candidate":1,"resolved":0}', "has another result in an earlier row"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_trusted_are_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(UsageError, match=said):
        labels.read_labels([tmp_path / "l.jsonl"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "name graded runs"),
        (("--verdicts", "x.jsonl"), "--verdicts and --labels go together"),
        (("sample", "--false-accepts", "1.5"), "a share between 0 and 1"),
        (("sample", "--stop-loss"), "--stop-loss is fitted on --outcomes"),
        (("sample", "--value", "2"), "go with --stop-loss"),
        (("--stop-loss",), "--stop-loss needs --outcomes FILE and --value USD"),
    ],
)
def test_a_slip_on_the_command_line_is_one_line(tmp_path, capsys, words, line):
    assert main(["calibrate", *words, "--out", str(tmp_path / "c.json")]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("calibrate", "sample", "--out", "."), ("features", "--split", "demo", "--out", ".")]
)
def test_a_folder_in_the_place_of_a_file_is_one_line(capsys, words):
    assert main(words) == 2
    assert capsys.readouterr().err == ("swe-router: --out . is a folder: name the file to write\n")


def test_what_was_said_before_a_change_and_a_copy_of_a_file_count_no_second_time(files, tmp_path):
    wish = files(40)
    once = calibrate(wish).facts
    rows = wish.verdict_files[0].read_text()
    stale = [{**line(n, n % 2 == 1), "settings": "before"} for n in range(40)]
    wish.verdict_files[0].write_text("".join(json.dumps(row) + "\n" for row in stale) + rows)
    copy = tmp_path / "copy.jsonl"
    copy.write_text(rows)
    again = calibrate(replace(wish, verdict_files=(wish.verdict_files[0], copy))).facts
    assert again["classes"] == once["classes"]
    told = error_rates_of_runs([], (wish.verdict_files[0], copy), wish.label_files)
    assert told["groups"] == error_rates_of_runs([], (copy,), wish.label_files)["groups"]


def test_a_copy_of_a_run_is_fitted_no_second_time(tmp_path):
    run = find_run("sample", tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    one, two = (
        calibrate(CalibrateRequest(tmp_path / "c.json", runs=runs, runs_in=tmp_path)).facts
        for runs in (("sample",), ("sample", str(copy)))
    )
    assert (two["rows"], two["classes"]) == (one["rows"], one["classes"])


def test_nothing_is_said_of_a_cascade_from_strong_authors(files, capsys):
    wish = files(40)
    rows = [json.loads(text) for text in wish.verdict_files[0].read_text().splitlines()]
    names = ("gpt-4o", "claude-sonnet-4")
    rows = [{**row, "model_name_or_path": names[n // 2 % 2]} for n, row in enumerate(rows)]
    wish.verdict_files[0].write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = (
        "--verdicts",
        str(wish.verdict_files[0]),
        "--labels",
        str(wish.label_files[0]),
        "--json",
    )
    assert main(["report", *words]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert {one["tier"]: one["needs"] is None for one in groups} == {
        "weak authors": False, "strong authors": True, "all": True,
    }  # fmt: skip


def test_rows_of_verify_are_reported_by_class_of_author_with_their_labels(files, capsys):
    wish = files(40)
    rows = [json.loads(text) for text in wish.verdict_files[0].read_text().splitlines()]
    names = ("gpt-4o", "claude-sonnet-4")
    rows = [{**row, "model_name_or_path": names[n % 2 == 0]} for n, row in enumerate(rows)]
    blank = {**rows[1], "candidate": "9", "patch": hashlib.sha256(b"").hexdigest()}
    wish.verdict_files[0].write_text("".join(json.dumps(row) + "\n" for row in [*rows, blank]))
    words = (
        "--verdicts",
        str(wish.verdict_files[0]),
        "--labels",
        str(wish.label_files[0]),
        "--json",
    )
    assert main(["report", *words]) == 0
    facts = json.loads(capsys.readouterr().out)
    asked = [one for one in facts["groups"] if one["verifier"] == "repo-tests"]
    told = {one["tier"]: (one["right"], one["wrong"]) for one in asked}
    assert told == {"weak authors": (0, 20), "strong authors": (20, 0), "all": (20, 20)}
    whole = facts["groups"][-1]
    assert whole["verifier"] == "acceptance", "what a row came to, though none was asked"
    assert whole["tpr"]["k"] == sum(row["outcome"] == "pass" for row in rows[::2])
    assert whole["fpr"]["k"] == sum(row["outcome"] == "pass" for row in rows[1::2])
    assert main(["report"]) == 2
    assert main(["report", *words[:2]]) == 2
