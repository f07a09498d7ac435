"""A verifier of another package: it runs at its stage, decides, is weighed, fills the matrix."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import BaseModel

import swe_router
from swe_router import assets, plugins, recorded_verdicts
from swe_router.__main__ import main
from swe_router.errors import VerifierError
from swe_router.estimates.acceptance import fit, verdict_signals
from swe_router.records import Result, Verdict
from swe_router.reports.sentences import verdict_sentence
from swe_router.seams import VerificationContext
from swe_router.selectors.vote_counts import has_no_hard_fail
from swe_router.settings import VerifySettings
from swe_router.solve.cross_evaluation import matrix_of
from swe_router.solve.verification import VerificationSetup, verify_together
from swe_router.verifier_abilities import EvidenceRecord, VerifierTraits, traits_of
from swe_router.verifier_cache import CacheKey, RunKey, VerifierCache
from swe_router.verifiers.acceptance import AcceptanceVerifier
from swe_router.verifiers.evidence_records import AppliesEvidence
from tests.doubles.copies import copied
from tests.doubles.engine import INSTANCE, FakeSandbox
from tests.doubles.project import outcome, verdict
from tests.doubles.third_party import (
    Breaks,
    Compares,
    Decides,
    Plain,
    Refuses,
    Runs,
    Sizes,
    name_of,
)

DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
OTHER = DIFF.replace("+b", "+d")
SIZES = "tests.doubles.third_party:Sizes"


ROOT = Path(swe_router.__file__).parent


def verified(*verifiers, patches=(DIFF,), cores=1):
    @contextmanager
    def open_sandbox(instance):
        yield FakeSandbox()

    shared = VerificationContext(
        open_sandbox=open_sandbox,  # type: ignore[arg-type]
        apply=lambda sandbox, text: Result(exit_code=0, output=""),
    )
    named = [(name_of(type(one)), one) for one in verifiers]
    setup = VerificationSetup(context=shared, verifiers=named, max_sandboxes=cores)
    candidates = [outcome(patch, number=number) for number, patch in enumerate(patches, 1)]
    return verify_together(setup, INSTANCE, candidates)


def test_a_verifier_that_says_nothing_of_itself_runs_and_goes_by_the_name_that_the_run_has():
    assert traits_of(Plain()) == VerifierTraits()
    (made,) = verified(Plain())
    assert [(one.verifier, one.outcome) for one in made.verdicts] == [(name_of(Plain), "pass")]
    assert made.accepted


def test_evidence_dumped_from_a_typed_record_is_no_failure_to_look():
    looked = verdict("pass", **EvidenceRecord(why="it was read").model_dump())
    assert looked.broke == ""
    assert verdict_sentence(looked).endswith(": pass, it was read")
    lost = looked.model_copy(update={"evidence": {"broke": "Lost: the engine went away"}})
    assert lost.broke
    assert verdict_sentence(lost).endswith("it could not look: Lost: the engine went away")


def test_a_decisive_fail_ends_the_look_and_only_a_combination_follows():
    runs, decides = Runs(), Decides()
    (made,) = verified(Refuses(), runs, decides)
    assert runs.seen == []
    assert [one.verifier for one in made.verdicts] == [name_of(Refuses), name_of(Decides)]


def test_the_last_word_is_a_third_party_s_where_it_combines():
    (made,) = verified(Sizes(), Decides())
    assert made.weighed is not None
    assert made.weighed.verifier == name_of(Decides)
    assert made.accepted
    again = Verdict.model_validate_json(made.weighed.model_dump_json())
    assert again.decides
    refused = verdict("fail", name_of(Refuses))
    assert has_no_hard_fail(made)
    assert not has_no_hard_fail(made.model_copy(update={"verdicts": (refused, made.weighed)}))


def test_what_an_older_run_wrote_of_a_verdict_is_what_is_written_of_it_today():
    plain = verdict("pass", "repo-tests")
    assert "combines" not in plain.model_dump()
    assert (plain.decides, verdict("pass", "acceptance").decides) == (False, True)


def test_a_verifier_of_the_peers_stage_sees_every_candidate_s_verdicts():
    compares = Compares()
    verified(Runs(), compares, patches=(DIFF, OTHER))
    assert [seen[2] for seen in compares.seen] == [[name_of(Runs)], [name_of(Runs)]]


def test_its_runs_enter_the_matrix():
    made = verified(Runs(), patches=(DIFF, OTHER))
    matrix = matrix_of(made)
    assert matrix is not None
    assert set(matrix.tests) == {"t.py::test_it"}
    assert {after for row in matrix.results.values() for after in row.values()} == {"passed"}


def test_what_runs_tests_is_ground_to_accept_and_an_opinion_is_none():
    (ran,) = verified(Runs())
    (bare,) = verified(Sizes())
    assert verdict_signals.grounded(ran.verdicts)
    assert not verdict_signals.grounded(bare.verdicts)


def test_a_new_signal_weighs_nothing_is_named_and_is_learned():
    new = Verdict(candidate="c", verifier=SIZES, outcome="unknown", evidence={"lines": 1})
    tests = verdict("pass", "repo-tests", counts={"passed_before": 3, "still_pass": 3})
    found = verdict_signals.signals([new, tests])
    assert found == {"small_change": 1.0, "tests_kept": 1.0}, "what is no number is left out"
    acceptance = AcceptanceVerifier(VerifySettings())
    context = VerificationContext(
        open_sandbox=lambda of: None,
        apply=lambda box, text: None,  # type: ignore[arg-type,return-value]
    )
    with_it = acceptance.verify(outcome(DIFF, new, tests), (), INSTANCE, context)
    without = acceptance.verify(outcome(DIFF, tests), (), INSTANCE, context)
    assert with_it.score == without.score
    assert with_it.evidence["unweighed"] == ["small_change"]
    assert "not weighed until `swe-router calibrate`: small_change" in with_it.evidence["why"]
    assert "unweighed" not in without.evidence
    rows = [
        fit.VerdictRow(f"o__r{n % 7}-{n}", f"o/r{n % 7}", "maker", right, (
            new.model_copy(update={"evidence": {"lines": 1 if right else 9}}), tests,
        ))
        for n in range(80)
        for right in [n % 2 == 0]
    ]  # fmt: skip
    learned = fit.fit_calibration(rows, acceptance.calibration)
    weight = learned.acceptance["weak"][""].weights["small_change"]
    assert weight > 0.3
    assert learned.new_signals()["small_change"]["weak"] == weight
    assert acceptance.calibration is not None
    assert acceptance.calibration.new_signals() == {}
    assert learned.card["weights"]["small_change"]["rows_with_it"] == 80
    assert learned.unweighed({"small_change": 1.0, "another": 1.0}, "weak", "") == ["another"]
    read = fit.Calibration.model_validate_json(learned.model_dump_json())
    chances = [one.probability({"small_change": 1.0}, "weak", "") for one in (read, learned)]
    assert chances[0] == chances[1]


def test_a_verifier_that_cannot_read_its_own_evidence_is_named():
    one = Verdict(candidate="c", verifier=name_of(Breaks), outcome="unknown")
    with pytest.raises(VerifierError, match="third_party:Breaks' gives no signals: KeyError"):
        verdict_signals.signals([one])


def test_code_that_a_run_folder_names_is_not_imported_to_read_a_verdict():
    assert recorded_verdicts.verifier_named("tests.doubles.never_imported:Sizes") is None
    assert recorded_verdicts.verifier_named("nobody-offers-this") is None


def unknown_fields(part: object) -> list[str]:
    """Fields that no record declares, also of what stands inside a record."""
    if isinstance(part, BaseModel):
        inner = [getattr(part, name) for name in type(part).model_fields]
        return [*(part.model_extra or {}), *unknown_fields(inner)]
    parts = part.values() if isinstance(part, Mapping) else part
    return [
        name
        for one in (parts if isinstance(parts, Iterable) and not isinstance(parts, str) else ())
        for name in unknown_fields(one)
    ]


def test_every_verdict_on_record_is_the_typed_record_of_its_verifier():
    """Of runs of every age: nothing in them is unknown, and none has a version but today's."""
    files = [*(ROOT.parent / "runs").glob("*/records.jsonl"),
             *(ROOT.parent / "tests" / "data").rglob("records.jsonl")]  # fmt: skip
    seen = set()
    for file in files:
        for text in file.read_text().splitlines():
            for made in json.loads(text)["outcomes"]:
                for one in made["verdicts"]:
                    read = recorded_verdicts.evidence_of(Verdict.model_validate(one))
                    assert unknown_fields(read) == [], one["verifier"]
                    assert type(read) is not EvidenceRecord
                    seen.add(one["verifier"])
    assert len(seen) >= 6


