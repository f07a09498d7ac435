"""Predictions files: every form that is about, and each fault with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import UsageError
from swe_router.grading.predictions import (
    Prediction,
    patch_bytes,
    read_predictions,
    write_predictions,
)

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def entry(name="a-1", **changes):
    return {"instance_id": name, "model_name_or_path": "m", "model_patch": DIFF, **changes}


FORMS = {
    "dict.json": json.dumps({"a-1": entry(), "a-2": entry("a-2", model_patch=None)}),
    "keyed.json": json.dumps({"a-1": {"model_patch": DIFF}, "a-2": {"model_patch": ""}}),
    "list.json": json.dumps([entry(), entry("a-2", model_patch="")]),
    "bom.json": "\ufeff" + json.dumps([entry(), entry("a-2", model_patch="")]),
    "lines.jsonl": json.dumps(entry()) + "\n\n" + json.dumps(entry("a-2", model_patch="")) + "\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name])
    first, second = read_predictions(tmp_path / name)
    assert (first.instance_id, first.patch) == ("a-1", DIFF)
    assert (second.instance_id, second.patch) == ("a-2", "")


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_patch_text_survives_writing_and_reading(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("p") / "preds.json"
    made = [Prediction(instance_id="a-1", patch=DIFF + text), Prediction(instance_id="b", patch="")]
    write_predictions(path, made)
    assert read_predictions(path) == made


def test_bytes_that_are_no_utf8_come_back_as_they_were():
    raw = DIFF.encode() + b"+\xe9\n"
    assert patch_bytes(raw.decode("utf-8", "surrogateescape")) == raw


def test_the_written_file_is_a_dict_by_id_with_the_three_official_keys(tmp_path):
    write_predictions(tmp_path / "preds.json", [Prediction(instance_id="a-1", patch=DIFF)])
    assert json.loads((tmp_path / "preds.json").read_text()) == {
        "a-1": {"instance_id": "a-1", "model_name_or_path": "swe-router", "model_patch": DIFF}
    }
    assert [path.name for path in tmp_path.iterdir()] == ["preds.json"]


FAULTS = [
    ("a.json", "{", "a.json:1: not valid JSON"),
    ("a.json", "7", "must hold a list of predictions or an object"),
    ("a.json", "[7]", "entry 1: a prediction must be a JSON object"),
    ("a.json", "{}", "holds no predictions"),
    ("a.json", '{"a-1": "text"}', "'a-1' is not a prediction object"),
    ("a.json", json.dumps({"a-1": entry("b")}), "the entry of 'a-1' says instance_id 'b'"),
    ("a.json", '{"a-1": {"model_patch": ""}, "a-1": {"model_patch": ""}}', "is predicted twice"),
    ("a.json", json.dumps([entry(), entry()]), "entry 1 and"),
    ("a.json", json.dumps([{"model_patch": ""}]), "entry 1: the prediction has no instance_id"),
    ("a.json", json.dumps([{"instance_id": "x"}]), "for 'x' has no model_patch"),
    ("a.json", json.dumps([entry(model_patch=3)]), "the model_patch of 'a-1' is not text"),
    ("a.jsonl", json.dumps(entry()) + "\n{oops\n", "a.jsonl:2: not valid JSON"),
    ("a.json", "[" * 100_000, "a.json: not a JSON text that can be read"),
    ("a.txt", "", "give a .json, .jsonl or .pred file"),
    ("none/a.json", None, "cannot read predictions"),
]


@pytest.mark.parametrize(("name", "content", "said"), FAULTS)
def test_faults_are_told_in_one_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as told:
        read_predictions(tmp_path / name)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["a.json", "a-1.pred"])
def test_one_prediction_object_is_a_file_of_one(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(entry(model_patch=DIFF)))
    assert [(one.instance_id, one.patch) for one in read_predictions(tmp_path / name)] == [
        ("a-1", DIFF)
    ]


@pytest.mark.parametrize("patch", ["I fixed it!", "def f():\n    pass\n", "--- a\nno plus line"])
def test_a_patch_that_is_no_diff_is_refused_by_name(tmp_path, patch):
    (tmp_path / "a.json").write_text(json.dumps([entry(model_patch=patch)]))
    with pytest.raises(UsageError, match="the model_patch of 'a-1' is not a diff"):
        read_predictions(tmp_path / "a.json")


@pytest.mark.parametrize("patch", ["--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "text\n" + DIFF])
def test_a_diff_without_a_git_header_or_after_other_text_is_one(tmp_path, patch):
    (tmp_path / "a.json").write_text(json.dumps([entry(model_patch=patch)]))
    assert read_predictions(tmp_path / "a.json")[0].patch == patch
