"""Suites that misbehave in a real container: the right verdict or none, in time, no litter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_router.records import Instance, Verdict
from swe_router.sandboxes import patch_application as patches
from swe_router.sandboxes.docker import RUN_LABEL, DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.seams import VerificationContext
from swe_router.settings import SandboxSettings, VerifySettings
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from swe_router.verifiers.syntax import SyntaxVerifier
from tests.doubles.project import Project, outcome

pytestmark = pytest.mark.docker
TOOLS = ("sh", "git", "cat", "tail", "head", "mkdir", "mkfifo", "mktemp", "sleep", "rm", "grep",
         "env", "rmdir", "touch", "chmod", "cp", "mv", "sort", "tr", "timeout", "dirname", "wc",
         "find")  # fmt: skip
RUN = f"test-verifiers-{os.getpid()}"
CALC = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"
HEAD = "import os, sys, unittest\nimport calc\n\n\nclass TestCalc(unittest.TestCase):\n"
SUB = "    def test_sub(self):\n        self.assertEqual(calc.sub(3, 1), 2)\n"
MAKE = "test:\n\tpython3 -m unittest\n"


def libraries(tool: str) -> set[str]:
    said = subprocess.run(["ldd", tool], check=False, capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", said))


class Images:
    """Images of this machine's own git and Python, with a project at /testbed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.made: list[str] = []

    def of(self, project: Project, name: str) -> str:
        archive = self.home / "image.tar"
        python = os.path.realpath("/usr/bin/python3")
        tools = {t: os.path.realpath(shutil.which(t) or t) for t in TOOLS} | {"python3": python}
        home = Path(f"/usr/lib/{Path(python).name}")
        loaded = [str(path) for path in home.glob("lib-dynload/*.so")]
        needed = set().union(*map(libraries, [*tools.values(), *loaded]))
        with tarfile.open(archive, "w") as tar:
            for tool, path in tools.items():
                tar.add(path, arcname=f"bin/{tool}")
            for library in needed:
                tar.add(os.path.realpath(library), arcname=library.lstrip("/"))
            tar.add(home, arcname=str(home).lstrip("/"))
            tar.add(project.home / "seed" / "testbed", arcname="testbed")
            for folder in ("tmp", "root", "etc", "proc", "dev"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o777
                tar.addfile(entry)
        tag = f"swe-router-test/verifiers-{os.getpid()}:{name}"
        words = ["docker", "import", "-c", "ENV PATH=/bin", "-c", "ENV HOME=/root"]
        subprocess.run([*words, str(archive), tag], check=True, capture_output=True)
        archive.unlink()
        self.made.append(tag)
        return tag


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("the images are made of /usr/bin/python3: install it")
    made = Images(tmp_path_factory.mktemp("images"))
    yield made
    subprocess.run(["docker", "rmi", "--force", *made.made], check=False, capture_output=True)


class Bench:
    """One project in containers, judged by the same context for all its candidates."""

    def __init__(self, images: Images, home: Path, suite: str) -> None:
        files = {"calc.py": CALC, "test_calc.py": suite, "Makefile": MAKE}
        self.project = Project(home / "project", files)
        image = images.of(self.project, re.sub(r"\W", "", home.name).lower())
        self.instance = Instance(
            id="o__n-1", repo="o/n", base_commit="HEAD", problem="p", image=image
        )
        lock = home / "lock"
        lock.touch()
        self.sandboxes = DockerSandboxes(SandboxSettings(pull=False), run=RUN, lock=lock)

    def judge(self, text: str, seconds: float, kind: type = RepoTestsVerifier) -> Verdict:
        context = VerificationContext(
            self.sandboxes.open, patches.apply_patch, clock=time.time, cache=self.project.cache
        )
        patch = self.project.patch({"calc.py": text})
        begun = time.monotonic()
        verdict: Verdict = kind(VerifySettings(seconds=seconds)).verify(
            outcome(patch), (), self.instance, context
        )
        assert time.monotonic() - begun < seconds + 120, "the time box is a promise"
        assert not Engine.connect().containers(f"{RUN_LABEL}={RUN}"), "nothing is left behind"
        return verdict


def test_syntax_and_tests_in_a_container_of_little_more_than_python(
    images: Images, tmp_path: Path
) -> None:
    bench = Bench(images, tmp_path, HEAD + SUB)
    assert bench.judge(CALC + "\n", 120, SyntaxVerifier).outcome == "pass"
    assert bench.judge(CALC + "def broken(:\n", 120, SyntaxVerifier).outcome == "fail"
    right = bench.judge(CALC + "\n", 120)
    assert right.outcome == "pass", right.evidence
    wrong = bench.judge(CALC.replace("a - b", "b - a"), 120)
    assert (wrong.outcome, wrong.evidence["confirmed"]) == ("fail", True)


def test_a_gigabyte_of_output_is_no_matter(images: Images, tmp_path: Path) -> None:
    loud = (
        "    def test_a(self):\n        for _ in range(1000):\n"
        "            os.write(1, b'PASSED\\n' * 150_000)\n"
    )
    bench = Bench(images, tmp_path, HEAD + loud + SUB)
    assert bench.judge(CALC.replace("a - b", "b - a"), 300).outcome == "fail"


def test_a_suite_that_daemonises_is_over_when_its_tests_are(images: Images, tmp_path: Path) -> None:
    server = (
        "    def test_a(self):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            while True:\n"
        "                __import__('time').sleep(600)\n"
    )
    bench = Bench(images, tmp_path, HEAD + server + SUB)
    assert bench.judge(CALC + "\n", 120).outcome == "pass"


def test_a_patch_that_hangs_the_suite_is_not_waited_for(images: Images, tmp_path: Path) -> None:
    bench = Bench(images, tmp_path, HEAD + SUB)
    stuck = CALC.replace("return a - b", "import time; time.sleep(3000)")
    assert bench.judge(stuck, 30).outcome == "unknown"


def test_twenty_thousand_tests_fit(images: Images, tmp_path: Path) -> None:
    many = (
        "    def test_a(self):\n        pass\n\n\n"
        "for n in range(20_000):\n    setattr(TestCalc, f'test_{n}', TestCalc.test_a)\n"
    )
    bench = Bench(images, tmp_path, HEAD + SUB + many)
    said = bench.judge(CALC.replace("a - b", "b - a"), 300)
    assert said.outcome == "fail"
    assert said.evidence["counts"]["passed_before"] == 20_002


def test_without_a_network_what_asks_for_one_is_unknown(images: Images, tmp_path: Path) -> None:
    net = (
        "    def test_a(self):\n        import urllib.request\n"
        "        urllib.request.urlopen('http://localhost.invalid/')\n"
    )
    said = Bench(images, tmp_path, HEAD + net).judge(CALC + "\n", 120)
    assert said.outcome == "unknown"
    assert said.evidence["needed_network"] == ["test_calc.TestCalc.test_a"]
