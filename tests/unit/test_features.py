"""Features: what the text says, where the walk goes, and that the score only moves one way."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.codegraph.graph import Graph, build
from swe_router.features.extract import extract
from swe_router.features.issue import mentions, text_features
from swe_router.features.region import region_features, resolve_path, seeds, walk
from swe_router.features.score import REPO_SIGNS, TEXT_SIGNS, Sign, complexity, parts
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
def graph(tmp_path: Path) -> Graph:
    return build(*commit(tmp_path, PROJECT))


def issue(text: str) -> Instance:
    return Instance(id="one", repo="o/n", base_commit="a" * 40, problem=text)


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
    named = mentions(ISSUE)
    assert {"Cart.total", "RATE"} <= set(named.symbols)
    assert named.frames[0] == ("/home/u/site-packages/shop/cart.py", "total")


def test_frames_resolve_to_our_files_only(graph: Graph) -> None:
    assert resolve_path(graph, "/home/u/site-packages/shop/cart.py") == ["shop/cart.py"]
    assert resolve_path(graph, "/usr/lib/python3.9/money.py") == []
    assert resolve_path(graph, "money.py") == ["shop/money.py"]
    assert resolve_path(graph, "") == []


def test_seeds_are_files_frames_and_symbols(graph: Graph) -> None:
    assert set(seeds(graph, mentions(ISSUE))) == {"shop/cart.py", "shop/money.py"}
    assert seeds(graph, mentions("nothing here")) == {}
    assert seeds(graph, mentions("the helper breaks")) == {"shop/cart.py": 0.25}


def test_the_walk_agrees_with_hand_computed_ranks(tmp_path: Path) -> None:
    # a - b joined once, c alone; all restarts at a, damping 1/2:
    # a = 1/2 + b/2 and b = a/2, so a = 2/3, b = 1/3 and c = 0.
    files = {"a.py": "import b\n", "b.py": "", "c.py": ""}
    graph = build(*commit(tmp_path, files))
    rank = walk(graph, {"a.py": 1.0})
    assert rank == pytest.approx({"a.py": 2 / 3, "b.py": 1 / 3, "c.py": 0.0}, abs=1e-6)
    found = region_features(graph, mentions("a.py"))
    assert found["ppr_top1"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["plausible_files"] == 2
    bits = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert found["ppr_entropy"] == pytest.approx(bits, abs=1e-5)  # over the two that are reached


def test_nothing_named_is_a_uniform_walk(tmp_path: Path) -> None:
    graph = build(*commit(tmp_path, {"a.py": "", "b.py": "", "c.py": "", "d.py": ""}))
    assert region_features(graph, mentions("it fails"))["ppr_entropy"] == 1.0


def test_coupling_counts_files_around_the_region(graph: Graph) -> None:
    found = region_features(graph, mentions("shop/money.py"))
    assert found["region_tests"] == 2
    assert found["repo_files"] == len(graph.files)


def test_provenance_says_where_each_value_comes_from(graph: Graph) -> None:
    bare, whole = extract(issue(ISSUE), None), extract(issue(ISSUE), graph)
    assert set(bare.values) == set(bare.provenance)
    assert set(bare.provenance.values()) == {"issue"}
    assert set(whole.values) == set(whole.provenance)
    assert whole.provenance["complexity"] == "repo"
    assert whole.provenance["words"] == "issue"
    assert bare.text == ISSUE
    assert bare.repo == "o/n"


def test_extraction_is_deterministic(graph: Graph, tmp_path: Path) -> None:
    again = build(*commit(tmp_path / "again", PROJECT))
    assert extract(issue(ISSUE), graph) == extract(issue(ISSUE), again)


def test_an_empty_repository_is_no_crash(tmp_path: Path) -> None:
    graph = build(*commit(tmp_path, {"README": "x"}))
    assert 1 <= extract(issue(ISSUE), graph).values["complexity"] <= 10


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_finite_values(text: str) -> None:
    found = extract(issue(text), None)
    assert all(math.isfinite(value) and value >= 0 for value in found.values.values())
    assert 1 <= found.values["complexity"] <= 10


@pytest.mark.parametrize(
    "text", ["```x\n" * 20000, "a" * 150000, "a.b" * 50000, "`" * 100000, "a_b/" * 40000,
             'File "' * 30000, "replace " + "x " * 60000, "change " * 25000],
)  # fmt: skip
def test_hostile_text_ends_soon(text: str) -> None:
    start = time.process_time()
    extract(issue(text), None)
    assert time.process_time() - start < 3


@given(st.sampled_from([*TEXT_SIGNS, *REPO_SIGNS]), st.floats(0, 1e6), st.floats(0, 1e6))
def test_each_sign_moves_the_score_one_way(sign: Sign, a: float, b: float) -> None:
    middle = {one.feature: (one.easy + one.hard) / 2 for one in (*TEXT_SIGNS, *REPO_SIGNS)}
    low, high = (complexity({**middle, sign.feature: value}) for value in sorted((a, b)))
    assert (low <= high) if sign.easy < sign.hard else (low >= high)


def test_the_score_spans_the_scale_and_its_parts_explain_it() -> None:
    signs = (*TEXT_SIGNS, *REPO_SIGNS)
    assert complexity({sign.feature: sign.easy for sign in signs}) == 1
    assert complexity({sign.feature: sign.hard for sign in signs}) == 10
    assert complexity({}) == 5.5
    values = text_features(ISSUE)
    assert 5.5 + sum(parts(values).values()) == pytest.approx(complexity(values), abs=0.01)
    assert complexity({"words": math.nan}) == 5.5
