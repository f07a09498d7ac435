"""What is handed out of a run, and that its statement claims only what the records establish."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import grimp
import pytest

from swe_router import assets
from swe_router.__main__ import main
from swe_router.commands.export import formats, statement_facts
from swe_router.errors import UsageError
from swe_router.grading import gold as answer_key
from swe_router.grading import predictions as files
from swe_router.grading.hidden import new_tests, search_hidden_tests
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.outcomes.importers.gathering import ImportOptions
from swe_router.outcomes.importers.published import import_experiments
from swe_router.records import CrossMatrix, Failure
from swe_router.records.cross_matrix import CrossRun
from swe_router.records.cross_matrix import TestSource as Source
from swe_router.reports import statement_text as words
from tests.doubles.judged import attempt, digest, folder, patch, record, said

ROOT = Path(__file__).resolve().parents[2]
A, B = "demo__confet-3", "demo__confet-7"


@pytest.fixture
def run(tmp_path):
    one = record(A, [attempt(1, "local", patch("a"), said("applies", "pass"))], "1-local")
    two = record(B, [attempt(1, "local", patch("b"), said("applies", "pass"))], "1-local")
    return folder(tmp_path / "runs", [one, two])


def sandboxes(run):
    facts = statement_facts.statement_of_run(run, header_of_run(run))
    names = ("once", "tests", "hints", "web")
    return {
        name: (one["established"], " ".join(one["facts"]))
        for name, one in zip(names, words.checklist(facts), strict=True)
    }


def test_a_run_of_one_attempt_each_without_any_doubt_ticks_all_four(run):
    told = sandboxes(run)
    assert {name: held for name, (held, _) in told.items()} == dict.fromkeys(told, True)
    assert "2 attempts on 2 instances, at most 1 on one" in told["once"][1]


def with_outcomes(tmp_path, *outcomes, **settings):
    made = record(A, outcomes, outcomes[-1].attempt.id)
    run = folder(tmp_path / "other", [made])
    if settings:
        tree = json.loads(run.settings_file.read_text())
        tree["settings"].update(settings)
        run.settings_file.write_text(json.dumps(tree))
    return run


def of_attempt(outcome, **changes):
    return outcome.model_copy(update={"attempt": outcome.attempt.model_copy(update=changes)})


def test_a_second_attempt_is_no_pass_at_1_unless_the_first_broke_without_a_patch(tmp_path):
    first, second = attempt(1, "local", patch("a")), attempt(2, "cloud", patch("b"))
    held, why = sandboxes(with_outcomes(tmp_path, first, second))["once"]
    assert not held
    assert "1 instances were attempted more than once" in why
    broke = of_attempt(
        attempt(1, "local", ""),
        failure=Failure(kind="Lost", boundary="sandbox", message="", retry=True, counts=False),
    )
    held, why = sandboxes(with_outcomes(tmp_path, broke, second))["once"]
    assert held
    assert "1 further attempts were broken by their infrastructure" in why


def test_a_sandbox_with_a_network_is_not_claimed_to_have_none(tmp_path):
    open_sandbox = of_attempt(attempt(1, "local", patch("a")), sandbox="local:process")
    held, why = sandboxes(with_outcomes(tmp_path, open_sandbox))["web"]
    assert not held
    assert "not established: no wall to the network around any/1-local" in why


def test_a_sandbox_that_was_not_proved_clean_leaves_test_knowledge_open(tmp_path):
    unproved = of_attempt(attempt(1, "local", patch("a")), leaks=None)
    held, why = sandboxes(with_outcomes(tmp_path, unproved))["tests"]
    assert not held
    assert "may have held later commits, with the hidden tests, in any/1-local" in why


def test_nothing_is_claimed_of_patches_that_were_made_elsewhere(tmp_path):
    brought = of_attempt(attempt(1, "local", patch("a")), source="others.jsonl, made by X")
    told = sandboxes(with_outcomes(tmp_path, brought))
    assert not any(held for held, _ in told.values())
    assert all("made elsewhere: others.jsonl, made by X" in why for _, why in told.values())


def test_weights_fitted_on_official_results_and_the_oracle_leave_the_sandbox_open(tmp_path):
    one = attempt(1, "local", patch("a"))
    settings = json.loads(folder(tmp_path, [record(A, [one], "1-local")]).settings_file.read_text())
    verify = {**settings["settings"]["verify"], "calibration": "mine.json"}
    held, why = sandboxes(with_outcomes(tmp_path, one, verify=verify))["tests"]
    assert not held
    assert "verify.calibration = mine.json was fitted on official results" in why
    held, why = sandboxes(with_outcomes(tmp_path, one, selector="oracle"))["tests"]
    assert not held
    assert "chooses by the official results" in why


def test_settings_changed_after_the_run_establish_nothing(tmp_path):
    told = sandboxes(with_outcomes(tmp_path, attempt(1, "local", patch("a")), seed=7))
    assert not any(held for held, _ in told.values())
    assert all("settings.json was changed" in why for _, why in told.values())


def test_a_run_with_a_field_of_the_answer_key_among_its_instances_is_refused(run):
    path = run.path / "instances.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "hints": "look here"}) + "\n" for row in rows))
    with pytest.raises(UsageError, match=r"instances.jsonl:1 is no Instance \(hints: "):
        sandboxes(run)


def hidden_name() -> str:
    return min(new_tests(answer_key.read_gold("demo")[A]))


def test_a_hidden_name_in_the_evidence_is_found_and_told_without_the_name(tmp_path):
    told = said("repo-tests", "pass", tests={f"tests/t.py::{hidden_name()}": ["passed", "passed"]})
    run = with_outcomes(tmp_path, attempt(1, "local", patch("a"), told))
    held, why = sandboxes(run)["tests"]
    assert not held
    assert f"{A} 1-local repo-tests" in why
    assert hidden_name() not in why


def test_a_test_of_one_candidate_that_was_run_on_another_is_listed_with_its_source(tmp_path):
    tests = {"T": Source(kind="harvested", by="2-cloud", base="failed"), hidden_name():
             Source(kind="repo", base="passed")}  # fmt: skip
    crossed = CrossMatrix(
        tests=tests, runs=(CrossRun(patch=digest(patch("a")), test="T", after="passed"),)
    )
    made = record(A, [attempt(1, "local", patch("a")), attempt(2, "cloud", patch("b"))], "1-local")
    run = folder(tmp_path, [made.model_copy(update={"matrix": crossed})])
    [row] = statement_facts.provenance_of_tests(run.records())
    told = [row[key] for key in ("attempt", "verifier", "test", "source", "by", "base", "after")]
    assert told == [
        *("1-local", "cross-evaluation", "T", "harvested", "2-cloud", "failed", "passed"),
    ]
    assert f"{A} cross-evaluation" in sandboxes(run)["tests"][1], "the matrix is searched as well"


def test_every_form_of_evidence_is_listed_with_what_it_tells():
    written = {"source": "written", "by": "m", "base": "failed", "after": "passed", "own": False}
    told = (said("repo-tests", "pass", tests={"t.py::a": ["passed", "failed"]}),
            said("reproduction", "pass", tests={"R": {**written, "text": "assert 1"}}),
            said("other", "pass", tests={"x": "passed"}))  # fmt: skip
    made = record(A, [attempt(1, "local", patch("a"), *told)], "1-local")
    rows = [
        (r["test"], r["source"], r["base"], r["after"])
        for r in statement_facts.provenance_of_tests({A: made})
    ]
    assert rows == [("t.py::a", "repo", "passed", "failed"), ("R", "written", "failed", "passed"),
                    ("x", "repo", "", "passed")]  # fmt: skip


def test_a_split_that_cannot_be_read_is_said_to_be_unchecked(tmp_path):
    made = record(A, [attempt(1, "local", patch("a"))], "1-local")
    run = folder(tmp_path, [made], split="gone.jsonl")
    held, why = sandboxes(run)["tests"]
    assert not held
    assert "evidence was not held against the answer key" in why


def names_that_no_base_test_has() -> dict[str, set[str]]:
    """By instance: FAIL_TO_PASS functions, read from the rows and their test patches by hand."""
    found = {}
    suite = assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl"
    for line in suite.read_text().splitlines():
        row = json.loads(line)
        listed = row["FAIL_TO_PASS"]
        listed = json.loads(listed) if isinstance(listed, str) else listed
        added = set(re.findall(r"^\+\s*def (test_\w+)", row["test_patch"], re.MULTILINE))
        gone = set(re.findall(r"^-\s*def (test_\w+)", row["test_patch"], re.MULTILINE))
        kept = set(re.findall(r"^[ @].*def (test_\w+)", row["test_patch"], re.MULTILINE))
        bare = {name.split("::")[-1].split("[")[0] for name in listed}
        found[row["instance_id"]] = (added - gone - kept) & bare
    return found


def test_no_hidden_test_name_occurs_in_any_evidence_of_the_demo():
    names = names_that_no_base_test_has()
    records = find_run("sample", Path("runs")).records()
    assert sum(len(names[name]) for name in records) > 15, "there is something to look for"
    evidence = 0
    for name, made in records.items():
        for outcome in made.outcomes:
            for verdict in outcome.verdicts:
                text = json.dumps(verdict.model_dump(mode="json"))
                evidence += len(text)
                leaked = [one for one in names[name] if re.search(rf"\b{one}\b", text)]
                assert leaked == [], f"{name} {outcome.attempt.id} {verdict.verifier}"
    assert evidence > 10_000
    texts = {name: {"x": " ".join(own)} for name, own in names.items() if own}
    assert len(search_hidden_tests("demo", texts).found) == len(texts), (
        "the graders look for the same names"
    )


SOLVING = ("agents", "features", "models", "policies", "sandboxes", "selectors", "solve",
           "verifiers", "instances", "codegraph", "replay")  # fmt: skip


def test_no_chain_of_imports_leads_from_the_solving_side_to_the_answer_key():
    graph = grimp.build_graph("swe_router")
    for room in SOLVING:
        package = f"swe_router.{room}"
        chain = graph.find_shortest_chain(
            importer=package, imported="swe_router.grading", as_packages=True
        )
        assert chain is None, f"{room} reaches the graders: {chain}"
    source = (ROOT / "swe_router" / "plugins.py").read_text()
    assert "swe_router.grading" not in source, "nor by a plugin's name"
    for room in SOLVING:
        for path in (ROOT / "swe_router" / room).rglob("*.py"):
            assert '"graders"' not in path.read_text(), f"{path} loads a grader"
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [rule] = [c for c in tree["tool"]["importlinter"]["contracts"] if c["id"] == "answer-key"]
    assert rule["protected_modules"] == ["swe_router.grading.gold"]
    assert rule["allowed_importers"] == ["swe_router.grading"]


def test_an_unfinished_run_is_refused_by_name_and_taken_with_partial(run, tmp_path, capsys):
    run.records_file.write_text(run.records_file.read_text().splitlines()[0] + "\n")
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=f"unfinished: {B} .*--partial"):
        formats.export_run(str(run.path), tmp_path, "preds", out, allow_partial=False)
    formats.export_run(str(run.path), tmp_path, "preds", out, allow_partial=True)
    told = {one.instance_id: one.patch for one in files.read_predictions(out / "preds.json")}
    assert told == {A: patch("a"), B: ""}
    assert main(["export", str(run.path), "--format", "nonsense", "--out", str(out)]) == 2
    assert "there is preds, experiments, statement" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_predictions_go_to_the_file_that_was_named(run, tmp_path, name):
    formats.export_run(str(run.path), tmp_path, "preds", tmp_path / name, allow_partial=False)
    assert [one.patch for one in files.read_predictions(tmp_path / name)] == [
        patch("a"),
        patch("b"),
    ]


def test_the_experiments_folder_is_read_back_as_what_the_sample_was(tmp_path):
    sample = find_run("sample", Path("runs"))
    out = tmp_path / "20260101_made-up"
    formats.export_run("sample", tmp_path, "experiments", out, allow_partial=False)
    rows = import_experiments(out, ImportOptions()).rows
    grades, records = sample.grades(), sample.records()
    assert {r.instance_id: r.resolved for r in rows} == {
        name: grade.outcome == "resolved" for name, grade in grades.items()
    }
    assert {r.instance_id: r.usd for r in rows} == {
        name: pytest.approx(float(made.whole_usd)) for name, made in records.items()
    }
    for name, made in records.items():
        tree = json.loads((out / "trajs" / f"{name}.json").read_text())
        assert [len(a["steps"]) for a in tree["attempts"]] == [
            o.attempt.trajectory.steps for o in made.outcomes
        ]
    listed = [json.loads(line) for line in (out / "tests.jsonl").read_text().splitlines()]
    told = [v.evidence.get("tests", {}) for r in records.values() for o in r.outcomes
            for v in o.verdicts]  # fmt: skip
    crossed = sum(len(made.matrix.runs) for made in records.values() if made.matrix is not None)
    assert len(listed) == sum(len(tests) for tests in told) + crossed
    assert all(row["source"] and row["test"] for row in listed)
    assert "recordings" in (out / "README.md").read_text()
