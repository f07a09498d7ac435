"""What the engine's refusals become; a double answers as docker-py does."""

from __future__ import annotations

import re

import pytest
from docker.errors import ImageNotFound

from swe_router.errors import (
    DiskFull,
    EngineGone,
    ImageMissing,
    NoImageStore,
    SandboxError,
    UsageError,
    WouldNotStart,
)
from swe_router.records import Instance
from swe_router.sandboxes.docker import HOST_LABEL, LOCK_LABEL, RUN_LABEL, DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.sandboxes.reaper import reap
from swe_router.settings import SandboxSettings
from tests.doubles.docker_api import Answer, Api, refusal

INSTANCE = Instance(id="i", repo="o/n", base_commit="c", problem="p", image="some/image:1")


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


@pytest.mark.parametrize(
    ("asked", "arguments", "broken"),
    [
        ("describe", (), "info"),
        ("containers", ("label",), "containers"),
        ("pull", ("some/image:1", print), "pull"),
        ("build", ("folder", "some/image:1", print), "build"),
        ("put", ("abc", "/testbed", b""), "put_archive"),
        ("attach", ("abc",), "attach_socket"),
        ("remove", ("abc",), "remove_container"),
    ],
)
def test_an_engine_that_goes_away_is_a_sandbox_error_at_every_step(asked, arguments, broken):
    engine = Engine(Api(**{broken: ConnectionError("refused")}))
    with pytest.raises(SandboxError, match="does not answer"):
        getattr(engine, asked)(*arguments)


def test_an_engine_is_described_by_what_it_says_of_itself():
    found = Engine(Api(info={"ServerVersion": "26.1", "Driver": "overlay2"})).describe()
    assert (found["ServerVersion"], found["Driver"], found["CgroupVersion"]) == (
        "26.1",
        "overlay2",
        "",
    )


def test_the_size_of_an_image_is_zero_where_it_is_not():
    assert Engine(Api(inspect_image={"Id": "sha256:1", "Size": 7})).bytes_of("some/image:1") == 7
    assert Engine(Api(inspect_image=refusal(404, "no"))).bytes_of("some/image:1") == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([{"stream": "Step 1\n"}, {"error": "RUN failed"}], "RUN failed"),
        (refusal(500, "bad Dockerfile"), "bad Dockerfile"),
        (TypeError("You must specify a directory"), "You must specify"),
    ],
)
def test_a_folder_that_makes_no_image_is_named_with_the_builders_words(answer, words):
    with pytest.raises(ImageMissing, match=f"folder makes no image: .*{words}"):
        Engine(Api(build=answer)).build("folder", "some/image:1", lambda line: None)


def test_a_build_tells_its_lines():
    said = []
    lines = [{"stream": "Step 1\n"}, {"stream": "\n"}, {"aux": {"ID": "sha256:1"}}]
    Engine(Api(build=lines)).build("folder", "some/image:1", said.append)
    assert said == ["some/image:1: Step 1"]


def test_an_engine_that_cannot_limit_disk_is_asked_once_and_then_without():
    api = Api(create_container=refusal(500, "--storage-opt is supported only for overlay"))
    made = iter([api.answers["create_container"], {"Id": "a"}, {"Id": "b"}])

    def next_one():
        answer = next(made)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    api.create_container = lambda *arguments, **options: next_one()
    engine = Engine(api)
    assert engine.create("image", {}, {"storage_opt": {"size": "1"}}) == "a"
    assert engine.create("image", {}, {"storage_opt": {"size": "1"}}) == "b"
    hosts = [options for name, _, options in api.asked if name == "create_host_config"]
    assert hosts == [{"storage_opt": {"size": "1"}}, {}, {}]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"State": {"OOMKilled": True}}, "ran out of memory"),
        ({"State": {"Status": "exited", "ExitCode": 3}}, r"exited \(exit 3\)"),
        (refusal(404, "gone"), "ended and was removed"),
        (ConnectionError("refused"), "does not answer"),
    ],
)
def test_why_a_container_ended_is_told_in_a_few_words(state, words):
    assert re.search(words, Engine(Api(inspect_container=state)).fate("abc"))


def test_a_container_whose_processes_cannot_be_killed_is_not_empty():
    assert Engine(Api(exec_create={"Id": "e"})).empty("abc")
    assert not Engine(Api(exec_create=refusal(409, "it is not running"))).empty("abc")


def test_a_removal_waits_for_the_engines_own_and_names_any_other_refusal():
    api = Api()
    answers = iter([refusal(409, "in progress"), refusal(404, "gone")])

    def remove(*arguments, **options):
        raise next(answers)

    api.remove_container = remove
    Engine(api).remove("abc")
    assert next(answers, None) is None
    with pytest.raises(DiskFull):
        Engine(Api(remove_container=refusal(500, "no space left on device"))).remove("abc")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(404, "no such path"), FileNotFoundError),
        (ConnectionError("refused"), EngineGone),
    ],
)
def test_a_path_that_an_image_does_not_give_is_named_and_its_container_removed(answer, error):
    api = Api(
        create_container={"Id": "abc"}, get_archive=answer, remove_container=refusal(404, "gone")
    )
    with pytest.raises(error):
        list(Engine(api).export_path("some/image:1", "/testbed/.git"))
    assert "remove_container" in [name for name, _, _ in api.asked]
