"""Candidates of others: every form is read, no label is, and each trajectory finds its patch."""

from __future__ import annotations

import dataclasses
import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.candidates import joining
from swe_router.candidates.trajectory import ForeignTrajectory, bash, step_of
from swe_router.errors import UsageError
from swe_router.records import Trajectory
from swe_router.verifiers.signals import authors

DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
WIDE = "diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"
OTHER = DIFF.replace("+b", "+d")
A = "o__n-1"


def entry(name=A, **changes):
    return {"instance_id": name, "model_patch": DIFF, **changes}


def told(submission: str, name: str = "t", **changes) -> ForeignTrajectory:
    steps = (step_of(0, "look", [bash("1", "ls", "x.py", 0)], usd=Decimal("0.1")),)
    path = Trajectory(exit="submitted", steps=1, usd=Decimal("0.1"))
    return ForeignTrajectory(**{"instance_id": A, "name": name, "trajectory": path, "steps": steps,
                   "submission": submission, **changes})  # fmt: skip


def read(tmp_path, entries, name="p.json"):
    text = json.dumps(entries)
    if ".jsonl" in name:
        text = "".join(json.dumps(one) + "\n" for one in entries)
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return joining.read_candidates(tmp_path / name)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.json.gz", "p.jsonl.gz"])
def test_every_form_is_read_gzipped_or_not(tmp_path, name):
    first, second = read(tmp_path, [entry(), entry("o__n-2", model_patch=None)], name)
    assert (first.instance_id, first.patch, first.name) == (A, DIFF, "1")
    assert (second.instance_id, second.patch) == ("o__n-2", "")


def test_an_object_by_id_is_read(tmp_path):
    (one,) = read(tmp_path, {A: {"model_patch": DIFF, "model_name_or_path": "m"}})
    assert (one.instance_id, one.model) == (A, "m")


def test_labels_beside_a_patch_change_nothing(tmp_path):
    bare = [entry(candidate="a", model_name_or_path="m"), entry("o__n-2", candidate=7)]
    lies = {"resolved": True, "existing_tests_broken": 3, "steps": 9, "cost_usd": 1, "model": "z",
            "FAIL_TO_PASS": ["t"], "report": {"resolved": False}, "verdict": "pass"}  # fmt: skip
    assert read(tmp_path, bare) == read(tmp_path, [{**one, **lies} for one in bare])


def test_several_candidates_are_told_apart_by_name_or_number(tmp_path):
    found = read(tmp_path, [entry(), entry(model_patch=OTHER), entry("o__n-2", candidate="a")])
    assert [(one.instance_id, one.name) for one in found] == [(A, "1"), (A, "2"), ("o__n-2", "a")]


FAULTS = [
    ([entry(candidate="a"), entry(candidate="a")], "candidate 'a' of 'o__n-1' is there twice"),
    ([entry(model_patch=DIFF + "\ud800")], "half a surrogate pair"),
    ([entry(candidate="\ud800")], "half a surrogate pair"),
    ([], "holds no predictions"),
    ([{"model_patch": DIFF}], "has no instance_id"),
]


@pytest.mark.parametrize(("entries", "said"), FAULTS)
def test_a_fault_of_the_file_is_one_line(tmp_path, entries, said):
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path, entries)
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_no_diff_is_a_candidate_like_any_other(tmp_path):
    found = read(tmp_path, [entry(model_patch="I fixed it", candidate="a"), entry(candidate="b")])
    assert [one.patch for one in found] == ["I fixed it", DIFF]


def test_a_file_that_only_claims_to_be_gzipped_is_one_line(tmp_path):
    (tmp_path / "p.json.gz").write_text("[]")
    with pytest.raises(UsageError, match=r"cannot read predictions .*p\.json\.gz"):
        joining.read_candidates(tmp_path / "p.json.gz")


