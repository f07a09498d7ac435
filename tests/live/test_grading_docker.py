"""The official harness in a real engine, on an image that this test makes of bash and git."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from swe_router.grading.grade import grade_patches, grade_predictions
from swe_router.grading.official import OfficialBackend, engine_fault
from swe_router.grading.predictions import Prediction, read_predictions, write_predictions
from tests.doubles.grading import grading

pytestmark = pytest.mark.docker

IMAGE = "swe-router-test/grading:1"
TOOLS = ("bash", "git", "cat", "tail", "mkdir", "sleep", "rm", "sh")
RUN = """\
. ./code.sh
if [ "$(answer)" = 42 ]; then echo PASSED t.sh::answer; else echo FAILED t.sh::answer; bad=1; fi
if [ -z "$bad" ]; then echo '== 1 passed in 0.01s =='; else echo '== 1 failed in 0.01s =='; fi
[ -z "$bad" ]
"""
SCRIPT = """\
#!/bin/bash
set -uxo pipefail
git config --global --add safe.directory /testbed
cd /testbed
cat > t.sh <<'EOF_1'
TESTS
EOF_1
: '>>>>> Start Test Output'
bash t.sh
: '>>>>> End Test Output'
"""
CODE = "answer() { echo 41; }\n"
FIXED = CODE.replace("41", "42")


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(tree: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    return run("git", *who, *arguments, cwd=tree)


def libraries(tool: str) -> set[str]:
    return set(re.findall(r"(/\S+) \(0x", run("ldd", tool)))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The project as it stands in the image."""
    tree = tmp_path_factory.mktemp("root") / "testbed"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "main")
    (tree / "code.sh").write_text(CODE)
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "base")
    return tree


