"""Files of features: resumable, without texts, and nothing in them that knows the answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from swe_router.commands.features import extraction
from swe_router.errors import UsageError
from swe_router.features import feature_files
from swe_router.features.extraction_steps import VERSION, extract_features, input_key
from swe_router.features.feature_store import FeatureStore
from swe_router.features.leak_linter import leaks_of
from swe_router.records import Features, Instance
from tests.unit.test_codegraph import PROJECT, commit


def row(name: str = "words", source: str | None = "issue", value: float = 1.0) -> Features:
    provenance = {} if source is None else {name: source}
    return Features(instance_id="a", repo="o/n", values={name: value}, provenance=provenance)


@pytest.mark.parametrize("source", ["gold", "tests", "other-agents", "", "unknown", None])
def test_a_source_that_may_know_the_answer_is_refused(tmp_path: Path, source: str | None) -> None:
    (tmp_path / "f.jsonl").write_text(feature_files.feature_line(row(source=source), "k"))
    with pytest.raises(UsageError, match=r"f\.jsonl: a: 'words' comes from"):
        feature_files.read_features(tmp_path / "f.jsonl")


@pytest.mark.parametrize(
    "name",
    ["hints_text", "difficulty", "FAIL_TO_PASS", "PASS_TO_PASS", "f2p_count", "gold_files",
     "patch_lines", "test_patch_size", "resolved", "solve_rate", "consensus", "eval_script",
     "human_difficulty", "agents_solved", "hint"],
)  # fmt: skip
def test_a_name_of_the_answer_is_refused_whatever_its_stated_source(name: str) -> None:
    assert leaks_of(row(name, "issue"))


def test_a_hidden_source_without_a_value_and_a_number_that_is_none_are_refused() -> None:
    one = Features(instance_id="a", values={}, provenance={"x": "gold"})
    assert leaks_of(one) == ["'x' comes from gold"]
    assert leaks_of(row(value=math.nan))


def test_our_own_features_pass(tmp_path: Path) -> None:
    made = demo(tmp_path)
    found = feature_files.read_features(tmp_path / "f.jsonl")
    assert [one.instance_id for one in found] == ["demo__confet-3", "demo__confet-7"]
    assert made["made"] == 2
    assert {"issue", "repo", "history"} == {p for one in found for p in one.provenance.values()}


def demo(tmp_path: Path, **changes: object) -> dict[str, object]:
    asked = {
        "repos": "",
        "instance_ids": ("demo__confet-3", "demo__confet-7"),
        "id_pattern": "",
        "id_slice": "",
    }
    asked |= {"cache": tmp_path / "cache", **changes}
    out = tmp_path / "f.jsonl"
    facts: dict[str, object] = extraction.make_features("demo", out, say=str, **asked).facts  # type: ignore[arg-type]
    return facts


def test_rows_are_kept_and_the_rest_goes_on(tmp_path: Path) -> None:
    demo(tmp_path)
    out = tmp_path / "f.jsonl"
    whole = out.read_text()
    first, second = whole.splitlines(keepends=True)
    out.write_text(first + second[: len(second) // 2])  # cut off in the middle of a row
    again = demo(tmp_path)
    assert (again["kept"], again["cached"]) == (1, 1)
    assert out.read_text() == whole
    stale = json.loads(second) | {"version": "features/0"}
    out.write_text(first + json.dumps(stale) + "\n")
    assert demo(tmp_path)["kept"] == 1
    assert out.read_text() == whole


def test_rows_of_other_instances_stay_and_other_inputs_are_made_anew(tmp_path: Path) -> None:
    demo(tmp_path)
    out = tmp_path / "f.jsonl"
    rows = {one.instance_id: (one, key) for one, key in feature_files.rows_of(out)}
    other = rows["demo__confet-3"][0].model_copy(update={"instance_id": "x"})
    out.write_text(
        feature_files.feature_line(other, "k")
        + feature_files.feature_line(rows["demo__confet-7"][0], "old inputs")
    )
    assert demo(tmp_path)["kept"] == 0
    assert [one.instance_id for one in feature_files.read_features(out)] == [
        "x", "demo__confet-3", "demo__confet-7",
    ]  # fmt: skip


def test_a_missing_repository_leaves_the_text_and_is_tried_again(tmp_path: Path) -> None:
    instance = {
        "instance_id": "o__n-1", "repo": "o/n", "base_commit": "a" * 40, "image": "",
        "problem_statement": "Cart.total is wrong", "eval_script": "", "log_parser": "",
        "eval_type": "",
    }  # fmt: skip
    repo, base = commit(tmp_path / "repos" / "o__n", PROJECT)
    split = tmp_path / "s.jsonl"
    said: list[str] = []

    def made(at: str, repos: Path) -> dict[str, object]:
        split.write_text(json.dumps(instance | {"base_commit": at}) + "\n")
        facts: dict[str, object] = extraction.make_features(
            str(split),
            tmp_path / "f.jsonl",
            repos=str(repos),
            instance_ids=(),
            id_pattern="",
            id_slice="",
            say=said.append,
            cache=tmp_path / "cache",
            repository_url="",
        ).facts
        return facts

    (tmp_path / "none").mkdir()
    assert made(base, tmp_path / "none")["text_only"] == 1
    assert "warning" in said[-1]
    (text,) = feature_files.read_features(tmp_path / "f.jsonl")
    assert set(text.provenance.values()) == {"issue"}
    after = made(base, repo.parent)
    assert (after["kept"], after["made"]) == (0, 1)
    assert made(base, repo.parent)["kept"] == 1


def test_texts_are_put_back_by_id(tmp_path: Path) -> None:
    instance = Instance(id="a", repo="o/n", base_commit="a" * 40, problem="Fix it \u2028 now")
    made = extract_features(instance, None)
    path = tmp_path / "f.jsonl"
    path.write_text(feature_files.feature_line(made, input_key(instance)), encoding="utf-8")
    assert "Fix it" not in path.read_text(encoding="utf-8")
    assert feature_files.read_features(path, [instance]) == [made]
    path.write_text(feature_files.feature_line(made, "k") * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="twice"):
        feature_files.read_features(path)


@pytest.mark.parametrize("line", ["{", "[]", '{"instance_id": 3}', '{"x": 1}', "[" * 9000])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "f.jsonl").write_text(line + "\n")
    with pytest.raises(UsageError, match=r"f\.jsonl:1: "):
        feature_files.read_features(tmp_path / "f.jsonl")


def test_the_key_follows_every_input() -> None:
    one = Instance(id="a", repo="o/n", base_commit="a" * 40, problem="x")
    keys = {input_key(one.model_copy(update={k: v})) for k, v in
            (("problem", "y"), ("repo", "o/m"), ("base_commit", "b" * 40))}  # fmt: skip
    assert len({*keys, input_key(one)}) == 4
    assert input_key(one) == input_key(one.model_copy(update={"id": "b"}))


def test_a_damaged_cache_is_no_error(tmp_path: Path) -> None:
    one = Instance(id="a", repo="o/n", base_commit="a" * 40, problem="x")
    store, key = FeatureStore(tmp_path), input_key(one)
    store.put(key, extract_features(one, None, scored=False))
    assert store.get(key, one) == extract_features(one, None, scored=False)
    file = next(tmp_path.rglob("*.json"))
    assert VERSION in file.read_text()
    file.write_text("{")
    assert store.get(key, one) is None
