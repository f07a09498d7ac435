"""Who may reach the network: evaluations whose hosts the user allows, and never an agent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swe_router.commands.grade.grading_run import _lazy_opener
from swe_router.datasets import GradingContext, may_reach
from swe_router.errors import WouldNotStart
from swe_router.grading.swebench_multimodal import SwebenchMultimodalGrader
from swe_router.records import Grade, Instance
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.settings import SandboxSettings

ISSUE = Instance(
    id="o__r-1", repo="o/r", base_commit="c" * 40, problem="p", image="i", user="dev",
    workdir="/app", network=("fonts.example.org", "cdn.example.org"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        ((), "fonts.example.org, cdn.example.org"),
        (("fonts.example.org",), "(cdn.example.org)"),
        (("*.example.org",), ""),
        (("*.other.org", "example.org"), "fonts.example.org, cdn.example.org"),
        (("fonts.example.org", "cdn.example.org"), ""),
        (("*",), ""),
    ],
)
def test_an_evaluation_runs_where_each_of_its_hosts_is_allowed(allowed, missing):
    reason = may_reach(ISSUE.network, allowed)
    assert bool(reason) == bool(missing)
    assert missing in reason
    assert not reason or "grade.network" in reason


def test_any_host_is_allowed_by_the_star_alone():
    assert may_reach(("*",), ("example.org",))
    assert may_reach(("*",), ("*",)) == ""
    assert may_reach((), ()) == ""


def test_an_issue_with_pictures_is_ungraded_with_the_reason_until_its_hosts_are_allowed():
    judged = []

    class Judge:
        def grade(self, task):
            judged.append(task)
            return Grade(instance_id=task.instance.id, outcome="resolved")

        def close(self):
            pass

    row = {"instance_id": ISSUE.id, "eval_script": "s", "log_parser": "p", "FAIL_TO_PASS": "[]",
           "PASS_TO_PASS": "[]"}  # fmt: skip

    def grader(*network: str) -> SwebenchMultimodalGrader:
        def rows(columns):
            return [{key: row.get(key) for key in columns}]

        return SwebenchMultimodalGrader(
            GradingContext(label="x", rows=rows, network=network), backend=Judge()
        )

    refused = grader("fonts.example.org").grade(ISSUE, "diff")
    assert refused.outcome == "ungraded"
    assert "needs the network (cdn.example.org)" in refused.evidence["reason"]
    assert judged == []
    assert grader("*").grade(ISSUE, "diff").outcome == "resolved"
    assert len(judged) == 1


class Engine:
    """An engine that has every image, and starts nothing."""

    def __init__(self) -> None:
        self.made: list[tuple[dict, dict]] = []

    def image_id(self, image):
        return "sha256:1"

    def create(self, image, config, limits):
        self.made.append((config, limits))
        raise WouldNotStart("enough was seen")


@pytest.fixture
def factory(tmp_path):
    engine = Engine()
    settings = SandboxSettings(kind="docker")
    return DockerSandboxes(settings, run="r", lock=tmp_path / "lock", engine=engine), engine


def test_a_container_has_no_network_unless_an_evaluation_was_allowed_one(factory):
    made, engine = factory
    for opening in (made.open(ISSUE), made.open_networked(ISSUE)):
        with pytest.raises(WouldNotStart, match="enough was seen"), opening:
            pass
    assert [limits["network_mode"] for _, limits in engine.made] == ["none", "bridge"]


def test_a_container_runs_as_the_instances_user_and_starts_with_our_own_entry_point(factory):
    made, engine = factory
    for one in (ISSUE, ISSUE.model_copy(update={"user": ""})):
        with pytest.raises(WouldNotStart), made.open(one):
            pass
    assert [config["user"] for config, _ in engine.made] == ["dev", None]
    assert all(config["entrypoint"][:2] == ["sh", "-c"] for config, _ in engine.made)


def test_a_kind_of_sandbox_without_a_network_says_so():
    opened = []
    plain = SimpleNamespace(open=opened.append)
    opens = _lazy_opener(lambda: plain)
    opens(ISSUE)
    assert opened == [ISSUE]
    with pytest.raises(WouldNotStart, match="no network; grade with --sandbox docker"):
        opens(ISSUE, network=True)