def test_evidence_gets_its_version_and_what_does_not_fit_is_no_verdict():
    class Typed(Plain):
        evidence_type = AppliesEvidence

    class Wrong(Typed):
        facts = MappingProxyType({"applied": "perhaps"})

    (made,) = verified(Typed())
    assert made.verdicts[0].evidence["schema_version"] == "applies-1"
    (made,) = verified(Wrong())
    assert made.verdicts[0].outcome == "unknown"
    assert "is no AppliesEvidence: applied: " in made.verdicts[0].evidence["broke"]
    newer = verdict("pass", "applies", schema_version="applies-9")
    with pytest.raises(VerifierError, match="schema_version"):
        recorded_verdicts.evidence_of(newer)


@pytest.mark.parametrize("name", sorted(plugins.BUILT_IN["verifiers"]))
def test_each_verifier_of_the_house_names_evidence_that_is_not_its_own(name):
    """It reads its record: a hand-edited file is named, not taken for something or a crash."""
    verifier = recorded_verdicts.verifier_named(name)
    newer = verdict("pass", name, schema_version=f"{name}-99")
    with pytest.raises(VerifierError, match=f"evidence of '{name}' is no .*: schema_version"):
        verifier.check(newer)


def test_a_replay_names_evidence_that_is_not_its_verifier_s(tmp_path, capsys):
    run = tmp_path / "runs" / "sample"
    copied(assets.assets_root() / "runs" / "sample", run)
    file = run / "records.jsonl"
    text = file.read_text()
    assert '"applied":true' in text
    file.write_text(text.replace('"applied":true', '"applied":"perhaps"', 1))
    assert main(["replay", str(run)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "evidence of 'applies' is no AppliesEvidence: applied" in told


def test_no_verifier_reads_its_evidence_as_a_mapping():
    spared = {"swe_router/verifiers/testing/existing_test_counts.py"}  # a key of any verifier's
    reads = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "verifiers").rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"\.evidence(\[|\.get\()", line)
        and path.relative_to(ROOT.parent).as_posix() not in spared
    ]
    assert reads == []


