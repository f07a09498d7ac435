"""What a user does after a run: grade every candidate, read how often the verifiers were wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.commands import replay
from swe_router.grading.predictions import Prediction
from swe_router.journal.run_folder import RunFolder
from tests.doubles.copies import copied

SAMPLE = assets.assets_root() / "runs" / "sample"
ONE = "demo__confet-14"
"""Its first attempt's patch breaks tests and is not handed in."""


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """The sample cut down to one instance, without the grades of its other candidates."""
    path = tmp_path / "run"
    ignored = [p.name for p in (SAMPLE / "trajectories").iterdir() if p.name != ONE]
    ignored.append("candidate_grades.jsonl")
    copied(SAMPLE, path, tuple(ignored))
    for name in ("records", "instances", "grades"):
        rows = [json.loads(text) for text in (path / f"{name}.jsonl").read_text().splitlines()]
        mine = [row for row in rows if ONE in (row.get("instance_id"), row.get("id"),
                                               (row.get("instance") or {}).get("id"))]  # fmt: skip
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in mine))
    return RunFolder(path)


def patches(run: RunFolder) -> dict[str, str]:
    """Attempt -> digest of its patch, of those that are not blank."""
    return {
        one.attempt.id: Prediction(instance_id=ONE, patch=one.candidate.patch).digest
        for one in run.records()[ONE].outcomes
        if one.candidate is not None and one.candidate.patch.strip()
    }


def told(capsys, *words: str):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_candidate_is_graded_once_and_json_lists_what_is_handed_in(run, capsys):
    handed_in = run.records()[ONE].chosen
    others = set(patches(run).values()) - {patches(run)[handed_in]}
    assert others, "an attempt whose patch was not handed in"
    assert list(told(capsys, "grade", str(run.path))) == [ONE]
    assert {grade.patch for grade in run.candidate_grades()} == others
    assert {grade.outcome for grade in run.candidate_grades()} == {"unresolved"}
    before = run.candidate_grades_file.read_bytes()
    told(capsys, "grade", str(run.path))
    assert run.candidate_grades_file.read_bytes() == before

    facts = told(capsys, "report", str(run.path))
    assert (facts["candidates"], facts["ungraded"]) == (len(patches(run)), 0)
    broken = [one for one in facts["false_accepts"] if one["attempt"] != handed_in]
    assert {one["verifier"] for one in broken}.isdisjoint({"repo-tests", "acceptance"})

    assert named(run) == []


def named(run: RunFolder) -> list[str]:
    """What a replay says of candidate grades."""
    shown = replay.replay_run(str(run.path), run.path.parent)
    return [line for line in shown.facts[ONE]["divergences"] if "candidate grade" in line]


FLIPS = {
    "the verdict": ({"outcome": "resolved"}, "outcome"),
    "the patch": ({"patch": "0" * 64}, "patch"),
}


@pytest.mark.parametrize("what", FLIPS)
def test_a_flipped_candidate_grade_is_named_by_replay(run, what):
    change, where = FLIPS[what]
    grade = next(iter(run.grades().values()))
    other = next(d for a, d in patches(run).items() if a != run.records()[ONE].chosen)
    counts = {"passed": 1, "failed": ["t"]}
    true = grade.model_copy(
        update={"outcome": "unresolved", "patch": other, "evidence": {"fail_to_pass": counts}}
    )
    run.add_candidate_grade(true)
    assert named(run) == []
    run.candidate_grades_file.unlink()
    run.add_candidate_grade(true.model_copy(update=change))
    [line] = named(run)
    assert f": {where}: recorded" in line


def test_two_verdicts_on_one_patch_that_contradict_each_other_are_named(run):
    grade = next(iter(run.grades().values()))
    other = next(d for a, d in patches(run).items() if a != run.records()[ONE].chosen)
    for outcome, failed in (("unresolved", ["t"]), ("resolved", [])):
        evidence = {"fail_to_pass": {"passed": 1, "failed": failed}}
        run.add_candidate_grade(
            grade.model_copy(update={"outcome": outcome, "patch": other, "evidence": evidence})
        )
    assert any("graded twice" in line for line in named(run))


