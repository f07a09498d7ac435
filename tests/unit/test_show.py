"""What ``show`` says: a sentence a verdict, ids whole, tokens, and rows for whoever reads JSON."""

from __future__ import annotations

import json
import re

import pytest

from swe_router import assets, plugins
from swe_router.__main__ import main
from swe_router.journal.run_folder import RunFolder
from swe_router.records import ACCEPTANCE, SkippedPlans, Verdict
from swe_router.reports import sentences
from tests.doubles.copies import copied
from tests.doubles.judged import attempt, folder, patch, record, said

SAMPLE = assets.assets_root() / "runs" / "sample"
IDS = [json.loads(line)["id"] for line in (SAMPLE / "instances.jsonl").read_text().splitlines()]


def shown(capsys, *words):
    assert main(["show", *words]) == 0
    return capsys.readouterr().out


def verdict(name="repo-tests", outcome="fail", **evidence):
    return Verdict(candidate="c", verifier=name, outcome=outcome, evidence=evidence)


def test_a_failed_suite_is_a_sentence_that_names_the_tests():
    tests = {f"t.py::test_{k}": ["passed", "failed" if k < 5 else "passed"] for k in range(61)}
    tests["t.py::test_x"] = ["failed", "failed"]
    one = verdict(counts={"broken": 5, "passed_before": 61}, tests=tests, why="56 of 61 pass")
    assert sentences.verdict_sentence(one) == (
        "repo-tests: fail, 5 of 61 tests broke: t.py::test_0, t.py::test_1, t.py::test_2 and 2 more"
    )


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (verdict("applies", "pass", why="applies cleanly and changes 1 source file(s)"),
         "applies: pass, applies cleanly and changes 1 source file"),
        (verdict("x", "pass", why="2 file(s), 1 module(s)"), "x: pass, 2 files, 1 module"),
        (verdict("x", "unknown", broke="ImageMissing: no image"),
         "x: unknown, it could not look: ImageMissing: no image"),
        (verdict("x", "unknown"), "x: unknown"),
        (verdict("mine", "fail", lines=3, kind="style", nested={"a": 1}),
         "mine: fail, lines 3; kind style"),
        (verdict("reproduction", "fail", why="1 of 1 failed",
                 tests={"written-1": {"after": "failed"}, "w-2": {"after": "passed"}}),
         "reproduction: fail, 1 of 1 failed: written-1"),
        (verdict(ACCEPTANCE, "pass", why="probability 0.80, accepted from 0.50 on (applies pass,"
                 " repo-tests unknown); none"),
         "acceptance: pass, probability 0.80, accepted from 0.50 on; none"),
    ],
)  # fmt: skip
def test_each_verdict_is_one_sentence(one, words):
    assert sentences.verdict_sentence(one) == words


@pytest.mark.parametrize("name", [*plugins.plugin_names("verifiers"), "someone's own"])
@pytest.mark.parametrize("evidence", [{}, {"why": ""}, {"why": "a\nb " * 400}, {"tests": []},
                                      {"tests": {"a": None, "b": "x", "c": [1]}, "counts": 3},
                                      {"counts": {"broken": 1}, "tests": None}])  # fmt: skip
@pytest.mark.parametrize("outcome", ["pass", "fail", "unknown"])
def test_whatever_a_verifier_left_as_evidence_is_a_line_and_no_repr(name, evidence, outcome):
    line = sentences.verdict_sentence(verdict(name, outcome, **evidence))
    assert line.startswith(f"{name}: {outcome}")
    assert "\n" not in line
    assert "{" not in line
    assert len(line) < 460


def test_no_line_of_show_is_a_python_repr(capsys):
    text = shown(capsys, "sample", "demo__confet-14")
    assert "{'" not in text
    assert "tests broke: tests/test_cli.py::test_dump" in text
    assert "(s)" not in text
    assert re.search(r"tokens: [\d,]+ in \(\d+% from the cache\), [\d,]+ out", text)
    assert re.search(r"cache: \d+% of the prompts read from the cache, \$0\.\d{4} saved", text)


