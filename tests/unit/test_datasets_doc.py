"""docs/datasets.md: its table names every data set, and its example of another package works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swe_router.grading import graders
from swe_router.grading.grade import grade_patches
from swe_router.grading.predictions import Prediction
from swe_router.instances import sources, splits
from swe_router.records import Instance
from tests.doubles.plain_sandbox import PlainSandbox

DOC = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `([a-z-]+)` \|.*$", DOC, re.MULTILINE)}
FIX = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-wrong\n+right\n"


@pytest.mark.parametrize("one", list(sources.all_datasets()), ids=lambda one: one.name)
def test_every_data_set_has_a_row_with_all_its_names(one):
    row = ROWS[one.name]
    assert row.count(" | ") == DOC.split("|---", 1)[0].splitlines()[-1].count(" | ")
    for name in one.splits:
        if "/" not in name:
            assert f"`{re.sub('multilang-.*', 'multilang-LANGUAGE', name)}`" in row, name


def test_no_row_is_of_a_data_set_that_is_not_there():
    assert set(ROWS) == {one.name for one in sources.all_datasets()}


@pytest.fixture
def package(tmp_path_factory):
    """The example of the page as a module that this process can import."""
    folder = tmp_path_factory.mktemp("package")
    code = re.search(r"```python\n(.*?)```", DOC, re.DOTALL)[1]
    name = f"example_of_the_page_{folder.name.replace('-', '_')}"
    code = code.replace('"my-dataset", "my-grader"', f'"my-dataset", "{name}:MyGrader"')
    (folder / f"{name}.py").write_text(code)
    sys.path.insert(0, str(folder))
    yield name
    sys.path.remove(str(folder))


@pytest.mark.parametrize(
    ("patch", "outcome"), [(FIX, "resolved"), (FIX[:-7] + "left\n", "unresolved")]
)
def test_the_example_of_another_package_reads_and_grades(package, tmp_path, patch, outcome):
    row = {"instance_id": "me__it-1", "repo": "me/it", "base_commit": "c" * 40, "image": "i",
           "my_issue": "It is wrong.", "my_tests": "grep -q right a.txt"}  # fmt: skip
    split = tmp_path / "rows.jsonl"
    split.write_text(json.dumps(row) + "\n")
    dataset = f"{package}:MyDataset"
    (instance,) = splits.load_instances(str(split), dataset_reader=dataset)
    assert (instance.workdir, instance.dataset) == ("/app", "my-dataset")
    assert "grep" not in instance.model_dump_json()

    def opens(one: Instance, *, network: bool = False):
        return Opened(tmp_path / "sandbox")

    grader = graders.evaluating_grader(
        str(split), dataset, folder=tmp_path, timeout=20, sandbox="test", opens=opens
    )
    prediction = Prediction(instance_id=instance.id, patch=patch)
    grades = grade_patches([prediction], {instance.id: instance}, grader)
    assert [one.outcome for one in grades.values()] == [outcome], grades


class Opened(PlainSandbox):
    """A sandbox with one file under git."""

    def __enter__(self):
        (self.tree / "a.txt").write_text("wrong\n")
        subprocess.run(["git", "init", "-q"], cwd=self.tree, check=True)
        return self

    def __exit__(self, *_):
        return None
