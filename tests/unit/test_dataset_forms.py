"""What the question side makes of each data set's rows, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from swe_router.errors import UsageError
from swe_router.grading.reversing import reverse_patch
from swe_router.grading.statuses import is_known_parser, parse_statuses
from swe_router.instances import sources, splits
from swe_router.instances.swebench_pro import SPELLED_OUT, image_tag

DATA = Path(__file__).parents[1] / "data" / "datasets"
SHA = "a" * 40


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def loaded(tmp_path: Path, *found: dict, dataset: str = ""):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found))
    return splits.load_instances(str(file), dataset_reader=dataset)


def of(name: str):
    return splits.load_instances(str(DATA / name if name == "harbor" else DATA / f"{name}.jsonl"))


def test_pro_has_its_requirements_and_interface_in_the_issue():
    first, second = of("swe-bench-pro")
    assert first.problem.endswith(
        "\n\nRequirements:\n- add(a, b) must return the exact sum."
        "\n\nNew interfaces introduced:\nNo new interfaces are introduced"
    )
    assert (first.workdir, first.language) == ("/app", "python")
    assert first.image == f"jefzda/sweap-images:ours.calc-Ours__Calc-{'1' * 40}"
    assert second.image == f"jefzda/sweap-images:ours.calc-Ours__Calc-{'3' * 40}-v4"


@pytest.mark.parametrize(
    ("name", "repo", "tag"),
    [
        (f"instance_N__N-{SHA}-vnan", "N/N", f"n.n-N__N-{SHA}"),
        (
            f"instance_element-hq__element-web-{SHA}-vnan",
            "element-hq/element-web",
            f"element-hq.element-element-hq__element-web-{SHA}",
        ),
        (SPELLED_OUT, "element-hq/element-web", "element-hq.element-web-element-hq__element-web-"
            "ec0f940ef0e8e3b61078f145f34dc40d1938e6c5-vnan"),
        (f"instance_o__n-{SHA}-v{'b' * 90}", "o/n", f"o.n-o__n-{SHA}-v{'b' * 90}"[:128]),
    ],
)  # fmt: skip
def test_pro_s_image_is_named_by_its_rule_where_the_row_names_none(name, repo, tag):
    assert image_tag(name, repo) == tag
    assert len(tag) <= 128


def test_live_names_its_image_and_refuses_windows(tmp_path):
    python, multi = of("swe-bench-live")
    assert python.image == "starryzhang/sweb.eval.x86_64.ours_1776_calc-7"
    assert multi.image == "starryzhang/sweb.eval.x86_64.ours_1776_calc-8"
    row = {
        **rows("swe-bench-live")[1],
        "docker_image": "starryzhang/sweb.eval.win.ours_1776_calc-8",
    }
    with pytest.raises(UsageError, match="an issue of Windows: not run here"):
        loaded(tmp_path, row)


def test_multilang_names_its_language_by_its_split():
    found = splits.load_instances("live-multilang-go", hub=lambda _: rows("swe-bench-live")[1:])
    assert [one.language for one in found] == ["go"]


def test_rebench_has_its_interface_in_the_issue_and_its_name_as_folder():
    (one,) = of("swe-rebench")
    assert one.problem.endswith("## Interface\n\nFunction: add(a, b) Location: calc.py")
    assert one.workdir == "/calc"
    assert one.image == "docker.io/swerebenchv2/ours-calc:1-1111111"


def test_multi_shows_the_issues_and_not_the_pull_request(tmp_path):
    (one,) = of("multi-swe-bench")
    assert one.problem == ("The sum of two numbers is wrong.\n\nadd(1, 2) gives 4.\n\nadd is off")
    assert "Fix add" not in one.model_dump_json()
    assert one.image == "mswebench/ours_m_calc:pr-9"
    assert one.workdir == "/home/calc"
    (row,) = rows("multi-swe-bench")
    (named,) = loaded(tmp_path, {**row, "instance_id": None, "org": "Ours"})
    assert named.id == "Ours__calc-9"
    with pytest.raises(UsageError, match=r"no base.sha or no resolved issue"):
        loaded(tmp_path, {**row, "resolved_issues": []})


def test_multi_takes_its_answer_out_of_the_image_before_anybody_works_there(tmp_path):
    (one,) = of("multi-swe-bench")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("fix.patch", "test.patch", "fix-run.sh", "test-run.sh", "run.sh"):
        (home / name).write_text("the answer")
    subprocess.run(["sh", "-c", one.setup.replace("/home", str(home))], check=True)
    assert [path.name for path in home.iterdir()] == ["run.sh"]


def test_smith_begins_on_the_branch_of_its_bug_and_knows_no_past(tmp_path):
    first, second = of("swe-smith")
    assert first.repo == "ours/calc"
    assert first.base_commit == ""
    assert "git checkout -q ours__calc.11111111.func_basic__abcd1234" in first.setup
    assert second.image == "swebench/swesmith.x86_64.ours_1776_calc.11111111"
    row = rows("swe-smith")[0]
    with pytest.raises(UsageError, match="has no problem_statement"):
        loaded(tmp_path, {**row, "problem_statement": ""})
    with pytest.raises(UsageError, match="none of SWE-smith's"):
        loaded(tmp_path, {**row, "repo": "ours/calc"}, dataset="swe-smith")


def test_gym_names_its_image_and_is_told_from_old_rows_of_swe_bench(tmp_path):
    (one,) = of("swe-gym")
    assert one.image == "xingyaoww/sweb.eval.x86_64.getmoto_s_moto-1"
    row = rows("swe-gym")[0]
    with pytest.raises(UsageError, match="before swebench 5; take"):
        loaded(tmp_path, {**row, "repo": "django/django"})


def test_multimodal_shows_the_issue_s_pictures_alone():
    first, second = of("swe-bench-multimodal")
    assert first.images == ("https://example.invalid/wrong.png",)
    assert second.images == ("https://example.invalid/two.png",)
    assert first.network == ("*",)


def test_pictures_that_a_table_writer_spelled_as_python_are_not_lost(tmp_path):
    found = rows("swe-bench-multimodal")
    spelled = [{**row, "image_assets": str(assets_of(row))} for row in found]
    (_, second) = loaded(tmp_path, *spelled)
    assert second.images == ("https://example.invalid/two.png",)


def assets_of(row: dict):
    given = row["image_assets"]
    return json.loads(given) if isinstance(given, str) else given


def test_a_named_data_set_that_a_row_does_not_fit_is_not_asked_for_again(tmp_path):
    row = {**rows("swe-bench-pro")[0]}
    del row["interface"]
    with pytest.raises(UsageError, match=r"lacks interface .*give a file that has all") as refused:
        loaded(tmp_path, row, dataset="swe-bench-pro")
    assert "--dataset" not in str(refused.value)


def test_a_harbor_task_is_its_instruction_its_folder_and_its_image():
    shared, apart = of("harbor")
    assert shared.id == "fix-sum"
    assert shared.problem == "Make `add` in /app/calc.py return the sum of its arguments.\n"
    assert (shared.workdir, shared.language, shared.network) == ("/app", "python", ())
    assert shared.image == apart.image, "the same environment is the same image"
    assert Path(shared.build).name == "environment"
    assert sources.locate_split(str(DATA / "harbor" / "fix-sum")).dataset.name == "harbor"


def test_deepswe_s_fields_are_read(tmp_path):
    task = tmp_path / "kombu-queue"
    shutil.copytree(DATA / "harbor" / "fix-sum-apart", task)
    (task / "task.toml").write_text(
        '[metadata]\nlanguage = "Python"\nrepository_url = "https://github.com/celery/kombu"\n'
        f'base_commit_hash = "{SHA}"\n[environment]\ndocker_image = "example.invalid/a:b"\n'
    )
    (one,) = splits.load_instances(str(task))
    assert (one.repo, one.base_commit, one.image) == ("celery/kombu", SHA, "example.invalid/a:b")
    assert (one.build, one.language, one.network) == ("", "python", ("*",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: (t / "environment" / "docker-compose.yaml").write_text("x"), "several services"),
        (
            lambda t: (t / "environment" / "Dockerfile").unlink(),
            "neither environment.docker_image nor",
        ),
        (lambda t: (t / "task.toml").write_text("= ="), "task.toml cannot be read"),
        (lambda t: (t / "instruction.md").unlink(), "a folder of no form that is known here"),
    ],
)
def test_a_harbor_task_that_cannot_be_run_says_why(change, said, tmp_path):
    task = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / "fix-sum", task)
    change(task)
    with pytest.raises(UsageError, match=said):
        splits.load_instances(str(task))


PATCHES = {
    "changed": ({"a.py": "one\ntwo\nthree\n"}, {"a.py": "one\n2\nthree\nfour\n"}),
    "new and gone": ({"old": "x\n"}, {"new": "y\n"}),
    "no newline at the end": ({"a": "one\ntwo"}, {"a": "one\n2\n"}),
    "dashes and pluses": ({"a": "-- x\n++ y\n"}, {"a": "++ y\n-- x\n-- z\n"}),
    "a name with spaces": ({"a b/c": "one\n"}, {"a b/c": "two\n"}),
    "blank context": ({"a": "one\n\n\ntwo\n\n"}, {"a": "one\n\n\n2\n\n"}),
}


@pytest.mark.parametrize("name", PATCHES)
def test_the_reverse_of_a_patch_takes_it_back(name, tmp_path):
    before, after = PATCHES[name]

    def git(*arguments: str, text: str | None = None) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True,
            input=text,
        )  # fmt: skip
        return done.stdout

    def put(files: dict[str, str]) -> None:
        for path in tmp_path.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for file, text in files.items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text)
        git("add", "-A")

    git("init", "-q")
    put(before)
    git("commit", "-qm", "before")
    put(after)
    patch = git("diff", "--cached", "HEAD", "--no-renames")
    git("commit", "-qm", "after")
    git("apply", "--index", "-", text=reverse_patch(patch))
    assert git("diff", "--cached", "HEAD~1") == ""
    assert reverse_patch(reverse_patch(patch)) == patch


def test_parsers_are_found_by_either_of_their_names():
    log = "PASSED t.py::a\nFAILED t.py::b - assert 1\nXFAIL t.py::c\nSKIPPED [1] t.py:3: no\n"
    assert is_known_parser("parse_log_pytest")
    assert is_known_parser("gotest")
    assert not is_known_parser("parse_log_haskell_v2")
    found = parse_statuses("pytest-summary", log)
    assert (found["t.py::a"], found["t.py::b"], found["t.py::c"]) == ("passed", "failed", "passed")
    verbose = parse_statuses("pytest-verbose", "t.py::a PASSED [ 50%]\nt.py::b ERROR [100%]\n")
    assert verbose == {"t.py::a": "passed", "t.py::b": "failed"}
    assert parse_statuses("gotest", "--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n") == {
        "TestA": "passed",
        "TestB": "failed",
    }
    shared = "[gw0] PASSED t.py::a\n[gw11] [ 50%] FAILED t.py::b[x]\nPASSED t.py::c\n"
    assert parse_statuses("pytest-xdist", shared) == {"t.py::a": "passed", "t.py::b[x]": "failed"}
    dots = parse_statuses("unittest-verbose", "test_x (m.C) ... ok\ntest_y (m.C) ... FAIL\n")
    assert dots == {"test_x (m.C)": "passed", "test_y (m.C)": "failed"}
