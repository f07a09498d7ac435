"""The folder of a run and its header, file by file."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import threading

import pytest

from swe_router import __version__
from swe_router.agents import loop_rules
from swe_router.candidates.joining import InstanceCase
from swe_router.errors import UsageError
from swe_router.journal import header as headers
from swe_router.journal.header import Header, OtherVersion, header_of_run
from swe_router.journal.imported_candidates import load_case, store_case
from swe_router.journal.run_folder import RunFolder, is_run, runs_in, text_digest
from swe_router.journal.run_inputs import current_inputs, stored_texts, verify_settings
from swe_router.journal.verifier_store import VerifierStore
from swe_router.prices import free_rate
from swe_router.records import SCHEMA, Features, Grade, Instance, RunRecord, digest_of
from swe_router.settings import load
from tests.doubles.earlier import step
from tests.doubles.project import outcome

ONE = Instance(id="o__r-1", repo="o/r", base_commit="c", problem="It breaks.")
TWO = Instance(id="o__r-2", repo="o/r", base_commit="c", problem="It breaks too.")
DAY = datetime.date(2026, 1, 2)


def header(**changes) -> Header:
    chosen = changes.pop("settings", None) or load("demo")
    rates = {"b": free_rate(DAY), "a": free_rate(DAY)}
    return Header(chosen, chosen.digest(), rates, {}, "local", {"p": "d"}, 1.5, **changes)


def created(base, name="one", head=None, texts=()):
    return RunFolder.create(base, name, (head or header()).as_json(), [ONE, TWO], texts)


def record(instance, seconds=0.0):
    return RunRecord(
        run="r", instance=instance, features=Features(instance_id=instance.id), decisions=(),
        outcomes=(), status="empty", seconds=seconds,
    )  # fmt: skip


def test_a_taken_name_gets_a_number_and_latest_is_the_newest(tmp_path):
    runs = [created(tmp_path) for _ in range(3)]
    assert [run.name for run in runs] == ["one", "one-2", "one-3"]
    assert (tmp_path / "latest").resolve() == runs[2].path
    assert RunFolder.find("latest", tmp_path).name == "one-3"
    assert all(run.logs.is_dir() for run in runs)
    assert [one.id for one in runs[0].instances()] == [ONE.id, TWO.id]
    assert runs_in(tmp_path) == [run.path for run in runs]
    assert not list(tmp_path.glob(".latest*"))
    assert runs_in(tmp_path / "none") == []


def test_the_latest_of_copied_runs_is_by_the_time_that_they_were_created(tmp_path):
    old, new = created(tmp_path, "b"), created(tmp_path, "a", header())
    tree = json.loads(new.settings_file.read_text())
    new.settings_file.write_text(json.dumps({**tree, "created": 9}))
    (tmp_path / "latest").unlink()
    assert RunFolder.find("latest", tmp_path).name == "a"
    for broken in ({**tree, "created": None}, {**tree, "created": "soon"}, {"no": 1}):
        new.settings_file.write_text(json.dumps(broken))
        assert RunFolder.find("latest", tmp_path).path == old.path


def test_a_run_that_is_not_there_is_told_with_the_last_five_that_are(tmp_path):
    def told(base):
        with pytest.raises(UsageError) as caught:
            RunFolder.find("gone", base)
        return str(caught.value)

    assert told(tmp_path) == f"no run 'gone': there are no runs in {tmp_path}"
    assert told(tmp_path / "x") == f"no run 'gone': there is no folder {tmp_path / 'x'}"
    for n in range(6):
        created(tmp_path, f"r{n}")
    assert told(tmp_path) == "no run 'gone': there is r1, r2, r3, r4, r5"
    assert RunFolder.find("r0", tmp_path).name == "r0"
    assert RunFolder.find(str(tmp_path / "r0"), tmp_path / "x").name == "r0"


def test_a_folder_is_a_run_by_its_settings_or_by_two_of_its_other_files(tmp_path):
    assert not is_run(tmp_path)
    (tmp_path / "ledger.jsonl").touch()
    assert not is_run(tmp_path)
    (tmp_path / "records.jsonl").touch()
    assert is_run(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "settings.json").touch()
    assert is_run(tmp_path / "x")
    assert not is_run(tmp_path / "x" / "settings.json")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "is missing: it says what the run was begun with"),
        ("{", "is damaged"),
        ("[]", "is no settings file of a run"),
        ("{}", "is no settings file of a run"),
    ],
)
def test_settings_that_cannot_be_read_are_named(tmp_path, text, fault):
    run = created(tmp_path)
    run.settings_file.unlink()
    if text is not None:
        run.settings_file.write_text(text)
    with pytest.raises(UsageError, match=fault):
        run.header()


def test_a_header_comes_back_as_it_was_written(tmp_path):
    head = header(made_with={"tools": text_digest("t")}, knobs={"seed": 3}, instances="i")
    run = created(tmp_path, "one", head, ["t"])
    assert header_of_run(run) == head
    assert run.seal() == head.as_json()["seal"]
    assert run.input_text(text_digest("t")) == "t"
    assert headers.is_unchanged(run)
    assert text_digest("ä") == hashlib.sha256("ä".encode()).hexdigest()
    seal = headers.provenance(head)
    assert seal.prices == "free (tiers.NAME.price) at 2026-01-02"
    assert (seal.settings, seal.code, seal.prompts) == (head.digest, __version__, {"p": "d"})
    assert head.as_json()["schema"] == SCHEMA
    order = [ONE, TWO]
    assert headers.instances_digest(order) != headers.instances_digest(order[::-1])


def rewritten(run, **changes):
    tree = json.loads(run.settings_file.read_text())
    for name, value in changes.items():
        if value is None:
            tree.pop(name)
        else:
            tree[name] = value
    run.settings_file.write_text(json.dumps(tree))
    return run


@pytest.mark.parametrize(
    ("changes", "kind", "fault"),
    [
        ({"schema": None}, UsageError, "is damaged: its format is missing"),
        ({"schema": "9"}, OtherVersion, "is of another format .'9'; this swe-router .* reads"),
        ({"schema": "9", "code": ""}, OtherVersion, "it does not say which"),
        ({"code": "99.0"}, OtherVersion, "was made by swe-router 99.0, this is"),
        ({"code": ""}, OtherVersion, "was made by swe-router of no known version"),
        ({"code": "0.1.1"}, OtherVersion, "install that version, or a later one"),
        ({"rules": max(loop_rules.VERSIONS) + 1}, OtherVersion, "install that version"),
        ({"rules": "new"}, OtherVersion, "install that version"),
        ({"rates": None}, UsageError, "is damaged: KeyError"),
        ({"created": "x"}, UsageError, "is damaged: ValueError"),
        ({"rates": {"a": {"input": "x"}}}, UsageError, "is damaged: PriceRate "),
        ({"settings": {"polcy": 1}}, UsageError, "settings.json: .*; restore the file from a copy"),
    ],
)
def test_a_header_of_another_version_or_damage_is_refused(tmp_path, changes, kind, fault):
    run = rewritten(created(tmp_path), **changes)
    with pytest.raises(UsageError, match=fault) as caught:
        header_of_run(run)
    assert type(caught.value) is kind


def test_an_older_header_has_the_defaults_of_its_time(tmp_path):
    run = rewritten(created(tmp_path), rules=None, made_with=None, stop_loss=None, knobs=None,
                    instances=None, code="0.0.9")  # fmt: skip
    old = header_of_run(run)
    assert (old.rules, old.made_with, old.stop_loss, old.instances) == (1, {}, {}, "")
    assert old.knobs == headers.EARLIER_KNOBS.get(old.settings.policy.name, {})
    assert old.code == "0.0.9"
    assert not headers.is_unchanged(run)


def test_a_changed_header_does_not_fit_its_seal(tmp_path):
    run = rewritten(created(tmp_path), sandbox="docker")
    assert not headers.is_unchanged(run)
    other = created(tmp_path, "two")
    tree = json.loads(other.settings_file.read_text())
    tree.pop("seal")
    tree["digest"] = "0"
    other.settings_file.write_text(json.dumps({**tree, "seal": digest_of(tree)}))
    assert not headers.is_unchanged(other), "the digest is that of other settings"


def test_a_run_is_named_by_its_time_policy_and_settings():
    chosen = load("demo")
    name = headers.run_name(chosen, 0.0)
    assert name == f"1970-01-01T0000-{chosen.policy.name}-{chosen.digest()[:4]}"


def test_a_ladder_leaves_out_the_tiers_that_are_skipped(tmp_path):
    head = header()
    names = [one.arm.model for one in head.ladder()]
    assert names == list(head.settings.ladder)
    chosen = load("demo")
    fewer = Header(chosen, "", {}, {names[0]: "no key"}, "local", {}, 0.0)
    assert [one.arm.model for one in fewer.ladder()] == names[1:]
    tier = chosen.tiers[names[1]]
    budget = fewer.ladder()[0].budget
    assert (budget.dollars, budget.steps, budget.seconds) == (
        tier.attempt_usd, tier.attempt_steps, tier.attempt_seconds
    )  # fmt: skip
    assert fewer.recordings is True


def test_what_a_run_was_made_with_is_stored_under_its_content(tmp_path):
    texts = current_inputs(load("demo"))
    for label in ("scaffold", "tools"):
        assert texts[label].startswith('{\n "'), f"{label}: its digest names it"
    made_with = {label: text_digest(text) for label, text in texts.items()}
    run = created(tmp_path, "one", header(made_with=made_with), texts.values())
    kept = stored_texts(run, header_of_run(run))
    assert kept == {label: text for label, text in texts.items() if label != "calibration"}
    plain = Header(load("demo"), "", {}, {}, "local", {}, 0.0, made_with={"x": "y"})
    assert verify_settings(run, plain) is plain.settings.verify
    file = run.input_file(made_with["tools"])
    file.write_text("other")
    with pytest.raises(UsageError, match="was changed: it is not what the run was made with"):
        run.input_text(made_with["tools"])
    file.unlink()
    with pytest.raises(UsageError, match=r"cannot be read .No such file"):
        run.input_text(made_with["tools"])
    for name in ("x", "../settings.json", "F" * 64, "f" * 65):
        with pytest.raises(UsageError, match="is no SHA-256"):
            run.input_text(name)


def test_the_last_record_and_the_last_grade_of_an_instance_count(tmp_path):
    run = created(tmp_path)
    assert run.records() == {} == run.grades()
    run.add_record(record(ONE, 1.0))
    assert run.records()[ONE.id].seconds == 1.0
    run.add_record(record(TWO))
    run.add_record(record(ONE, 2.0))
    assert [one.seconds for one in run.concluded()] == [1.0, 0.0, 2.0]
    assert run.records()[ONE.id].seconds == 2.0
    first, second = (Grade(instance_id=ONE.id, outcome=one, patch="p")
                     for one in ("unresolved", "resolved"))  # fmt: skip
    run.add_grades([first, second])
    assert run.grades() == {ONE.id: second}


def test_a_verdict_goes_before_an_ungraded_of_the_same_patch(tmp_path):
    run = created(tmp_path)

    def grade(result, patch):
        return Grade(instance_id=ONE.id, outcome=result, patch=patch)

    run.add_candidate_grade(grade("resolved", "a"))
    run.add_candidate_grade(grade("ungraded", "b"))
    run.add_grades([grade("ungraded", "a"), grade("unresolved", "b"), grade("ungraded", "c")])
    found = {patch: one.outcome for (_, patch), one in run.grades_by_patch().items()}
    assert found == {"a": "resolved", "b": "unresolved", "c": "ungraded"}
    assert [one.patch for one in run.candidate_grades()] == ["a", "b"]


def test_a_file_of_the_run_stays_in_it(tmp_path):
    run = created(tmp_path)
    assert run.write_text("report.md", "x").read_text() == "x"
    assert run.attempt_folder("o__r-1") == run.path / "trajectories" / "o__r-1"
    for name in ("../x", "a/b"):
        with pytest.raises(UsageError):
            run.attempt_folder(name)


def test_one_process_drives_a_run_and_a_stop_is_of_the_one_before(tmp_path):
    run = created(tmp_path)
    run.stop_file.touch()
    assert run.stopping()
    with run.locked():
        assert not run.stopping()
        other = RunFolder(run.path).locked()
        with pytest.raises(UsageError, match="run one is being driven by another process"), other:
            pass
    with run.locked():
        pass


def test_workers_of_a_killed_driver_are_waited_for_and_then_named(tmp_path):
    run = created(tmp_path)
    with run.working(), RunFolder(run.path).working():
        late = RunFolder(run.path, max_orphan_wait_seconds=0.0).locked()
        with pytest.raises(UsageError, match="earlier launch of run one are still at work"), late:
            pass
    worker = (run.path / "work.lock").open("a")
    fcntl.flock(worker, fcntl.LOCK_SH)
    ended = []
    threading.Timer(0.05, lambda: (ended.append(1), worker.close())).start()
    with run.locked():
        assert ended


def test_notes_of_verifiers_are_there_for_the_next_process(tmp_path):
    file = tmp_path / "of" / "notes.jsonl"
    store = VerifierStore(file)
    assert len(store) == 0
    store["a"], store["b"] = 1, None
    store["a"] = {"x": 2}
    del store["b"]
    for known in (store, VerifierStore(file)):
        assert dict(known) == {"a": {"x": 2}}
    with pytest.raises(KeyError):
        del store["b"]
    for line in ('{"value": 1}', '{"key": 1, "value": 2}', '{"key": "a"}'):
        file.write_text('{"key": "a", "value": 1}\n' + line + "\n")
        with pytest.raises(UsageError, match=r"notes\.jsonl:2 is no note: restore the line"):
            VerifierStore(file)["a"]
    file.write_text('{"key": "a", "gone": true}\n')
    assert dict(VerifierStore(file)) == {}


def test_imported_candidates_are_copied_with_their_steps(tmp_path):
    one, peer = outcome("a", tier="imported"), outcome("b", tier="imported", number=2)
    case = InstanceCase("o__r-1", (one,), (peer,), {one.attempt.id: "n"}, {one.attempt.id: "m"},
                         {one.attempt.id: (step(0, say="ä"), step(1))})  # fmt: skip
    store_case(tmp_path / "at", case)
    found = load_case(tmp_path / "at")
    assert found is not None
    assert (found.instance_id, found.outcomes, found.peers) == ("o__r-1", (one,), (peer,))
    assert (found.names, found.models, found.steps) == (case.names, case.models, {})
    whole = load_case(tmp_path / "at", steps=True)
    assert whole is not None
    assert whole.steps == {**case.steps, peer.attempt.id: ()}
    assert sorted(one.name for one in (tmp_path / "at").iterdir()) == [
        f"{one.attempt.id}.jsonl.gz", "imported.json"
    ]  # fmt: skip
    assert load_case(tmp_path) is None
    damaged = {"{": "is damaged", "{}": "is damaged: KeyError"}
    damaged['{"outcomes": [1], "peers": []}'] = "is damaged: ValidationError"
    for text, fault in damaged.items():
        (tmp_path / "at" / "imported.json").write_text(text)
        with pytest.raises(UsageError, match=fault):
            load_case(tmp_path / "at")


def test_a_pipe_in_place_of_a_file_is_named_and_not_waited_for(tmp_path):
    run = created(tmp_path)
    for file, read in ((run.settings_file, run.header), (run.path / "made-with" / ("a" * 64),
                       lambda: run.input_text("a" * 64))):  # fmt: skip
        file.unlink(missing_ok=True)
        os.mkfifo(file)
        with pytest.raises(UsageError, match=file.name):
            read()


def test_the_same_steps_make_the_same_bytes(tmp_path):
    one = outcome("a", tier="imported")
    case = InstanceCase("o__r-1", (one,), steps={one.attempt.id: (step(0),)})
    store_case(tmp_path, case)
    assert (tmp_path / f"{one.attempt.id}.jsonl.gz").read_bytes()[4:8] == bytes(4), "no time in it"
