"""Benchmarks: what they say of data that is too little for it."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from benchmarks import selection, weak_auc
from swe_router.stats import significance


def test_an_auc_within_repositories_needs_one_with_both_kinds_and_is_none_without():
    """It was a division by zero."""
    scores, repos = np.array([0.9, 0.1, 0.6, 0.4]), np.array(["a", "a", "b", "b"])
    assert weak_auc.within(scores, np.array([True, True, False, False]), repos) is None
    apart = weak_auc.within(scores, np.array([True, False, False, True]), repos)
    assert apart == pytest.approx(0.5)


def case(number, **right):
    return selection.Case(f"o__r-{number}", (), tuple(right), tuple(right.values()), None)


def test_the_law_of_a_blind_choice_is_that_of_all_ways_it_can_fall():
    odds = [0.2, 0.5, 0.75, 0.8]
    law = [0.0] * 5
    for way in itertools.product((0, 1), repeat=4):
        law[sum(way)] += math.prod(o if x else 1 - o for o, x in zip(odds, way, strict=True))
    for right in range(5):
        assert significance.poisson_binomial_test(right, odds) == pytest.approx(
            min(1, 2 * min(sum(law[: right + 1]), sum(law[right:])))
        )
    assert significance.poisson_binomial_test(0, []) == 1.0


def test_a_blind_selector_differs_from_the_mean_no_more_often_than_one_in_twenty():
    """Of 12 open instances with 4 of 5 right, 12 of 12 excludes a gap of 0 resampled: p is .14."""
    cases = [case(k, a=True, b=True, c=True, d=True, e=k >= 12) for k in range(40)]
    lucky, unlucky = np.ones(40), np.ones(40)
    unlucky[:6] = 0.0
    p, said = selection.significance_of("random", lucky, cases)
    assert (p, said) == (pytest.approx(2 * 0.8**12), "none")
    assert selection.significance_of("random", unlucky, cases)[1] == "differs"
    law = np.random.default_rng(5).random((400, 12)) < 0.8
    often = [selection.significance_of("random", np.r_[one, np.ones(28)], cases)[1] for one in law]
    assert often.count("differs") <= 20


def test_instances_on_which_the_choice_does_not_matter_do_not_make_them_many():
    cases = [case(k, a=True, b=k >= 9) for k in range(40)]
    found = selection.significance_of("majority", np.ones(40), cases)
    assert found == (None, "too few open instances")


def test_one_missing_patch_does_not_keep_the_best_run_from_being_best():
    cases = [case(k, good=True, poor=k % 2 == 0) for k in range(9)]
    best = selection.best_single([*cases, case(9, poor=True, rare=True)])
    assert (best.name, best.right.tolist(), best.held.sum()) == ("good", [1.0] * 9, 9)
    assert (best.runs, best.passed_over) == (("good", "poor"), ("rare",))
    told = " ".join(selection.closing_lines(best, 10))
    assert "chosen with hindsight" in told
    assert "1 instances lack" in told
    assert "not compared" in told


def files(tmp_path, count):
    """Runs x and y on ``count`` instances: x is right on all, y on none."""
    rows, labels = [], []
    for k, name in itertools.product(range(count), "xy"):
        key = {"instance_id": f"o__r-{k}", "candidate": name}
        rows.append({**key, "attempt": name, "patch": f"{k}{name}", "verdicts": []})
        labels.append({**key, "resolved": name == "x", "model_patch": f"+{k}{name}\n"})
    for name, found in (("said", rows), ("labels", labels)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in found))
    return ["--verdicts", str(tmp_path / "said"), "--labels", str(tmp_path / "labels")]


def test_what_is_chosen_with_the_labels_in_hand_gets_no_verdict(tmp_path, capsys):
    words = files(tmp_path, 12)
    selection.main([*words, "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["best_single_by_hindsight"]["name"] == "x"
    said = {row["selector"]: row for row in facts["rows"]}
    assert (said["oracle"]["p"], said["oracle"]["said"]) == (None, "hindsight")
    assert not any("best single" in name for name in said)
    assert said["mean single"]["hindsight"]["less oracle"] == [-0.5, -0.5, -0.5]
    assert said["oracle"]["hindsight"]["less best single"] == [0, 0, 0]
    selection.main(words)
    shown = capsys.readouterr().out
    assert "best single run, chosen with hindsight of 2: x, 100.0% of 12 instances" in shown
    assert "with hindsight less oracle: -50.0% [-50.0%, -50.0%]" in shown
