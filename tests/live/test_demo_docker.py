"""The demo in Docker: images built offline by docker/demo.Dockerfile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_router import assets
from tests.live.kills import Series

pytestmark = pytest.mark.docker

ROWS = assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl"
RECIPES = assets.assets_root() / "docker"
IDS = ["demo__confet-11", "demo__slotkeeper-6", "demo__slotkeeper-17", "demo__gridtext-8"]
"""Wrong but plausible; a broken provider; nobody solves; debris and the agent's own commits."""
MARK = f"swe-router-test={os.getpid()}"
"""Label of the base; every image and container made from it inherits it."""
BASE = f"swe-router-test/debian:{os.getpid()}"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def tags() -> list[str]:
    """Names of the images that stand on our base, the base among them."""
    shown = ("--format", "{{.Repository}}:{{.Tag}}", "--filter", f"label={MARK}")
    found = docker("image", "ls", *shown).split()
    return sorted(name for name in found if "<none>" not in name)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A Debian with git, Python and pytest from a package mirror; no registry is asked."""
    if not shutil.which("debootstrap") or os.getuid() != 0:
        pytest.skip("the base image needs root and debootstrap: apt-get install debootstrap")
    folder = tmp_path_factory.mktemp("debian")
    options = ["--variant=minbase", "--include=git,python3,python3-pytest", "bookworm"]
    # In mounts of its own: a /proc that an aborted one leaves mounted would be there to delete.
    done = subprocess.run(
        ["unshare", "--mount", "debootstrap", *options, str(folder / "rootfs")],
        check=False, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines()[-1:]
        pytest.skip(f"debootstrap could not reach or read a Debian mirror: {said}")
    shutil.rmtree(folder / "rootfs" / "var" / "cache" / "apt", ignore_errors=True)
    tar = ["tar", "-C", str(folder / "rootfs"), "-cf", str(folder / "rootfs.tar"), "."]
    subprocess.run(tar, check=True)
    shutil.rmtree(folder / "rootfs")
    file = str(RECIPES / "debian.Dockerfile")
    try:
        docker("build", "-q", "--label", MARK, "-f", file, "-t", BASE, str(folder))
        yield BASE
    finally:
        (folder / "rootfs.tar").unlink()
        docker("rmi", "--force", *tags())
        docker("image", "prune", "--force", "--filter", f"label={MARK}")


@pytest.fixture(scope="module")
def images(base):
    """Image of each instance by its id; built with no network at all."""
    rows = {row["instance_id"]: row for row in map(json.loads, ROWS.read_text().splitlines())}
    for name in IDS:
        docker(
            *("build", "-q", "--network", "none", "-f", str(RECIPES / "demo.Dockerfile")),
            *("--build-arg", f"BASE={base}", "--build-arg", f"INSTANCE={name}"),
            *("-t", rows[name]["image"], str(ROWS.parent)),
        )
    return {name: rows[name]["image"] for name in IDS}


def command(where: Path, *arguments: str) -> dict:
    """What a command of ours says with --json, in a place with its own caches and temporaries."""
    (where / "tmp").mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "XDG_CACHE_HOME": str(where / "cache"), "TMPDIR": str(where / "tmp")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "swe_router", *arguments, "--json"],
        cwd=where, env=env, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout)


def demo(where: Path, sandbox: str) -> dict:
    """The run's figures, and what it handed in and how that was graded."""
    chosen = ["--instances", *IDS, "--sandbox", sandbox, "--workers", "0"]
    figures = command(where, "run", "--split", "demo", "--budget", "1", *chosen)
    folder = where / "runs" / figures["run"]
    grades = map(json.loads, (folder / "grades.jsonl").read_text().splitlines())
    patches = json.loads((folder / "preds.json").read_text()).values()
    by_tier = {tier: (row["attempts"], row["resolved"]) for tier, row in figures["by_tier"].items()}
    counts = ("resolved", "unresolved", "ungraded", "empty", "escalated")
    return {
        "counts": {name: figures[name] for name in counts},
        "tiers": by_tier,
        "standings": {grade["instance_id"]: grade["outcome"] for grade in grades},
        "patches": {row["instance_id"]: row["model_patch"] for row in patches},
    }


def left_behind(images: dict[str, str]) -> str:
    """Containers of ours or of the harness on these instances, running or not."""
    names = docker("ps", "--all", "--format", "{{.Names}} {{.Image}}").splitlines()
    marks = [*images.values(), *(f"sweb.eval.{name}" for name in images)]
    return "\n".join(name for name in names if any(mark in name for mark in marks))


def test_standings_in_docker_are_those_of_local_sandboxes(images, tmp_path):
    before = tags()
    docked = demo(tmp_path / "docker", "docker")
    assert left_behind(images) == ""
    assert tags() == before
    assert list((tmp_path / "docker" / "tmp").iterdir()) == []
    assert set(docked["standings"].values()) == {"resolved", "unresolved"}
    assert docked == demo(tmp_path / "local", "local")
    replayed = command(tmp_path / "docker", "replay", "latest")
    assert {name: said["divergences"] for name, said in replayed.items()} == {
        name: [] for name in IDS
    }
    assert all(said["patch_identical"] for said in replayed.values())


def test_an_image_holds_neither_the_answer_key_nor_a_later_commit(images):
    """The rows were in the build's context; the fixes are in the history that it was made from."""
    look = (
        "ls -d /suite; find / -xdev -name '*.jsonl' -not -path '/proc/*';"
        "cd /testbed; git rev-list --all --reflog | sort -u | wc -l;"
        "git rev-list HEAD | wc -l; git cat-file --batch-all-objects --batch-check | grep -c commit"
    )
    for image in images.values():
        said = docker("run", "--rm", "--network", "none", image, "sh", "-c", f"{look}; :").split()
        assert said == [said[-1]] * 3


def test_whatever_dies_and_whenever_nothing_is_left_and_books_equal_records(images, tmp_path):
    """Some of the deaths of ``kills``, a killed container among them, by KILLS and KILL_SEED."""
    seed = int(os.environ.get("KILL_SEED", time.time()))
    series = Series(tmp_path, seed, sandbox="docker", instances=[IDS[0], IDS[3]])
    series.go(int(os.environ.get("KILLS", "3")))
    assert left_behind(images) == ""