def test_strange_instances_are_named_and_counted(tmp_path):
    found = read(tmp_path, [entry(f"o__n-{n}") for n in range(6)])
    with pytest.raises(UsageError, match="no instance 'o__n-1', 'o__n-2', 'o__n-3' and 2 more"):
        joining.check_known(found, {"o__n-0"}, "s")


def joined(tmp_path, entries, *trajectories):
    return joining.join(read(tmp_path, entries), list(trajectories), "p.json")[A]


def owners(case) -> dict[str, str]:
    """Candidate -> what its trajectory's first command was shown, for those that have one."""
    return {
        case.names[one.attempt.id]: case.steps[one.attempt.id][0].actions[0].observation
        for one in case.outcomes
        if one.attempt.id in case.steps
    }


@pytest.mark.parametrize("submission", [DIFF, f"\n{DIFF}\n\n", WIDE])
def test_a_trajectory_belongs_to_the_patch_that_it_handed_in(tmp_path, submission):
    entries = [entry(model_patch=OTHER, candidate="a"), entry(candidate="b")]
    case = joined(tmp_path, entries, told(submission))
    assert owners(case) == {"b": "x.py"}
    assert case.peers == ()
    end = case.outcomes[1].attempt.trajectory
    assert (end.exit, end.steps, end.usd) == ("submitted", 1, Decimal("0.1"))


def test_of_equal_texts_a_run_belongs_to_that_of_its_own_model(tmp_path):
    entries = [entry(candidate="a", model_name_or_path="other-1"),
               entry(candidate="b", model_name_or_path="maker-3-preview")]  # fmt: skip
    run = dataclasses.replace(told(DIFF), model="house/maker-3-preview")
    case = joined(tmp_path, entries, run)
    assert owners(case) == {"b": "x.py"}
    assert {step.completion.model for step in case.steps[case.outcomes[1].attempt.id]} == {
        run.model
    }


def test_a_trajectory_is_found_by_the_name_of_its_folder(tmp_path):
    entries = [entry(candidate="run1"), entry(candidate="run2", model_patch="")]
    case = joined(tmp_path, entries, told("", "run2/o__n-1"))
    assert owners(case) == {"run2": "x.py"}


def test_a_number_is_no_name_that_a_folder_could_have(tmp_path):
    case = joined(tmp_path, [entry(model_patch="")] * 2, told("", "1/o__n-1"))
    assert owners(case) == {}


def test_the_only_one_that_handed_in_nothing_keeps_its_trajectory(tmp_path):
    case = joined(tmp_path, [entry(), entry(model_patch="")], told(DIFF, "a"), told("", "b"))
    assert list(owners(case)) == ["1", "2"]
    two = joined(tmp_path, [entry(model_patch="")], told("", "a"), told("", "b"))
    assert owners(two) == {}, "of two runs that left nothing, none is known to be its own"


def test_a_number_avoids_the_names_that_the_file_gives(tmp_path):
    found = read(tmp_path, [entry(candidate=1), entry(), entry(candidate=3), entry()])
    assert [one.name for one in found] == ["1", "2", "3", "4"]
    found = read(tmp_path, [entry(), entry(candidate="1"), entry(candidate="2")])
    assert [one.name for one in found] == ["3", "1", "2"]


def test_a_trajectory_of_nobody_is_a_peer_whose_tests_can_be_taken(tmp_path):
    case = joined(tmp_path, [entry()], told(OTHER))
    assert owners(case) == {}
    (peer,) = case.peers
    assert peer.candidate.patch == OTHER
    assert case.steps[peer.attempt.id][0].actions[0].call.arguments == {"command": "ls"}
    assert peer.attempt.id not in [one.attempt.id for one in case.outcomes]


