"""Packages outside the tree: built, installed next to the product's wheel, run, replayed, shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.plugins

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "tests" / "plugins"
ONE = "demo__confet-14"
"""The local tier breaks tests, the cloud tier solves it."""
QUICK = ("--set", 'verify.names=["applies","syntax"]', "--no-grade")
"""A run of which only the plugin's own part is looked at."""


class Home:
    """A fresh virtual environment, and a user's folder."""

    def __init__(self, place: Path) -> None:
        self.place, self.venv = place, place / "venv"
        self.python = self.venv / "bin" / "python"

    def make(self) -> None:
        wheels = self.place / "wheels"
        for source in (ROOT, *sorted(PACKAGES.iterdir())):
            if (source / "pyproject.toml").exists():
                built(source, wheels)
        self.wheels = sorted(map(str, wheels.glob("*.whl")))
        uv = shutil.which("uv")
        if uv:
            called(uv, "venv", "-q", "-p", sys.executable, str(self.venv))
            called(uv, "pip", "install", "-q", "-p", str(self.python), *self.wheels)
        else:
            called(sys.executable, "-m", "venv", str(self.venv))
            called(str(self.python), "-m", "pip", "install", "-q", *self.wheels)

    def __call__(self, *words: str, code: int = 0) -> dict:
        """What a command prints with ``--json``; its exit code must be ``code``."""
        done = subprocess.run(
            [str(self.venv / "bin" / "swe-router"), *words, "--json"],
            capture_output=True, text=True, cwd=self.place, check=False, env=clean(),
        )  # fmt: skip
        assert done.returncode == code, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
        self.err = done.stderr
        return json.loads(done.stdout)

    def run(self, *words: str, instance: str = ONE) -> dict:
        """The record of the instance in a run of it alone, which is replayed and shown too."""
        done = self(
            "run", "--split", "demo", "--budget", "1", "-i", instance, "--sandbox", "local",
            *words,
        )  # fmt: skip
        assert done["ended"] == "done"
        assert self("replay", "latest")[instance]["divergences"] == []
        shown = self("show", "latest")
        assert shown["instances"] == 1
        return self("show", "latest", instance)


