"""The official word stands, and what the runner itself says against it is told and counted."""

from __future__ import annotations

import json

from swe_router import assets
from swe_router.__main__ import main
from swe_router.cli.output import emit
from swe_router.commands.grade import grading_run
from swe_router.records import Grade
from swe_router.reports.grade_table import grades_view
from swe_router.reports.sentences import resolved_by_gold
from tests.doubles.copies import copied

DOUBT = "t.py::a counts as passed; the runner says: SUBFAILED (i=1) t.py::a"


def test_report_counts_the_verdicts_that_the_runner_s_own_record_contradicts(tmp_path, capsys):
    run = tmp_path / "runs" / "sample"
    copied(assets.assets_root() / "runs" / "sample", run)
    told = ["report", "sample", "--runs", str(run.parent), "--json"]
    assert main(told) == 0
    assert json.loads(capsys.readouterr().out)["doubts"] == 0
    file = run / "grades.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0]["evidence"]["doubt"] = [DOUBT]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(told) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["doubts"] == 1
    assert DOUBT in facts["notes"][0]
    assert main(told[:-1]) == 0
    assert "contradicted by the test runner's own record" in " ".join(
        capsys.readouterr().out.split()
    )


def test_grade_tells_the_doubt_beside_the_verdict():
    one = Grade(instance_id="a", outcome="resolved", evidence={"reason": "r", "doubt": [DOUBT]})
    other = Grade(instance_id="b", outcome="resolved")
    facts = grading_run.grade_facts({"a": one, "b": other})
    assert facts["a"]["doubt"] == (DOUBT,)
    assert "doubt" not in facts["b"]


def test_grade_counts_by_gold_only_what_this_machine_can_resolve(capsys):
    """Divided by all instances, a broken image would count against every system."""
    outcomes = {"a": "resolved", "b": "unresolved", "c": "resolved", "d": "resolved"}
    grades = {name: Grade(instance_id=name, outcome=word) for name, word in outcomes.items()}
    gold = {"a": "resolved", "b": "resolved", "c": "unresolved"}
    sentence = (
        "resolved 1 of 2 whose gold patch passes on this machine (50.0%); not counted: 1 whose gold"
        " patch fails here, 1 whose gold patch was not graded here"
    )
    assert resolved_by_gold(grades, gold) == sentence
    assert "resolved 0 of 0 whose gold patch passes" in resolved_by_gold(grades, {})
    facts = grading_run.grade_facts(grades, gold)
    assert [facts[name].get("gold_outcome") for name in "abcd"] == [*gold.values(), None]
    emit(facts, as_json=False, view=grades_view(grades, gold))
    assert sentence in " ".join(capsys.readouterr().out.split())
    emit(facts, as_json=False, view=grades_view(grades))
    assert "gold" not in capsys.readouterr().out