def test_two_equal_patches_do_not_share_one_trajectory(tmp_path):
    case = joined(tmp_path, [entry(candidate="a"), entry(candidate="b")], told(DIFF))
    assert list(owners(case)) == ["a"]


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b")])
def test_of_equal_patches_each_keeps_the_trajectory_that_bears_its_name(tmp_path, order):
    found = read(tmp_path, [entry(candidate=name) for name in order])
    runs = [told(DIFF, "a/o__n-1", model="by a"), told(WIDE, "b/o__n-1", model="by b")]
    case = joining.join(found, runs, "p.json")[A]
    assert not case.peers
    by = {case.names[key]: steps[0].completion.model for key, steps in case.steps.items()}
    assert by == {"a": "by a", "b": "by b"}


def test_what_is_no_text_is_no_model(tmp_path):
    (one,) = read(tmp_path, [entry(model_name_or_path={"name": "m"})])
    assert one.model == ""


def test_candidates_that_changed_names_or_models_are_another_case(tmp_path):
    def digest(*names, model="m"):
        rows = [entry(candidate=names[0]), entry(candidate=names[1], model_patch=OTHER)]
        return joined(tmp_path, [{**row, "model_name_or_path": model} for row in rows]).digest()

    assert len({digest("a", "b"), digest("b", "a"), digest("a", "b", model="n")}) == 3


def test_one_candidate_is_attempt_0_and_several_are_numbered(tmp_path):
    one = joined(tmp_path, [entry()])
    two = joined(tmp_path, [entry(), entry(model_patch=OTHER)])
    assert [o.attempt.id for o in one.outcomes] == ["0-imported"]
    assert [o.attempt.id for o in two.outcomes] == ["0-imported.1", "0-imported.2"]
    assert {o.arm.model for o in two.outcomes} == {"imported"}
    assert {o.attempt.plan.budget.dollars for o in two.outcomes} == {Decimal(0)}


def test_the_digest_names_patches_and_every_step(tmp_path):
    plain = joined(tmp_path, [entry()], told(DIFF)).digest()
    other = (step_of(0, "look", [bash("1", "ls", "y.py", 0)]),)
    changed = [
        joined(tmp_path, [entry(model_patch=OTHER)], told(OTHER)),
        joined(tmp_path, [entry()], told(DIFF, steps=other)),
        joined(tmp_path, [entry()]),
        joined(tmp_path, [entry()], told(DIFF), told(OTHER)),
    ]
    assert len({plain, *(case.digest() for case in changed)}) == 5
    assert joined(tmp_path, [entry()], told(DIFF)).digest() == plain


def test_a_stripped_patch_gets_the_end_of_line_that_git_wants(tmp_path):
    case = joined(tmp_path, [entry(model_patch=DIFF.strip()), entry(model_patch=" \n")])
    assert [one.candidate.patch for one in case.outcomes] == [DIFF, ""]
    assert case.outcomes[0].candidate.files == ("x.py",)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(DIFF)
KEYS = st.sampled_from(["instance_id", "model_patch", "candidate", "model_name_or_path", A])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(TREES)
def test_whatever_the_file_holds_it_is_read_or_refused_in_one_line(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("p") / "p.json"
    path.write_text(json.dumps(tree))
    found, said = [], ""
    try:
        found = joining.read_candidates(path)
    except UsageError as error:
        said = str(error)
    assert bool(found) != bool(said)
    assert len(said.splitlines()) <= 1
    assert joining.join(found, [], "p").keys() == {one.instance_id for one in found}


def test_a_model_is_known_as_its_maker_with_or_without_a_provider(tmp_path):
    found = read(tmp_path, [entry(model_name_or_path="openai/gpt-5")])
    (one,) = joining.join(found, [], "preds.json")[A].outcomes
    assert authors.was_made_by(one, (), "gpt-5")
    assert not authors.was_made_by(one, (), "gpt-5-mini")
    assert not authors.was_made_by(one, (), "")


def test_the_name_of_the_file_says_nothing_of_the_author(tmp_path):
    found = read(tmp_path, [entry(model_name_or_path="my-agent")])
    (one,) = joining.join(found, [], "gpt-4 preds.jsonl")[A].outcomes
    assert authors.author_names(one, ()) == "my-agent"