def by_hand(run: Path) -> dict[str, list[int]]:
    """Verifier -> [right passed, right, wrong passed, wrong], from the raw lines alone."""
    grades = {}
    for name in ("candidate_grades.jsonl", "grades.jsonl"):
        for text in (run / name).read_text().splitlines() if (run / name).exists() else ():
            row = json.loads(text)
            grades[row["instance_id"], row["patch"]] = row["outcome"]
    found: dict[str, list[int]] = {}
    for text in (run / "records.jsonl").read_text().splitlines():
        record = json.loads(text)
        for outcome in record["outcomes"]:
            candidate = outcome["candidate"]
            if not candidate or not candidate["patch"].strip():
                continue
            result = grades.get((record["instance"]["id"], candidate["digest"]))
            for verdict in outcome["verdicts"]:
                cell = found.setdefault(verdict["verifier"], [0, 0, 0, 0])
                side = {"resolved": 0, "unresolved": 2}.get(result)
                if side is not None:
                    cell[side] += verdict["outcome"] == "pass"
                    cell[side + 1] += 1
    return found


def test_the_sample_is_accounted_for_as_its_raw_lines_say(tmp_path, capsys):
    facts = told(capsys, "report", "sample", "--out", str(tmp_path / "report"))
    whole = {one["verifier"]: one for one in facts["groups"] if one["tier"] == "all"}
    for verifier, counts in by_hand(SAMPLE).items():
        one = whole[verifier]
        assert [one["tpr"]["k"], one["tpr"]["n"], one["fpr"]["k"], one["fpr"]["n"]] == counts
    assert any("recordings" in note for note in facts["notes"])
    assert any("cannot be estimated" in note for note in facts["notes"])
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"report.html", "report.json", "report.md", "report.png"}
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == facts


def test_several_runs_are_pooled_and_a_run_named_twice_counts_once(run, capsys):
    marks = (SAMPLE / "candidate_grades.jsonl").read_text().splitlines(keepends=True)
    kept = "".join(line for line in marks if json.loads(line)["instance_id"] == ONE)
    (run.path / "candidate_grades.jsonl").write_text(kept)
    one = told(capsys, "report", str(run.path))
    both = told(capsys, "report", str(run.path), str(run.path))
    assert both["candidates"] == one["candidates"]
    alone = told(capsys, "report", "sample")
    pooled = told(capsys, "report", "sample", str(run.path))
    assert pooled["groups"] == alone["groups"], "a copy of a part of it adds nothing"
    records = [json.loads(text) for text in run.records_file.read_text().splitlines()]
    other = json.dumps({**records[0], "run": "another"})
    run.records_file.write_text(other + "\n")
    pooled = told(capsys, "report", "sample", str(run.path))
    assert pooled["candidates"] == alone["candidates"] + one["candidates"]
    assert pooled["instances"] == alone["instances"]


@pytest.mark.parametrize("name", ["v.csv", "v.jsonl"])
def test_verdicts_are_exported_one_a_row(tmp_path, capsys, name):
    out = tmp_path / name
    facts = told(capsys, "outcomes", "export", "sample", "--verdicts", str(out))
    text = out.read_text()
    rows = (
        list(csv.DictReader(text.splitlines()))
        if name == "v.csv"
        else [json.loads(line) for line in text.splitlines()]
    )
    assert facts["verdict_rows"] == len(rows) > 20
    right = [row for row in rows if row["resolved"] in ("1", True)]
    wrong = [row for row in rows if row["resolved"] in ("0", False)]
    counts = by_hand(SAMPLE)
    assert len([r for r in right if r["verifier"] == "repo-tests"]) == counts["repo-tests"][1]
    assert len([r for r in wrong if r["verifier"] == "repo-tests"]) == counts["repo-tests"][3]
    assert main(["outcomes", "export", "sample"]) == 2
    assert main(["outcomes", "export", "sample", "--verdicts", str(tmp_path / "v.txt")]) == 2


def test_the_board_takes_the_operating_point_that_a_run_measured(capsys, tmp_path):
    words = ("leaderboard", "sample", "--split", "demo", "--policies", "cascade",
             "--bootstraps", "100", "--verifier")  # fmt: skip
    board = told(capsys, *words, "sample")
    here = board["verifier_map"]["verifier"]
    assert here["measured"]
    facts = told(capsys, "report", "sample")
    [one] = [g for g in facts["groups"] if (g["tier"], g["verifier"]) == ("all", "acceptance")]
    assert (here["tpr"], here["fpr"]) == (one["tpr"]["rate"], one["fpr"]["rate"])
    assert (here["fpr_low"], here["fpr_n"]) == (one["fpr"]["low"], one["fpr"]["n"])
    assert main([*words, "nonsense"]) == 2
    assert "tpr=.9,fpr=.3" in capsys.readouterr().err