@pytest.mark.parametrize("columns", ["200", "100", "60", "40", "12"])
def test_an_id_is_never_folded_nor_cut(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    lines = shown(capsys, "sample").splitlines()
    for name in IDS:
        assert any(line.split()[:1] == [name] for line in lines), (name, columns)


def test_an_attempt_may_be_asked_for_by_its_number_or_its_tier(capsys):
    whole = shown(capsys, "sample", "demo__confet-14", "1-local")
    assert shown(capsys, "sample", "demo__confet-14", "1") == whole
    assert shown(capsys, "sample", "demo__confet-14", "local") == whole
    assert main(["show", "sample", "demo__confet-14", "3"]) == 2
    assert "there is 1-local, 2-cloud" in capsys.readouterr().err


def test_an_instance_in_the_place_of_a_run_is_told_how_to_be_asked_for(capsys, tmp_path):
    copied(SAMPLE, tmp_path / "one")
    (tmp_path / "latest").symlink_to("one")
    assert main(["show", "demo__confet-3", "--out", str(tmp_path)]) == 2
    assert "did you mean `swe-router show latest demo__confet-3`?" in capsys.readouterr().err
    assert main(["show", "demo__confet-3", "1", "--out", str(tmp_path)]) == 2
    assert "did you mean `swe-router show latest demo__confet-3 1`?" in capsys.readouterr().err
    assert main(["show", "latest", "demo__confet-33", "--out", str(tmp_path)]) == 2
    assert "did you mean 'demo__confet-3'?" in capsys.readouterr().err


def test_the_latest_of_copied_runs_is_the_newest_though_no_link_names_it(capsys, tmp_path):
    for name, created in (("a", 3.0), ("b", 9.0), ("c", 5.0)):
        copied(SAMPLE, tmp_path / name)
        file = tmp_path / name / "settings.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"created": created}))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "settings.json").write_text("{")
    assert RunFolder.find("latest", tmp_path).name == "b"
    assert main(["show", "demo__confet-3", "--out", str(tmp_path)]) == 2
    assert "did you mean `swe-router show latest demo__confet-3`?" in capsys.readouterr().err
    assert main(["show", "damaged", "--out", str(tmp_path)]) == 2
    assert "restore the file from a copy" in capsys.readouterr().err


@pytest.mark.parametrize("width", ["30", "50", "57", "60", "100"])
def test_no_figure_is_cut_in_a_narrow_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    said = shown(capsys, "sample")
    assert "…" not in said
    assert {"131,090", "$0.0156", "$0.1516"} <= set(re.split(r"[\s;]+", said.replace(", ", " ")))
    assert main(["runs", "--out", str(SAMPLE.parent)]) == 0
    said = capsys.readouterr().out
    assert "…" not in said
    assert {"15/15", "$0.1734", "cascade"} <= set(re.split(r"\s+", said.replace(", ", " ")))


def test_json_has_a_row_an_instance_and_an_attempt_that_add_up(capsys):
    facts = json.loads(shown(capsys, "sample", "--json"))
    assert [row["instance"] for row in facts["rows"]] == IDS
    assert facts["usd"] == pytest.approx(sum(row["usd"] for row in facts["rows"]))
    assert facts["usd"] + facts["unused"] + facts["reserved"] == pytest.approx(facts["budget"])
    assert facts["settled"] + facts["lost"] == pytest.approx(facts["usd"])
    for kind in ("input", "cache_read", "cache_write", "output", "reasoning"):
        attempts = [one["tokens"][kind] for row in facts["rows"] for one in row["attempts"]]
        assert facts["tokens"][kind] == sum(attempts)
    assert 0 < facts["tokens"]["cache_share"] < 1
    cache = facts["cache"]
    rows = [one["cache"] for row in facts["rows"] for one in row["attempts"]]
    assert cache["saved_usd"] == pytest.approx(sum(one["saved_usd"] or 0 for one in rows))
    assert cache["saved_usd"] == pytest.approx(
        sum(one["saved_usd"] or 0 for one in cache["by_tier"].values())
    )
    assert cache["saved_usd"] > 0
    assert cache["breaks"] == sum(one["breaks"] for one in rows)
    standings = [row["standing"] for row in facts["rows"]]
    assert standings.count("resolved") == facts["resolved"]
    first = facts["rows"][0]["attempts"][0]
    assert first["verdicts"]["applies"] == "pass"
    assert {"id", "tier", "exit", "steps", "usd", "patch", "accepted"} <= set(first)


def test_an_owed_instance_has_its_row_too(capsys, tmp_path):
    run = folder(tmp_path, [record("demo__confet-3", [], None)])
    (run.path / "records.jsonl").unlink()
    facts = json.loads(shown(capsys, str(run.path), "--json"))
    assert facts["rows"][0]["standing"] == "owed"
    assert facts["ended"] == "infra"
    assert "owed" in shown(capsys, str(run.path))


def test_an_accepted_patch_at_a_step_limit_does_not_read_as_if_it_was_thrown_away():
    one = attempt(1, "local", patch("a"), said("applies", "pass"))
    path = one.attempt.trajectory.model_copy(update={"exit": "steps"})
    limit = one.model_copy(update={"attempt": one.attempt.model_copy(update={"trajectory": path})})
    assert sentences.attempt_sentence(limit) == "local (step limit; its patch passes)"
    assert sentences.attempt_sentence(one) == "local (submitted, accepted)"


def test_what_was_left_out_is_told_with_its_reason(capsys, tmp_path):
    made = record("demo__confet-3", [attempt(1, "local", patch("a"))], "1-local")
    sample = json.loads((SAMPLE / "records.jsonl").read_text().splitlines()[0])
    decided = type(made).model_validate_json(json.dumps(sample)).decisions
    gone = SkippedPlans(move=0, attempts=("2-local",), why="it cannot outvote the others")
    run = folder(tmp_path, [made.model_copy(update={"decisions": decided, "left_out": (gone,)})])
    text = shown(capsys, str(run.path), "demo__confet-3")
    assert "left out: 1 attempt (2-local): it cannot outvote the others" in text


@pytest.mark.parametrize(("number", "words"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps")])
def test_plurals(number, words):
    assert sentences.counted_noun(number, "step") == words
    assert sentences.counted_noun(1, "patch", "patches") == "1 patch"
