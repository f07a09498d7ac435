"""Features: what the text says, where the walk goes, and that the score only moves one way."""

from __future__ import annotations

import math
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.codegraph.commits import FileChange, PastCommit, past_commits
from swe_router.codegraph.git_objects import GitObjects, RepoError
from swe_router.codegraph.graph import CodeGraph, build_graph
from swe_router.features.extraction_steps import extract_features
from swe_router.features.graph_walk import resolve_path, seed_weights, walk_shares
from swe_router.features.issue_text import find_mentions, text_features
from swe_router.features.past_changes import TfidfWords, history_features, ridge_prediction
from swe_router.features.predicted_region import ranked_files, region_features
from swe_router.features.word_overlap import word_features
from swe_router.records import Instance
from tests.unit.test_codegraph import PROJECT, commit

ISSUE = """Cart.total() is wrong?

`RATE` should be used instead of 1:

```python
Traceback (most recent call last):
  File "/home/u/site-packages/shop/cart.py", line 6, in total
  File "/usr/lib/python3.9/json/decoder.py", line 3, in decode
ValueError
```
See shop/money.py for convert.
"""


@pytest.fixture
def graph(tmp_path: Path) -> CodeGraph:
    return build_graph(*commit(tmp_path, PROJECT))


def issue(text: str) -> Instance:
    return Instance(id="one", repo="o/n", base_commit="a" * 40, problem=text)


def region_of(graph, named):
    weights = seed_weights(graph, named)
    return region_features(graph, named, weights, ranked_files(graph, weights))


def test_text_features_of_a_known_issue() -> None:
    found = text_features(ISSUE)
    assert found["code_fences"] == 1
    assert found["traceback"] == 1
    assert found["stack_frames"] == 2
    assert found["question"] == 1
    assert found["fix_hints"] == 2
    assert found["file_mentions"] == 3
    assert 0 < found["code_share"] < 1


def test_mentions_keep_symbols_and_frames_apart() -> None:
    named = find_mentions(ISSUE)
    assert {"Cart.total", "RATE"} <= set(named.symbols)
    assert named.frames[0] == ("/home/u/site-packages/shop/cart.py", "total")


def test_frames_resolve_to_our_files_only(graph: CodeGraph) -> None:
    assert resolve_path(graph, "/home/u/site-packages/shop/cart.py") == ["shop/cart.py"]
    assert resolve_path(graph, "/usr/lib/python3.9/money.py") == []
    assert resolve_path(graph, "money.py") == ["shop/money.py"]
    assert resolve_path(graph, "") == []


def test_seeds_are_files_frames_and_symbols(graph: CodeGraph) -> None:
    assert set(seed_weights(graph, find_mentions(ISSUE))) == {"shop/cart.py", "shop/money.py"}
    assert seed_weights(graph, find_mentions("nothing here")) == {}
    assert seed_weights(graph, find_mentions("the helper breaks")) == {"shop/cart.py": 0.25}