@pytest.fixture(scope="module")
def image(tree, tmp_path_factory):
    """An image with the project, bash and git; removed at the end."""
    assert engine_fault() == "", "the Docker tier needs an engine"
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tools = {name: os.path.realpath(shutil.which(name) or name) for name in TOOLS}
        for name, tool in tools.items():
            tar.add(tool, arcname=f"bin/{name}")
        for library in set().union(*map(libraries, tools.values())):
            tar.add(os.path.realpath(library), arcname=library.lstrip("/"))
        tar.add(tree, arcname="testbed")
        kill = tmp_path_factory.mktemp("bin") / "kill"
        kill.write_text('#!/bin/sh\nkill "$@"\n')
        kill.chmod(0o755)
        tar.add(kill, arcname="bin/kill")
        passwd = tmp_path_factory.mktemp("etc") / "passwd"
        passwd.write_text("root:x:0:0:root:/root:/bin/sh\n")
        tar.add(passwd, arcname="etc/passwd")
        for name in ("tmp", "root"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
    change = ("-c", "ENV PATH=/bin", "-c", "ENV HOME=/root")
    run("docker", "import", *change, str(archive), IMAGE)
    yield IMAGE
    run("docker", "rmi", "--force", IMAGE)


@pytest.fixture
def split(image, tree, tmp_path):
    row = {
        "repo": "o/r",
        "version": "1",
        "base_commit": git(tree, "rev-parse", "HEAD").strip(),
        "problem_statement": "The answer is wrong.",
        "image": image,
        "patch": "",
        "test_patch": "",
        "FAIL_TO_PASS": ["t.sh::answer"],
        "PASS_TO_PASS": [],
        "eval_script": SCRIPT.replace("TESTS", RUN.rstrip()),
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
    }
    rows = [{**row, "instance_id": f"o__r-{number}"} for number in range(1, 9)]
    rows[5]["image"] = "localhost:9/swe-router-test/absent:1"
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    return str(tmp_path / "rows.json")


def patch(tree: Path, code: str) -> str:
    (tree / "code.sh").write_text(code)
    made = git(tree, "diff", "--binary")
    git(tree, "checkout", "-q", ".")
    return made


def containers() -> list[str]:
    names = run("docker", "ps", "--all", "--format", "{{.Names}}").splitlines()
    return [name for name in names if name.startswith("sweb.eval.o__r-")]


def test_verdicts_of_the_official_harness(split, tree, tmp_path):
    cheat = "echo PASSED t.sh::answer\nexit 0\n"
    patches = [
        patch(tree, FIXED),
        patch(tree, CODE + "# nothing\n"),
        patch(tree, FIXED).replace("echo 41", "echo 99"),
        patch(tree, CODE + cheat),
        patch(tree, FIXED + "sleep 600\n"),
        patch(tree, FIXED),
        "",
    ]
    path = tmp_path / "preds.json"
    write_predictions(
        path,
        [Prediction(instance_id=f"o__r-{n}", patch=text) for n, text in enumerate(patches, 1)],
    )
    backend = OfficialBackend(tmp_path / "work", timeout=5)
    backend.check()
    grades = grade_predictions(read_predictions(path), *grading(split, backend), workers=4)
    seen = [(grade.outcome, grade.evidence["reason"]) for grade in grades.values()]
    assert seen[0] == ("resolved", "all tests that must pass did")
    assert seen[1] == ("unresolved", "tests failed that must pass")
    assert seen[2] == ("unresolved", "the patch does not apply")
    assert seen[3] == ("ungraded", "the test runner did not write its closing line")
    assert seen[4][0] == "ungraded"
    assert "timed out after 5 seconds" in seen[4][1]
    assert seen[5][0] == "ungraded"
    assert "absent" in seen[5][1]
    assert seen[6] == ("unresolved", "empty patch")
    assert containers() == []
    assert {found.name for found in tmp_path.iterdir()} == {"preds.json", "rows.json", "work"}


def test_candidates_of_one_instance_are_judged_side_by_side_and_each_by_itself(
    split, tree, tmp_path
):
    texts = [patch(tree, FIXED), patch(tree, CODE + "# nothing\n"), patch(tree, FIXED + "# two\n")]
    both = [Prediction(instance_id="o__r-7", patch=text) for text in texts]
    for _ in range(2):  # the second time from what the harness left
        backend = OfficialBackend(tmp_path / "work", timeout=60)
        grades = grade_patches(both, *grading(split, backend), workers=3)
        assert [grades["o__r-7", one.digest].outcome for one in both] == [
            *("resolved", "unresolved", "resolved"),
        ]
        assert len({grade.evidence["log"] for grade in grades.values()}) == 3
    assert containers() == []


def test_our_predictions_file_is_what_the_official_command_takes(split, tree, tmp_path):
    write_predictions(
        tmp_path / "preds.json",
        [
            Prediction(instance_id="o__r-1", patch=patch(tree, FIXED)),
            Prediction(instance_id="o__r-2", patch=""),
        ],
    )
    command = [sys.executable, "-P", "-m", "swebench.harness.run_evaluation", "-d", split]
    run(*command, "-p", "preds.json", "-id", "mine", "--max_workers", "1", cwd=tmp_path)
    report = json.loads((tmp_path / "swe-router.mine.json").read_text())
    assert report["resolved_ids"] == ["o__r-1"]
    assert report["empty_patch_ids"] == ["o__r-2"]


def test_an_interrupt_leaves_no_container(split, tree, tmp_path):
    backend = OfficialBackend(tmp_path / "work", timeout=600)
    one = Prediction(instance_id="o__r-8", patch=patch(tree, FIXED + "sleep 600\n"))
    seen = {}
    thread = threading.Thread(
        target=lambda: seen.update(grade_predictions([one], *grading(split, backend)))
    )
    thread.start()
    deadline = time.monotonic() + 180
    while not containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert containers()
    backend.close()
    thread.join(timeout=180)
    assert not thread.is_alive()
    assert seen["o__r-8"].outcome == "ungraded"
    assert containers() == []