@pytest.mark.parametrize("name", sorted(plugins.BUILT_IN["verifiers"]))
def test_each_verifier_of_the_house_types_its_evidence(name):
    assert traits_of(recorded_verdicts.verifier_named(name)).stage
    kind = recorded_verdicts.verifier_named(name).evidence_type
    assert kind.version() == f"{name}-1"
    assert kind.model_validate({}).schema_version == ""


def test_a_run_counts_for_another_patch_and_what_is_no_run_stays_one_patch_s_own():
    @dataclass(frozen=True)
    class Own(CacheKey[int]):
        candidate: str

    cache = VerifierCache()
    cache[RunKey("a")], cache[Own("a")] = "ran", 1
    cache[RunKey("b")] = "ran otherwise"
    cache.share_runs("a", "c")
    cache.share_runs("a", "b")
    assert cache[RunKey("c")] == "ran"
    assert cache[RunKey("b")] == "ran otherwise", "what is known stays"
    assert (Own("c") in cache, cache.get(Own("c"), 7)) == (False, 7)


NAMED = {
    "plugins.py": "the table of what is built in",
    "settings/schema.py": "the default stack",
    "records/values.py": "the verdict that older records do not mark as deciding",
    "estimates/acceptance/verdict_signals.py": "names of signals",
    "estimates/acceptance/fit.py": "the signal of the judge, whose scale is fitted",
    "estimates/acceptance/calibration.py": "fields of the file",
    "features/leak_linter.py": "a source of features",
    "features/rubric.py": "a source of features",
    "wiring/training_data.py": "a source of features",
    "codegraph/file_facts.py": "a kind of problem of a file",
    "commands/doctor.py": "a line of the report",
    "commands/run/dry_run_report.py": "a field of the report",
    "commands/run/run_estimate.py": "a field of the report",
    "cli/verify_command.py": "the role of a model",
    "recorded_verdicts.py": "the role of a model",
    "verifier_abilities.py": "the role of a model",
    "wiring/run_wiring.py": "the role of a model",
    "api/run_view.py": "an example",
}


def test_no_verifier_is_named_outside_of_its_room():
    """A third-party verifier can do what a built-in one does: the core knows none by name."""
    names = set(plugins.BUILT_IN["verifiers"])
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        at = path.relative_to(ROOT).as_posix()
        if at.startswith("verifiers/") or at in NAMED:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                found.setdefault(at, []).append((node.lineno, node.value))
    assert found == {}