def clean() -> dict[str, str]:
    """The environment without what would let the source tree in."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def called(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=clean(), cwd=cwd)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def built(source: Path, wheels: Path) -> None:
    """The wheel of a project."""
    uv = shutil.which("uv")
    words = [uv, "build", "-q", "--wheel", "-o"] if uv else [
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w"
    ]  # fmt: skip
    called(*words, str(wheels), str(source))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    made = Home(tmp_path_factory.mktemp("user"))
    made.make()
    return made


def test_a_policy_of_another_package_decides(home):
    record = home.run("--policy", "outside-policy", *QUICK)
    (first, last) = record["decisions"]
    assert first["decision"]["why"] == "outside-policy: the strongest tier"
    assert last["decision"]["why"] == "outside-policy: one attempt is enough"
    assert [one["attempt"]["id"] for one in record["outcomes"]] == ["1-cloud"]
    assert "outside-policy" in {row["policy"] for row in home("policies")}


def test_a_selector_of_another_package_chooses(home):
    tests = ("--set", 'verify.names=["applies","repo-tests"]', "--no-grade")
    assert home.run(*tests)["chosen"] == "2-cloud"
    assert home.run("--set", "selector=outside-selector", *tests)["chosen"] == "1-local"
    knob = ("--set", "selector=outside-selector", "--set", "ensemble.knobs.skip=1")
    assert home.run(*knob, *tests)["chosen"] == "2-cloud"
    wrong = ("run", "--set", "selector=outside-selector", "--set", "ensemble.knobs.skp=1")
    assert "outside-selector" in home(*wrong, "--dry-run", code=2)["error"]


def test_a_model_of_another_package_answers(home):
    record = home.run(
        "--set", "tiers.local.dialect=outside-model", "--set", "tiers.local.tools=native",
        "--policy", "always-local", *QUICK,
    )  # fmt: skip
    (made,) = record["outcomes"]
    assert "+outside-model" in made["candidate"]["patch"]
    steps = home("show", "latest", ONE, "1-local")
    assert [one["completion"]["model"] for one in steps] == ["outside-model:recorded-local"] * 2
    assert float(record["usd"]) > 0, "its tokens are priced like any other's"


def test_a_sandbox_of_another_package_holds_the_work(home):
    record = home.run("--sandbox", "outside-sandbox", "--policy", "always-cloud",
                      "--set", 'verify.names=["applies","syntax","repo-tests"]')  # fmt: skip
    (made,) = record["outcomes"]
    assert made["attempt"]["sandbox"].startswith("outside-sandbox:local:")
    verdicts = {one["verifier"]: one["outcome"] for one in made["verdicts"]}
    assert verdicts == {"applies": "pass", "syntax": "pass", "repo-tests": "pass"}
    assert made["attempt"]["leaks"]["verified"]


def test_a_scaffold_of_another_package_works(home):
    folder = PACKAGES / "outside-scaffold" / "scaffold"
    record = home.run("--set", f"scaffold={folder}", "--policy", "always-cloud", *QUICK)
    (made,) = record["outcomes"]
    assert "+outside-scaffold" in made["candidate"]["patch"]


def test_a_verifier_of_another_package_is_asked_and_its_new_signal_is_named(home):
    stack = '["applies","outside-verifier","repo-tests","acceptance"]'
    record = home.run("--policy", "always-cloud", "--set", f"verify.names={stack}", "--no-grade")
    (made,) = record["outcomes"]
    verdicts = {one["verifier"]: one for one in made["verdicts"]}
    assert list(verdicts) == ["applies", "outside-verifier", "repo-tests", "acceptance"]
    assert verdicts["outside-verifier"]["evidence"]["why"].startswith("outside-verifier: ")
    assert verdicts["acceptance"]["evidence"]["unweighed"] == ["outside_small"]


STORIES = {"small-1": "outside-model", "small-2": "something else"}
"""Story -> the text that its answer wants."""


@pytest.fixture
def stories(home) -> Path:
    """Two stories about one repository, as a file of rows; the repository as the cache has it."""
    work = home.place / "work"
    if not work.exists():
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(work))
        called("git", "init", "-q", "-b", "main", str(work))
        (work / "readme.txt").write_text("A project.\n")
        called(*git, "add", "-A")
        called(*git, "commit", "-q", "-m", "first")
        called("git", "clone", "-q", "--bare", str(work), str(home.place / "a__b.git"))
    commit = called("git", "-C", str(work), "rev-parse", "HEAD").strip()
    rows = [
        {"story_id": name, "story": "Leave a note.", "project": "a/b", "code_commit": commit,
         "wanted_file": "outside_model.txt", "wanted_text": text}
        for name, text in STORIES.items()
    ]  # fmt: skip
    file = home.place / "stories.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_a_data_set_and_its_grader_of_another_package_are_solved_and_graded(home, stories):
    done = home(
        "run", "--split", str(stories), "--preset", "demo", "--budget", "1", "--sandbox", "local",
        "--repos", str(home.place), "--policy", "always-local",
        "--set", "tiers.local.dialect=outside-model", "--set", "tiers.local.tools=native",
        "--set", 'verify.names=["applies","syntax"]',
    )  # fmt: skip
    assert (done["resolved"], done["unresolved"], done["ungraded"]) == (1, 1, 0)
    assert home("replay", "latest")["small-1"]["divergences"] == []
    record = home("show", "latest", "small-1")
    assert record["instance"]["workdir"] == "/home/project"
    run = home.place / "runs" / "latest"
    kept = "".join(p.read_text("utf-8") for p in run.resolve().rglob("*.jsonl"))
    assert "something else" not in kept, "an answer reached the run folder"


BROKEN = {
    "no-module": "cannot be loaded from outside_nowhere:Policy (ModuleNotFoundError",
    "no-class": "cannot be loaded from outside_broken:Absent (AttributeError",
    "no-policy": "does not fit swe_router.seams.Policy: it has no method prepare(batch, budget)",
    "no-money": "decide(features, history, budget) is called, and it takes (self, features,",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_named_with_its_version_and_the_fix(home, name):
    error = home("run", "--split", "demo", "--policy", name, "--dry-run", code=2)["error"]
    assert error.startswith(f"policies plugin '{name}' of outside-broken 1.0 ")
    assert BROKEN[name] in error
    assert error.endswith("mend or uninstall the package")


def test_a_broken_data_set_grader_or_verifier_is_named_where_it_is_asked_for(home):
    plan = ("run", "--split", "demo", "--dry-run")
    error = home(*plan, "--dataset", "no-dataset", code=2)["error"]
    assert "datasets plugin 'no-dataset' of outside-broken 1.0 cannot be loaded" in error
    error = home(*plan, "--set", 'verify.names=["no-verifier"]', code=2)["error"]
    assert "verifiers plugin 'no-verifier' of outside-broken 1.0" in error
    assert "no method verify(outcome, peers, instance, context)" in error


def test_a_broken_package_costs_the_others_nothing(home):
    rows = {row["policy"]: row for row in home("policies")}
    assert rows["no-module"]["maturity"] == "broken"
    assert rows["outside-policy"]["maturity"] == ""
    assert {"cascade", "ration"} <= set(rows)


def test_the_front_door_works_from_the_installed_wheel(home):
    script = (
        "import json, swe_router\n"
        "run = swe_router.run('demo', 1, 'outside-policy', instances=['demo__confet-3'])\n"
        "print(json.dumps([run.ended, run.instances[0]['standing'], len(run.to_pandas('verdicts')),"
        " swe_router.__file__, dir(swe_router)]))"
    )
    ended, standing, verdicts, place, names = json.loads(
        called(str(home.python), "-c", script, cwd=home.place)
    )
    assert (ended, standing) == ("done", "resolved")
    assert verdicts > 3
    assert place.startswith(str(home.venv))
    assert len(names) <= 20
