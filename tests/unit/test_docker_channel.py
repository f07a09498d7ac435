"""A container's streams, and what is copied or asked of images before a run."""

from __future__ import annotations

import io
import socket
import tarfile

import pytest

from swe_router.errors import EngineGone, ImageMissing, Lost, NoImageStore, UsageError
from swe_router.records import Instance
from swe_router.sandboxes.docker import check_engine
from swe_router.sandboxes.docker_engine import Engine
from swe_router.settings import loading
from swe_router.wiring.connectivity import check_images
from swe_router.wiring.repositories import copy_git_folder
from tests.doubles.docker_api import Api, refusal

INSTANCE = Instance(id="i", repo="o/n", base_commit="c", problem="p", image="some/image:1")


@pytest.fixture
def channel():
    """The channel of a container, and the engine's end of it."""
    ours, theirs = socket.socketpair()
    api = Api(
        attach_socket=ours, ping=True, remove_container=refusal(404, "gone"),
        inspect_container={"State": {"Status": "exited", "ExitCode": 137}},
    )  # fmt: skip
    made = Engine(api).attach("abc")
    yield made, theirs, api
    made.close()
    theirs.close()


def frame(data: bytes) -> bytes:
    return b"\x01\0\0\0" + len(data).to_bytes(4, "big") + data


def test_a_containers_output_comes_without_its_frames_however_it_is_cut(channel):
    made, theirs, _ = channel
    assert made.recv(0.001) is None
    whole = frame(b"one") + frame(b"") + frame(b"two")
    seen = b""
    for place in range(0, len(whole), 5):
        theirs.sendall(whole[place : place + 5])
        while piece := made.recv(0.001):
            seen += piece
    assert seen == b"onetwo"
    theirs.close()
    assert made.recv(1.0) == b""


def test_commands_reach_the_container_until_it_went_away(channel):
    made, theirs, _ = channel
    made.send(b"command", 5.0)
    assert theirs.recv(100) == b"command"
    with pytest.raises(Lost, match="takes no more commands"):
        made.send(b"x" * 10_000_000, 0.05)
    theirs.close()
    with pytest.raises(Lost, match=r"the sandbox went away: its container is exited \(exit 137\)"):
        made.send(b"command", 5.0)
    assert made.recv(1.0) == b""


def test_an_engine_that_went_away_with_its_container_is_told_from_a_dead_container(channel):
    made, _, api = channel
    api.answers["ping"] = ConnectionError("refused")
    with pytest.raises(EngineGone, match="the Docker engine does not answer"):
        made.epitaph()


def test_closing_a_channel_removes_the_container_once_and_outlives_a_dead_engine(channel):
    made, _, api = channel
    api.answers["remove_container"] = ConnectionError("refused")
    made.close()
    made.close()
    assert [name for name, _, _ in api.asked].count("remove_container") == 1


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """DOCKER_HOST of an engine that does not answer."""
    where = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", where)
    return where


def test_an_engine_that_is_not_there_is_named_with_its_address(nowhere):
    with pytest.raises(UsageError, match=rf"no Docker engine answers at {nowhere} .*--sandbox"):
        Engine.connect()
    with pytest.raises(UsageError, match="no Docker engine answers"):
        check_engine()


def git_folder() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(".git/HEAD")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"main"))
    return out.getvalue()


def test_the_history_is_copied_out_of_an_image_that_is_here_and_of_no_other(tmp_path):
    def copied(**answers):
        answers = {"create_container": {"Id": "abc"}, "remove_container": refusal(404, "gone"),
                   "get_archive": ([git_folder()], {}), **answers}  # fmt: skip
        return copy_git_folder(INSTANCE, tmp_path, engine=Engine(Api(**answers)))

    assert copied() == tmp_path / ".git"
    assert (tmp_path / ".git/HEAD").read_bytes() == b"main"
    assert copied(inspect_image=refusal(404, "no")) is None
    assert copied(get_archive=refusal(404, "no such path")) is None
    assert copied(get_archive=([b"no tar"], {})) is None


def test_without_an_engine_no_history_is_copied(nowhere, tmp_path):
    assert copy_git_folder(INSTANCE, tmp_path) is None


class Store:
    """An engine with some images, and a store that offers others."""

    def __init__(self, here=(), offered=(), fault=ImageMissing):
        self.here, self.shop, self.fault = here, offered, fault

    def has(self, image):
        return image in self.here

    def offered(self, image):
        if image not in self.shop:
            raise self.fault(f"{image} is nowhere")


def row(number: int, image: str, repo: str = "o/n") -> Instance:
    return Instance(id=f"i-{number}", repo=repo, base_commit="c", problem="p", image=image)


def test_images_are_looked_for_before_a_run_and_their_store_is_asked():
    settings = loading.load("demo", sets=["sandbox.kind=docker"])

    def looked(engine, *instances, changed=settings):
        return check_images(changed, instances, engine=engine)

    assert looked(Store(here=["a"]), row(1, "a"), row(2, "a")) == (
        "1 of 1 images are on the engine"
    )
    level, message = looked(Store(here=["a"], offered=["b"]), row(1, "a"), row(2, "b"))
    assert level == "ok"
    assert "1 of 2 images are on the engine; missing: b; to be pulled" in message
    with pytest.raises(UsageError, match="i-2 names no image"):
        looked(Store(), row(1, "a"), row(2, ""))
    for fault in (ImageMissing, NoImageStore):
        with pytest.raises(UsageError, match="b is nowhere: docker pull or docker load"):
            looked(Store(fault=fault), row(2, "b"))
    with pytest.raises(UsageError, match=r"demo:1; build each, the first with: docker build"):
        looked(Store(), row(1, "demo:1", repo="demo/x"))
    off = loading.load("demo", sets=["sandbox.kind=docker", "sandbox.pull=false"])
    with pytest.raises(UsageError, match=r"sandbox\.pull is off"):
        looked(Store(offered=["b"]), row(2, "b"), changed=off)
