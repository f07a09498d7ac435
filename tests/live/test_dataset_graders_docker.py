"""Data sets' own evaluations in a real engine, on an image that this test makes by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_router.__main__ import main
from swe_router.commands.grade.grading_run import gold_outcomes_of_file, grade_file
from swe_router.instances import splits
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.settings import SandboxSettings
from tests.live.test_grading_docker import FIXED, RUN, git, image, patch, run, tree

pytestmark = pytest.mark.docker

__all__ = ["image", "tree"]  # fixtures of the grading tier
NOOP = "diff --git a/N b/N\nnew file mode 100644\n--- /dev/null\n+++ b/N\n@@ -0,0 +1 @@\n+x\n"


def added(name: str, text: str) -> str:
    """A patch that adds a file."""
    lines = text.splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}"


def graded(tmp_path: Path, split: Path, name: str, text: str):
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps({name: {"model_patch": text}}))
    (grade,) = grade_file(
        file, str(split), sandbox="docker", unsafe=False, timeout=120, workers=1, say=print
    ).values()
    return grade


def test_live_s_commands_judge_a_patch_in_a_fresh_container(
    image, tree, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    row = {
        "instance_id": "o__r-1",
        "repo": "o/r",
        "base_commit": git(tree, "rev-parse", "HEAD").strip(),
        "problem_statement": "The answer is wrong.",
        "docker_image": image,
        "patch": patch(tree, FIXED),
        "test_patch": added("t.sh", RUN),
        "test_cmds": ["bash t.sh"],
        "log_parser": "pytest",
        "FAIL_TO_PASS": ["t.sh::answer"],
        "PASS_TO_PASS": [],
    }
    split = tmp_path / "rows.jsonl"
    split.write_text(json.dumps(row) + "\n")
    gold = graded(tmp_path, split, "o__r-1", row["patch"])
    assert gold.outcome == "resolved", gold.evidence
    assert graded(tmp_path, split, "o__r-1", NOOP).outcome == "unresolved"
    assert gold_outcomes_of_file(str(split), "", ["o__r-1"]) == {"o__r-1": "resolved"}
    asked = ["grade", "--predictions", str(tmp_path / "predictions.json"), "--split", str(split)]
    assert main([*asked, "--sandbox", "docker"]) == 0
    counted = "resolved 0 of 1 whose gold patch passes on this machine (0.0%)"
    assert counted in " ".join(capsys.readouterr().out.split())
    assert main([*asked, "--sandbox", "docker", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["o__r-1"]["gold_outcome"] == "resolved"


def task(folder: Path, image: str) -> Path:
    """A Harbor task on the image, with its tests in the task's own image."""
    for name in ("environment", "tests"):
        (folder / name).mkdir(parents=True)
    (folder / "task.toml").write_text("[environment]\nallow_internet = false\n")
    (folder / "instruction.md").write_text("The answer must be 42.\n")
    (folder / "environment" / "Dockerfile").write_text(f"FROM {image}\nWORKDIR /testbed\n")
    (folder / "tests" / "test.sh").write_text(
        ". /testbed/code.sh\n[ $(answer) = 42 ] && sum=1 || sum=0\n"
        "echo $sum > /logs/verifier/reward.txt\n"
    )
    return folder


def test_a_harbor_task_s_image_is_built_and_its_verifier_run(image, tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    split = task(tmp_path / "answer", image)
    (one,) = splits.load_instances(str(split))
    try:
        gold = graded(tmp_path, split, "answer", patch(tree, FIXED))
        assert gold.outcome == "resolved", gold.evidence
        assert graded(tmp_path, split, "answer", NOOP).outcome == "unresolved"
    finally:
        run("docker", "rmi", "--force", one.image)


def test_an_instance_is_set_up_before_anybody_works_there(image, tree, tmp_path):
    made = DockerSandboxes(SandboxSettings(kind="docker"), run="t", lock=tmp_path / "lock")
    split = task(tmp_path / "answer", image)
    (one,) = splits.load_instances(str(split))
    bare = one.model_copy(update={"image": image, "build": "", "setup": "rm -f code.sh"})
    with made.open(bare) as sandbox, pytest.raises(FileNotFoundError):
        sandbox.read("code.sh")