def test_the_walk_agrees_with_hand_computed_ranks(tmp_path: Path) -> None:
    # a - b joined once, c alone; all restarts at a, damping 1/2:
    # a = 1/2 + b/2 and b = a/2, so a = 2/3, b = 1/3 and c = 0.
    files = {"a.py": "import b\n", "b.py": "", "c.py": ""}
    graph = build_graph(*commit(tmp_path, files))
    rank = walk_shares(graph, {"a.py": 1.0})
    assert rank == pytest.approx({"a.py": 2 / 3, "b.py": 1 / 3, "c.py": 0.0}, abs=1e-6)
    found = region_of(graph, find_mentions("a.py"))
    assert found["ppr_top1"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["plausible_files"] == 2
    bits = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert found["ppr_entropy"] == pytest.approx(bits, abs=1e-5)  # over the two that are reached


def test_nothing_named_is_a_uniform_walk(tmp_path: Path) -> None:
    graph = build_graph(*commit(tmp_path, {"a.py": "", "b.py": "", "c.py": "", "d.py": ""}))
    assert region_of(graph, find_mentions("it fails"))["ppr_entropy"] == 1.0


def test_coupling_counts_files_around_the_region(graph: CodeGraph) -> None:
    found = region_of(graph, find_mentions("shop/money.py"))
    assert found["region_tests"] == 2
    assert found["repo_files"] == len(graph.files)


def test_provenance_says_where_each_value_comes_from(graph: CodeGraph) -> None:
    bare, whole = extract_features(issue(ISSUE), None), extract_features(issue(ISSUE), graph)
    assert set(bare.values) == set(bare.provenance)
    assert set(bare.provenance.values()) == {"issue"}
    assert set(whole.values) == set(whole.provenance)
    assert whole.provenance["complexity"] == "repo"
    assert whole.provenance["words"] == "issue"
    assert bare.text == ISSUE
    assert bare.repo == "o/n"


def test_extraction_is_deterministic(graph: CodeGraph, tmp_path: Path) -> None:
    again = build_graph(*commit(tmp_path / "again", PROJECT))
    assert extract_features(issue(ISSUE), graph) == extract_features(issue(ISSUE), again)


def test_an_empty_repository_is_no_crash(tmp_path: Path) -> None:
    graph = build_graph(*commit(tmp_path, {"README": "x"}))
    assert 1 <= extract_features(issue(ISSUE), graph).values["complexity"] <= 10


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_finite_values(text: str) -> None:
    found = extract_features(issue(text), None)
    assert all(math.isfinite(value) and value >= 0 for value in found.values.values())
    assert 1 <= found.values["complexity"] <= 10


@pytest.mark.parametrize(
    "text", ["```x\n" * 20000, "a" * 150000, "a.b" * 50000, "`" * 100000, "a_b/" * 40000,
             'File "' * 30000, "replace " + "x " * 60000, "change " * 25000],
)  # fmt: skip
def test_hostile_text_ends_soon(text: str) -> None:
    start = time.process_time()
    extract_features(issue(text), None)
    assert time.process_time() - start < 3


def a_commit(number: int, subject: str, *changes: tuple[str, int]) -> PastCommit:
    made = tuple(FileChange(path, added, 0) for path, added in changes)
    return PastCommit(f"{number:040x}", 10**9 - number * 86400, f"a{number % 3}@x", subject, made)


def test_churn_counts_the_last_year_of_the_region_only() -> None:
    commits = [
        a_commit(0, "Fix the total", ("shop/cart.py", 3), ("shop/money.py", 1)),
        a_commit(9, "Add a page", ("shop/cart.py", 3)),
        a_commit(20, "Fix docs", ("README.md", 3)),
        a_commit(400, "Fix old bug", ("shop/cart.py", 3)),
    ]
    found = history_features(commits, "x", {"shop/cart.py": 0.75, "shop/tax.py": 0.25})
    assert found["history_commits"] == 4
    assert found["region_commits"] == 2
    assert found["region_churn"] == 1.5
    assert found["region_fix_share"] == 0.5
    assert found["region_authors"] == 1
    assert found["region_together"] == pytest.approx(math.log(2) / 2, abs=1e-6)
    assert "kin_lines" not in found  # four commits teach nothing
    strange = [a_commit(n, "", ("a.py", 1)) for n in range(60)]
    assert "kin_lines" not in history_features(strange, "x", {})


def test_kin_lines_follow_the_words_of_past_subjects() -> None:
    small = [a_commit(n, "Typo in message", ("a.py", 1)) for n in range(0, 60, 2)]
    large = [a_commit(n, "Rework the planner", ("a.py", 300)) for n in range(1, 61, 2)]
    commits = sorted([*small, *large], key=lambda commit: -commit.time)
    sizes = {
        text: history_features(commits, text, {})["kin_lines"]
        for text in ("a typo in the message", "the planner is slow", "typo planner")
    }
    assert sizes["a typo in the message"] < sizes["typo planner"] < sizes["the planner is slow"]
    assert sizes == {text: history_features(commits, text, {})["kin_lines"] for text in sizes}


def test_words_and_ridge_agree_with_their_definitions() -> None:
    texts = ["fix the parser", "fix the printer", "add the parser parser", "fix a test"]
    words = TfidfWords.of(texts)
    assert list(words.place) == ["fix", "parser", "the"]
    assert words.weight == pytest.approx(np.log(5 / (1 + np.array([3, 2, 3]))) + 1)
    known = words.vectors(texts)
    x, y = known.toarray(), np.array([1.0, 2.0, 4.0, 0.5])
    assert (x**2).sum(axis=1) == pytest.approx(1)
    assert x[2, 1] / x[2, 2] == pytest.approx((1 + math.log(2)) * words.weight[1] / words.weight[2])
    middle = x - x.mean(axis=0)
    weights = np.linalg.solve(middle.T @ middle + 3 * np.eye(3), middle.T @ (y - y.mean()))
    asked = words.vectors(["the parser fails"])
    wanted = y.mean() + (asked.toarray()[0] - x.mean(axis=0)) @ weights
    assert ridge_prediction(known, y, asked) == pytest.approx(wanted, abs=1e-6)


def test_the_past_holds_ancestors_only(tmp_path: Path) -> None:
    repo, base = commit(tmp_path, PROJECT)
    before = past_commits(repo, base)
    git = ["git", "-C", str(repo), "-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Fix it"], check=True)
    assert past_commits(repo, base) == before
    assert [one.sha for one in before] == [base]
    assert {change.path for change in before[0].changes} >= {"shop/cart.py"}


def test_a_history_that_cannot_be_walked_is_named(tmp_path: Path) -> None:
    repo, _ = commit(tmp_path, PROJECT)
    with pytest.raises(RepoError, match="history"):
        past_commits(repo, "f" * 40)
    with pytest.raises(RepoError, match="not a commit"):
        past_commits(repo, "--all")


def test_one_large_file_that_a_copy_left_out_is_skipped_and_more_are_damage(
    tmp_path: Path,
) -> None:
    files = {f"m{n}.py": f"x = {n}\n" for n in range(120)}
    repo, base = commit(tmp_path, {**files, "data.txt": "large"})

    def lose(path: str) -> None:
        said = ["git", "-C", str(repo), "rev-parse", f"{base}:{path}"]
        sha = subprocess.run(said, capture_output=True, text=True, check=True).stdout.strip()
        (repo / ".git" / "objects" / sha[:2] / sha[2:]).unlink()

    lose("data.txt")
    assert GitObjects(repo).complete(base)
    assert len(build_graph(repo, base).files) == 120
    lose("m7.py")
    assert not GitObjects(repo).complete(base)


def test_words_find_the_file_that_uses_them(graph: CodeGraph) -> None:
    clear = word_features(graph, "Cart total")
    assert clear["word_match"] > word_features(graph, "Cart and many other words")["word_match"] > 0
    assert word_features(graph, "zzz qqq") == {"word_match": 0.0, "word_lead": 1.0}


def test_history_has_its_own_provenance(graph: CodeGraph) -> None:
    commits = [a_commit(0, "Fix the total", ("shop/cart.py", 3))]
    whole = extract_features(issue(ISSUE), graph, commits)
    assert whole.provenance["region_churn"] == "history"
    assert whole.provenance["complexity"] == "history"
    assert extract_features(issue(ISSUE), None, commits).provenance.get("region_churn") is None
