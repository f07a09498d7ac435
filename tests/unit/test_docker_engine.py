"""What the engine's refusals become; a double answers as docker-py does."""

from __future__ import annotations

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from swe_router.errors import (
    DiskFull,
    EngineGone,
    ImageMissing,
    NoImageStore,
    UsageError,
    WouldNotStart,
)
from swe_router.records import Instance
from swe_router.sandboxes.docker import HOST_LABEL, LOCK_LABEL, RUN_LABEL, DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.sandboxes.reaper import reap
from swe_router.settings import SandboxSettings

INSTANCE = Instance(id="i", repo="o/n", base_commit="c", problem="p", image="some/image:1")


class Answer:
    """As much of a ``requests`` response as APIError reads."""

    def __init__(self, status):
        self.status_code, self.reason, self.url = status, "", ""


def refusal(status, text):
    kind = NotFound if status == 404 else APIError
    return kind("refused", response=Answer(status), explanation=text)


class Api:
    """An engine whose answers the test sets; an exception among them is raised."""

    def __init__(self, **answers):
        self.answers = {"inspect_image": {"Id": "sha256:1"}, "create_host_config": {}, **answers}
        self.asked = []

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.asked.append((name, arguments, options))
            answer = self.answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


def opened(tmp_path, api, **settings):
    given = SandboxSettings(**settings)
    return DockerSandboxes(given, run="r", lock=tmp_path / "lock", engine=Engine(api)).open(
        INSTANCE
    )


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal(500, "write /var/lib: no space left on device"), DiskFull, "no space left"),
        (refusal(500, "cgroups: cannot found cgroup"), WouldNotStart, "cgroup"),
        (ConnectionError("refused"), EngineGone, "refused"),
    ],
)
def test_a_refused_container_names_what_broke(tmp_path, answer, error, words):
    sandbox = opened(tmp_path, Api(create_container=answer))
    with pytest.raises(error, match=words), sandbox:
        pass


@pytest.mark.parametrize("step", ["attach_socket", "start"])
def test_a_container_that_does_not_start_is_removed(tmp_path, step):
    broken = {step: refusal(500, "no space left on device")}
    api = Api(create_container={"Id": "abc"}, remove_container=refusal(404, "gone"), **broken)
    with pytest.raises(DiskFull), opened(tmp_path, api):
        pass
    assert [a for name, a, _ in api.asked if name == "remove_container"] == [("abc",)]


def test_without_pull_a_missing_image_is_not_asked_of_a_registry(tmp_path):
    api = Api(inspect_image=ImageNotFound("no", response=Answer(404)))
    with (
        pytest.raises(ImageMissing, match=r"some/image:1 .*docker pull"),
        opened(tmp_path, api, pull=False),
    ):
        pass
    assert "pull" not in [name for name, _, _ in api.asked]


def test_a_pull_shows_its_progress_and_its_refusal_names_the_image():
    layers = [
        {"id": "a", "status": "Downloading"},
        {"id": "a", "status": "Pull complete"},
        {"status": "Digest"},
    ]
    said = []
    Engine(Api(pull=layers)).pull("some/image:1", said.append)
    assert said == ["some/image:1: 0 of 1 layers", "some/image:1: 1 of 1 layers"]
    api = Api(pull=[*layers, {"error": "toomanyrequests: rate limit"}])
    with pytest.raises(ImageMissing, match=r"some/image:1.*toomanyrequests"):
        Engine(api).pull("some/image:1", said.append)


def test_an_image_that_the_row_does_not_name_is_missing(tmp_path):
    made = DockerSandboxes(SandboxSettings(), run="r", lock=tmp_path / "l", engine=Engine(Api()))
    with pytest.raises(ImageMissing, match="i names no image"):
        made.prepare(INSTANCE.model_copy(update={"image": ""}))


def test_a_memory_limit_that_is_no_size_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UsageError, match=r"sandbox\.memory"):
        opened(tmp_path, Api(), memory="plenty")


def test_the_reaper_leaves_containers_of_another_machine_alone(tmp_path):
    def row(number, **labels):
        return {"Id": f"{number}" * 20, "State": "running", "Labels": {RUN_LABEL: "r", **labels}}

    lock = {LOCK_LABEL: str(tmp_path / "absent")}
    api = Api(
        containers=[row(1, **lock), row(2, **lock, **{HOST_LABEL: "another.example"})],
        remove_container=refusal(404, "gone"),
    )
    assert reap(Engine(api), run="r") == [f"container {'1' * 12} of run r"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("manifest for some/image:1 not found: manifest unknown", ImageMissing),
        ("pull access denied for some/image, repository does not exist", ImageMissing),
        ('Get "https://registry-1.docker.io/v2/": dial tcp: lookup x: no such host', NoImageStore),
        ("toomanyrequests: You have reached your pull rate limit", NoImageStore),
        ("net/http: TLS handshake timeout", NoImageStore),
        ("x509: certificate signed by unknown authority", NoImageStore),
        ("write /var/lib/docker/tmp/x: no space left on device", DiskFull),
    ],
)
def test_an_image_that_is_nowhere_is_told_from_a_store_that_does_not_answer(said, error):
    for api in (Api(pull=[{"error": said}]), Api(pull=refusal(500, said))):
        with pytest.raises(error) as caught:
            Engine(api).pull("some/image:1", lambda line: None)
        assert type(caught.value) is error
    with pytest.raises(error) as caught:
        Engine(Api(inspect_distribution=refusal(500, said))).offered("some/image:1")
    assert type(caught.value) is error


@pytest.mark.parametrize("asked", ["image_id", "bytes_of", "offered", "start"])
def test_an_engine_that_does_not_answer_is_gone_whatever_it_was_asked(asked):
    broken = dict.fromkeys(
        ("inspect_image", "inspect_distribution", "start"), ConnectionError("refused")
    )
    with pytest.raises(EngineGone, match="does not answer"):
        getattr(Engine(Api(**broken)), asked)("some/image:1")
