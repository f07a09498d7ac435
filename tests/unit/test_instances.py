"""Splits, files and selections: what is read, what is refused, and what never comes through."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swe_router
from swe_router import assets
from swe_router.errors import UsageError
from swe_router.instances.splits import load_instances
from swe_router.instances.swebench import HARNESS, OFFICIAL, SweBench
from tests.doubles.sources import nodes

SECRET = ("patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "eval_script", "hints_text")
DEMO = assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl"


def row(name: str = "o__r-1", **changes):
    made = {
        "instance_id": name,
        "repo": "o/r",
        "base_commit": "c" * 40,
        "problem_statement": "It breaks.\u2028And badly.",
        "image": "img:1",
        "patch": "gold-patch",
        "test_patch": "gold-tests",
        "FAIL_TO_PASS": '["t::a"]',
        "PASS_TO_PASS": "[]",
        "eval_script": "gold-script",
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
        "hints_text": "gold-hint",
        "difficulty": "gold-hard",
        "version": "1",
    }
    return {**made, **changes}


def write(path: Path, rows) -> str:
    if path.suffix == ".jsonl":
        # As data sets come: U+2028 stands in the text as it is, and is no end of a line.
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_every_file_form_gives_the_same_instances(tmp_path, name):
    path = write(tmp_path / name, [row("a__b-1"), row("a__b-2", image=None)])
    first, second = load_instances(path)
    assert (first.id, first.repo, first.base_commit) == ("a__b-1", "o/r", "c" * 40)
    assert (first.problem, first.image) == ("It breaks.\u2028And badly.", "img:1")
    assert (second.image, second.suite) == ("", path)


@pytest.mark.parametrize("split", list(OFFICIAL))
def test_official_names_go_to_the_hub_by_id(split):
    asked = []

    def hub(name):
        asked.append(name)
        return [row()]

    assert load_instances(split, hub=hub)[0].suite == split
    assert asked == [OFFICIAL[split]]


def test_no_value_of_the_answer_key_is_in_any_demo_instance():
    rows = {one["instance_id"]: one for one in map(json.loads, DEMO.read_text().splitlines())}
    instances = load_instances("demo")
    assert len(instances) == len(rows) >= 12
    for instance in instances:
        text = instance.model_dump_json()
        for column in set(rows[instance.id]) - {*SweBench.question, "version", "created_at"}:
            value = rows[instance.id][column]
            if column in SECRET and len(str(value)) > 2:
                assert json.dumps(str(value))[1:-1] not in text, (instance.id, column)
        assert set(json.loads(text)) == {"id", "repo", "base_commit", "problem", "image", "suite"}


def test_planted_answers_do_not_reach_an_instance(tmp_path):
    (instance,) = load_instances(write(tmp_path / "a.jsonl", [row()]))
    assert "gold-" not in instance.model_dump_json()


def test_only_grading_names_the_columns_of_the_answer_key():
    """A scan of every string in the package: no other room can even ask for these columns."""
    package = Path(swe_router.__file__).parent
    secret = {"test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "eval_script", "hints_text"}
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] in ("grading", "_assets"):
            continue
        named = {
            node.value
            for node in nodes(path)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        } & secret
        # The adapter names one of them, by whose presence it tells its rows.
        allowed = set(HARNESS) if place == Path("instances/swebench.py") else set()
        assert named <= allowed, place


def test_whole_rows_are_read_by_the_loader_and_by_grading_alone():
    """``Origin.any_rows`` gives any column that is asked for, so who may ask is a closed list."""
    package = Path(swe_router.__file__).parent
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] in ("grading", "_assets", "instances"):
            continue
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "swe_router.instances"
            ):
                names = {node.module, *(alias.name for alias in node.names)}
                closed = {"rows", "files", "sources"}
                assert not names & (closed | {f"swe_router.instances.{one}" for one in closed}), (
                    place
                )


IDS = ["a__x-1", "a__x-2", "b__y-3", "b__y-4", "c__z-5"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"ids": ("b__y-4", "a__x-1")}, ["a__x-1", "b__y-4"]),
        ({"filter": "^b__"}, ["b__y-3", "b__y-4"]),
        ({"filter": "x-|z-"}, ["a__x-1", "a__x-2", "c__z-5"]),
        ({"slice": "1:3"}, ["a__x-2", "b__y-3"]),
        ({"slice": "-2:"}, ["b__y-4", "c__z-5"]),
        ({"slice": ":2"}, ["a__x-1", "a__x-2"]),
        ({"filter": "b__", "slice": "1:"}, ["b__y-4"]),
    ],
)
def test_selection(options, left):
    assert [
        one.id for one in load_instances("full", hub=lambda _: [row(i) for i in IDS], **options)
    ] == left


@given(st.integers(min_value=0, max_value=2**32))
def test_shuffle_is_a_permutation_fixed_by_its_seed(seed):
    def hub(_):
        return [row(name) for name in IDS]

    once = [one.id for one in load_instances("full", shuffle=True, seed=seed, hub=hub)]
    assert once == [one.id for one in load_instances("full", shuffle=True, seed=seed, hub=hub)]
    assert sorted(once) == sorted(IDS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ids": ("b__y-33",)}, "no instance 'b__y-33' among its 5; did you mean 'b__y-3'?"),
        ({"filter": "["}, "is not a regular expression"),
        ({"filter": "nothing"}, "none of the 5 instances of 'full' is left after --filter nothing"),
        ({"slice": "9:"}, "is left after --slice 9:"),
        ({"slice": "1-3"}, "write it as A:B"),
        ({"slice": "1:2:3"}, "write it as A:B"),
    ],
)
def test_bad_selections_are_told_in_one_line(options, said):
    with pytest.raises(UsageError) as told:
        load_instances("full", hub=lambda _: [row(i) for i in IDS], **options)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["bom.jsonl", "crlf.JSONL", "by-id.json"])
def test_what_other_programs_add_to_a_file_is_no_fault(tmp_path, name):
    text, keyed = json.dumps(row()), json.dumps({"o__r-1": row()})
    forms = {"bom": "\ufeff\n" + text, "crlf": text + "\r\n\r\n", "by-id": keyed}
    (tmp_path / name).write_text(forms[Path(name).stem], encoding="utf-8", newline="")
    assert [one.id for one in load_instances(str(tmp_path / name))] == ["o__r-1"]


def test_an_issue_text_that_no_file_could_hold_is_made_one_that_it_can():
    (one,) = load_instances(
        "full", hub=lambda _: [row(problem_statement="a\ud800b", base_commit="C" * 40)]
    )
    assert (one.problem, one.base_commit) == ("a?b", "c" * 40)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problem_statement": None}, "instance 'o__r-1' of 'full' has no problem_statement"),
        ({"base_commit": ""}, "has no base_commit"),
        ({"repo": 7}, "has no repo"),
        ({"instance_id": None}, "row 1: the row has no instance_id"),
        ({"instance_id": "../up"}, "must consist of letters"),
        ({"instance_id": "a" * 201}, "200 at most"),
        ({"base_commit": "--upload-pack=x"}, "'--upload-pack=x' is no commit id"),
    ],
)
def test_a_row_without_its_question_is_refused(changes, said):
    with pytest.raises(UsageError, match=r"row|instance") as told:
        load_instances("full", hub=lambda _: [row(**changes)])
    assert said in str(told.value)


@pytest.mark.parametrize("column", HARNESS)
def test_a_revision_from_before_swebench_5_is_named(column):
    old = row()
    del old[column]
    with pytest.raises(UsageError, match=rf"lacks {column} \(row 2\).*before swebench 5; take"):
        load_instances("lite", hub=lambda _: [row("a-1"), {**old, "instance_id": "a-2"}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"selected_test_files_to_run": "[]", "dockerhub_tag": "t"}, "a row of SWE-bench Pro"),
        ({"org": "o", "f2p_tests": {}}, "a row of Multi-SWE-bench"),
        ({"install_config": {}, "image_name": "i"}, "a row of SWE-rebench"),
        ({"repo": "ours/moto"}, "'ours/moto' is no repository of SWE-bench"),
        ({"version": None, "strategy": "lm"}, "are not those of SWE-bench"),
        ({"repo": "django/django"}, "a revision from before swebench 5"),
    ],
)
def test_a_row_of_another_data_set_is_not_called_an_old_one_of_swe_bench(tmp_path, changes, said):
    whole = {**row(), "version": "1", **changes}
    old = {key: value for key, value in whole.items() if key not in HARNESS and value is not None}
    with pytest.raises(UsageError) as told:
        load_instances(write(tmp_path / "rows.jsonl", [old]))
    assert said in str(told.value)
    assert ("before swebench 5; take" in str(told.value)) == ("django" in str(changes))


def test_a_duplicate_id_names_both_rows(tmp_path):
    path = write(tmp_path / "a.jsonl", [row("a-1"), row("a-2"), row("a-1")])
    with pytest.raises(UsageError, match=r"'a-1' twice \(.*a.jsonl:1 and .*a.jsonl:3\)"):
        load_instances(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"instance_id": "a"}\n{"instance', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", b"[]\n", "a.jsonl:1: a row must be a JSON object"),
        ("a.jsonl", b"\n\n", "has no rows"),
        ("a.jsonl", b"\xff\xfe{}", "is not UTF-8 text"),
        ("a.json", b'{"a": 1}', "must hold a list"),
        ("a.json", b"[" * 100_000, "a.json: not a JSON text that can be read"),
        ("a.jsonl", b"\n" + b"9" * 5000, "a.jsonl:2: not a JSON text that can be read"),
        ("a.json", b"[1]", "row 1 is not an object"),
        ("a.json", b"[\n{},\n", "a.json:3: not valid JSON"),
        ("a.parquet", b"no parquet", "is not a parquet file"),
        ("a.csv", b"x", "give a .jsonl, .json, .parquet file"),
    ],
)
def test_malformed_files_are_named_with_the_place(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as told:
        load_instances(str(tmp_path / name))
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("verifed", "did you mean 'verified'?"),
        ("Lite", "did you mean 'lite'?"),
        ("xyz", "there is demo, lite, verified, full, multilingual"),
        ("", "no split named ''"),
        ("a" * 5000, "no split named 'aaa"),
        ("no/such.parquet", "cannot read instances from no/such.parquet: No such file"),
    ],
)
def test_an_unknown_split_names_the_nearest(split, said):
    with pytest.raises(UsageError) as told:
        load_instances(split)
    assert said in str(told.value)
