"""How a sandbox comes to an issue's start state: built, set up, and without a past."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from swe_router.errors import ImageMissing, WouldNotStart
from swe_router.records import Instance
from swe_router.sandboxes import docker
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.sandboxes.leak_guard import remove_leaks
from swe_router.settings import SandboxSettings
from tests.doubles.docker_api import Answer, Api
from tests.doubles.plain_sandbox import PlainSandbox

BARE = Instance(id="o__n-1", repo="o/n", base_commit="", problem="p")
WHO = "git -c user.name=t -c user.email=t@localhost"


def with_past(folder: Path) -> PlainSandbox:
    """A repository whose last commit makes a bug: its past is the answer."""
    place = PlainSandbox(folder)
    place.must(
        f"git init -q -b main . && echo the-answer > a.py && git add . && {WHO} commit -qm sound"
        f" && echo a-bug > a.py && {WHO} commit -qam bug && git branch other HEAD~1"
    )
    return place


def test_without_a_base_commit_the_start_state_is_the_first_of_all(tmp_path):
    place = with_past(tmp_path)
    report = remove_leaks(place, BARE)
    assert report.verified
    assert report.base == report.head == place.must("git rev-parse HEAD").strip()
    assert place.must("git rev-list --all HEAD").split() == [report.head]
    every = place.must("git cat-file --batch-all-objects --batch | cat")
    assert "the-answer" not in every
    assert place.read("a.py") == b"a-bug\n"
    assert place.must("git status --porcelain") == ""


def test_the_same_start_state_is_the_same_commit_in_every_sandbox(tmp_path):
    heads = {remove_leaks(with_past(tmp_path / name), BARE).head for name in ("one", "two")}
    assert len(heads) == 1


def test_a_work_folder_without_a_repository_gets_one(tmp_path):
    place = PlainSandbox(tmp_path)
    place.write("a.py", b"one\n")
    place.write(".gitignore", b"build\n")
    place.write("build/x", b"x\n")
    report = remove_leaks(place, BARE)
    assert place.must("git ls-tree -r --name-only HEAD").split() == [".gitignore", "a.py"]
    assert report.verified
    assert place.read("build/x") == b"x\n"


def test_a_set_up_that_fails_is_no_start_and_says_what_failed(tmp_path):
    place = with_past(tmp_path)
    docker._set_up(place, BARE.model_copy(update={"setup": "git checkout -q other"}))
    assert place.read("a.py") == b"the-answer\n"
    lost = BARE.model_copy(update={"setup": "git checkout -q nowhere"})
    with pytest.raises(WouldNotStart, match=r"o__n-1: the image cannot be set up .*nowhere"):
        docker._set_up(place, lost)


def missing(**answers: object) -> Api:
    return Api(inspect_image=ImageNotFound("no", response=Answer(404)), **answers)


def test_an_image_that_is_missing_is_built_from_its_folder(tmp_path):
    api = missing(build=[{"stream": "Step 1/2 : FROM x\n"}, {"stream": "\n"}, {"aux": {}}])
    lines: list[str] = []
    made = DockerSandboxes(
        SandboxSettings(), run="r", lock=tmp_path / "l", engine=Engine(api), progress=lines.append
    )
    made.prepare(BARE.model_copy(update={"image": "own:1", "build": str(tmp_path)}))
    ((options,),) = [(o,) for name, _, o in api.asked if name == "build"]
    assert (options["path"], options["tag"]) == (str(tmp_path), "own:1")
    assert lines == ["own:1: Step 1/2 : FROM x"]
    assert "pull" not in [name for name, _, _ in api.asked], "no registry has this image"


@pytest.mark.parametrize("answer", [[{"error": "no such base"}], TypeError("no Dockerfile")])
def test_a_folder_that_makes_no_image_is_named(tmp_path, answer):
    with pytest.raises(ImageMissing, match=rf"{tmp_path} makes no image: no "):
        Engine(missing(build=answer)).build(str(tmp_path), "own:1", print)


def test_the_guard_still_wants_a_commit_where_one_is_named(tmp_path):
    place = with_past(tmp_path)
    shutil.rmtree(place.tree / ".git" / "logs", ignore_errors=True)
    with pytest.raises(WouldNotStart, match="is no commit id"):
        remove_leaks(place, BARE.model_copy(update={"base_commit": "HEAD"}))
