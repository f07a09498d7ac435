"""What --split may be: names, files, folders, ids of the hub; and data sets of other packages."""

from __future__ import annotations

import json
import sys

import pytest

from swe_router.errors import UsageError
from swe_router.instances import sources, splits
from swe_router.instances.rows import HubId

ROW = {
    "instance_id": "o__r-1",
    "repo": "o/r",
    "base_commit": "c" * 40,
    "problem_statement": "It breaks.",
    "image": "img:1",
    "eval_script": "s",
    "log_parser": "p",
    "eval_type": "t",
}


def hub_of(asked, rows=(ROW,)):
    def hub(name):
        asked.append(name)
        return list(rows)

    return hub


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("verified", "SWE-bench/SWE-bench_Verified"),
        ("SWE-bench/SWE-bench_Verified", "SWE-bench/SWE-bench_Verified"),
        ("swe-bench/swe-bench_verified@dev", "swe-bench/swe-bench_verified@dev"),
        ("princeton-nlp/SWE-bench_Lite", "SWE-bench/SWE-bench_Lite"),
        ("me/my-rows:tiny@train", "me/my-rows:tiny@train"),
    ],
)
def test_a_name_and_an_id_of_the_hub_ask_the_hub_for_the_same(text, asked):
    seen: list[str] = []
    (one,) = splits.load_instances(text, hub=hub_of(seen))
    assert (one.id, one.suite, one.dataset) == ("o__r-1", text, "swe-bench")
    assert set(seen) == {asked}
    assert len(seen) == 1, "rows of the hub are fetched once"


def test_the_parts_of_an_id_of_the_hub_are_told_apart():
    assert HubId.parsed("a/b:c@d") == HubId("a/b", "c", "d")
    assert HubId.parsed("a/b@d") == HubId("a/b", "", "d")
    assert [HubId.parsed(text) for text in ("a", "a/b/c", "a/b:", "../x", "a/b@c/d")] == [None] * 5


def test_rows_of_another_form_under_a_known_name_say_what_they_lack():
    with pytest.raises(UsageError, match=r"'verified' lacks image, eval_script.*row 1"):
        splits.load_instances("verified", hub=hub_of([], [{"instance_id": "o__r-1"}]))


def test_a_data_set_that_is_named_reads_any_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({key: ROW[key] for key in list(ROW)[:5]}) + "\n")
    with pytest.raises(UsageError, match=r"lacks eval_script.*--dataset NAME"):
        splits.load_instances(str(path))
    with pytest.raises(UsageError, match=r"lacks eval_script.*every row of swe-bench has"):
        splits.load_instances(str(path), dataset_reader="swe-bench")


def test_an_unknown_data_set_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"no datasets plugin named 'swe-bnech'.*'swe-bench'"):
        splits.load_instances("demo", dataset_reader="swe-bnech")


def test_a_folder_of_no_known_form_says_what_to_give(tmp_path):
    with pytest.raises(UsageError, match=r"a folder of no form that is known here; give a \.jsonl"):
        splits.load_instances(str(tmp_path))


def test_an_id_that_the_hub_lacks_may_have_been_meant_as_a_path():
    def hub(name):
        raise UsageError(f"cannot load {name}")

    with pytest.raises(UsageError, match=r"cannot load runs/mine\Z"):
        splits.load_instances("runs/mine", hub=hub)
    with pytest.raises(UsageError, match=r"; did you mean 'ScaleAI/SWE-bench_Pro'\?"):
        splits.load_instances("ScaleAI/SWE-bench-Pro", hub=hub)


def test_the_nearest_name_goes_before_the_long_list_of_all():
    with pytest.raises(UsageError, match=r"'live-lte'; did you mean 'live-lite'\? Else there is"):
        splits.load_instances("live-lte")


def test_a_column_outside_of_the_question_is_refused_to_the_solving_side():
    origin = sources.locate_split("demo")
    with pytest.raises(UsageError, match=r"asks for patch, which its `question` does not name"):
        origin.rows(["instance_id", "patch"])
    assert origin.any_rows(["patch"])[0]["patch"]


@pytest.fixture
def package(tmp_path):
    """An installed package with a data set that works and one that is broken."""
    (tmp_path / "of_others.py").write_text(
        "from swe_router.records import Instance\n"
        "class Works:\n"
        "    name, grader, marks, question = 'of-others', 'none', ('theirs',), ('theirs',)\n"
        "    splits = {'their-split': 'them/rows@dev', 'made': ''}\n"
        "    def load(self, source):\n"
        "        texts = [row['theirs'] for row in source.rows(('theirs',))]"
        " if source.label != 'made' else ['Made.']\n"
        "        return [Instance(id=f'a-{n}', repo='a/b', base_commit='c' * 40, problem=text)\n"
        "                for n, text in enumerate(texts)]\n"
        "class Twice(Works):\n"
        "    name, splits, marks = 'twice', {}, ()\n"
        "    def load(self, source):\n"
        "        return [Instance(id='a', repo='a/b', base_commit='c', problem='p')] * 2\n"
        "class Odd(Works):\n"
        "    name, splits, marks = 'odd', {}, ()\n"
        "    def load(self, source):\n"
        "        made = {'id': 'a', 'repo': 'a/b', 'base_commit': 'c', 'problem': 'p'}\n"
        "        return [Instance(**made, workdir='x;y')]\n"
    )
    info = tmp_path / "of_others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: of-others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[swe_router.datasets]\nof-others = of_others:Works\nbroken = of_others:Absent\n"
        "twice = of_others:Twice\nodd = of_others:Odd\n"
    )
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("of_others", None)
    sources._made.cache_clear()


def test_a_data_set_of_another_package_is_found_by_name_split_hub_id_and_columns(package):
    asked: list[str] = []
    hub = hub_of(asked, [{"theirs": "It breaks."}])
    for text in ("their-split", "of-others", "them/rows", "of-others:tiny@x", "who/ever"):
        (one,) = splits.load_instances(text, hub=hub)
        assert (one.problem, one.dataset, one.suite) == ("It breaks.", "of-others", text)
    assert asked == ["them/rows@dev", "them/rows@dev", "them/rows@dev", "them/rows:tiny@x",
                     "who/ever"]  # fmt: skip
    assert splits.load_instances("made", hub=hub)[0].problem == "Made."
    assert len(asked) == 5, "a data set that makes its instances asks no hub"


def test_a_broken_data_set_keeps_nobody_from_the_others_and_is_named(package):
    assert splits.load_instances("demo")
    assert splits.load_instances("who/ever", hub=hub_of([]))[0].dataset == "swe-bench"
    with pytest.raises(UsageError, match=r"'broken' of of-others 1.0 cannot be loaded"):
        splits.load_instances("brokn")
    with pytest.raises(UsageError, match=r"'broken' of of-others 1.0 cannot be loaded"):
        splits.load_instances("demo", dataset_reader="broken")


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [("twice", "holds 'a' twice"), ("odd", r"an instance whose workdir is none: .*'x;y'")],
)
def test_what_a_data_set_of_another_package_makes_is_checked(package, dataset, reason):
    with pytest.raises(UsageError, match=reason):
        splits.load_instances("who/ever", dataset_reader=dataset, hub=hub_of([], [{"theirs": "x"}]))
