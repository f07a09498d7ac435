"""Time of a `repo-tests` verdict against the project's full suite, side by side in one run.

Usage: python benchmarks/verdict_time.py [--packages 60] [--tests 50] [--ms 5]
       python benchmarks/verdict_time.py --rows ROWS.jsonl --repos FOLDER --predictions FILE.jsonl
                                         [--instance ID ...] [--full-seconds 1800]

Without rows: a generated project of so many packages, each with so many tests of so many
milliseconds, in local sandboxes; one module is changed, right and wrong. With rows (split rows that
name an image on the Docker engine) and predictions (instance_id, model_patch): real instances.
The full suite is the same runner over every test file, at the base alone; a verdict runs its
files before and after the patch. The second verdict finds the base in the instance's cache.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from swe_router.codegraph.graph import build_graph
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    Candidate,
    Instance,
    Outcome,
    Plan,
    Trajectory,
    Verdict,
    digest_of,
)
from swe_router.sandboxes import patch_application
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.sandboxes.local import LocalSandboxes
from swe_router.seams import Sandbox, VerificationContext
from swe_router.settings import SandboxSettings, VerifySettings
from swe_router.verifier_cache import VerifierCache
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from swe_router.verifiers.testing import runners

Open = Callable[[Instance], AbstractContextManager[Sandbox]]
WHO = ("-c", "user.name=b", "-c", "user.email=b@localhost")


class Case(NamedTuple):
    """One instance and the patches to be judged."""

    instance: Instance
    repository: Path
    patches: list[tuple[str, str]]
    """What it is called, and its text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=int, default=60)
    parser.add_argument("--tests", type=int, default=50)
    parser.add_argument("--ms", type=float, default=5.0)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--instance", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=600.0, help="time limit of a verdict")
    parser.add_argument("--full-seconds", type=float, default=1800.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "run" / "lock"
        lock.parent.mkdir()
        lock.touch()
        if options.rows:
            factory: Any = DockerSandboxes(
                SandboxSettings(pull=False), run="verdict-time", lock=lock
            )
            cases: Iterator[Case] = real(options)
        else:
            case = generated(Path(folder), options.packages, options.tests, options.ms)
            start = case.repository
            factory = LocalSandboxes(
                SandboxSettings(unsafe=True), start=lambda _: start, run="verdict-time", lock=lock
            )
            cases = iter([case])
        for case in cases:
            measure(case, factory.open, options.seconds, options.full_seconds)


def measure(case: Case, opened: Open, seconds: float, full_seconds: float) -> None:
    """Print the time of each verdict and of the whole suite."""
    print(f"{case.instance.id} at {case.instance.base_commit[:10]}")
    begun = time.perf_counter()
    graph = build_graph(case.repository, case.instance.base_commit)
    print(f"  graph             {time.perf_counter() - begun:8.1f} s")
    cache = VerifierCache()
    took = []
    for name, text in case.patches:
        now = time.time()
        context = VerificationContext(
            opened, patch_application.apply_patch, graph=graph, clock=time.time, cache=cache
        )
        settings = VerifySettings(seconds=seconds)
        verdict = RepoTestsVerifier(settings).verify(
            outcome(case.instance, text), (), case.instance, context
        )
        took.append((name, time.time() - now, verdict))
        tell(*took[-1])
    whole = full(case.instance, opened, full_seconds)
    for name, spent, _ in took:
        print(f"  {name}: {spent / whole:.3f} of the full suite")


def tell(name: str, spent: float, verdict: Verdict) -> None:
    files = len(verdict.evidence.get("files", ()))
    print(
        f"  {name:<17} {spent:8.1f} s  {verdict.outcome}: {verdict.evidence['why']} ({files} files)"
    )


def full(instance: Instance, opened: Open, limit: float) -> float:
    """Seconds of all test files of the runner that the repository asks for."""
    with opened(instance) as sandbox:
        facts, python = runners.detect_runners(sandbox, 60)
        runner = runners.choose_runner(facts)
        sandbox.run("git ls-files -z >/tmp/.listed", timeout=60)
        listed = sandbox.read("/tmp/.listed", limit=64_000_000).decode().split("\0")
        files = [path for path in listed if runners.RUNNERS[runner].is_test_file(path)]
        run = runners.run_tests(sandbox, runner, python, files, limit)
    end = "" if run.ended else " and not at its end"
    summary = f"{len(run.result_by_test)} tests in {len(files)} files{end}"
    print(f"  full suite        {run.seconds:8.1f} s  {summary}")
    return run.seconds


def outcome(instance: Instance, text: str) -> Outcome:
    plan = Plan(arm=Arm(model="any"), budget=Budget(dollars=Decimal(1)))
    attempt = Attempt(
        id="1-any", instance_id=instance.id, plan=plan, trajectory=Trajectory(exit="submitted")
    )
    candidate = Candidate(attempt_id=attempt.id, patch=text, digest=digest_of(text), proven=True)
    return Outcome(attempt=attempt, candidate=candidate)


def generated(folder: Path, packages: int, tests: int, ms: float) -> Case:
    """A project of which every package imports the one before."""
    tree = folder / "project"
    for number in range(packages):
        home = tree / f"part{number}"
        (home / "tests").mkdir(parents=True)
        (home / "__init__.py").touch()
        (home / "tests" / "__init__.py").touch()
        before = (
            f"from part{number - 1}.core import value as below\n" if number else "below = int\n"
        )
        (home / "core.py").write_text(f"{before}\n\ndef value():\n    return below() + 1\n")
        body = f"    time.sleep({ms / 1000})\n    assert value() == {number + 1}\n"
        cases = "".join(f"\n\ndef test_{n}():\n{body}" for n in range(tests))
        head = f"import time\n\nfrom part{number}.core import value\n"
        (home / "tests" / f"test_core{number}.py").write_text(head + cases)
    (tree / "pytest.ini").write_text("[pytest]\n")
    for words in (["init", "-q"], ["add", "-A"], [*WHO, "commit", "-qm", "base"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree, check=True, capture_output=True, text=True
    )
    instance = Instance(id="generated", repo="o/n", base_commit=found.stdout.strip(), problem="p")
    path = f"part{packages // 2}/core.py"
    return Case(instance, tree, [(n, changed(tree, path, t)) for n, t in CHANGES.items()])


CHANGES = {
    "first, right": "1 + below()",
    "second, right": "below() + 2 - 1",
    "wrong": "below() + 2",
}


def changed(tree: Path, path: str, text: str) -> str:
    """The diff of a module that returns something else; the tree is as before."""
    old = (tree / path).read_text()
    (tree / path).write_text(old.replace("below() + 1", text))
    found = subprocess.run(["git", "diff"], cwd=tree, check=True, capture_output=True, text=True)
    (tree / path).write_text(old)
    return found.stdout


def real(options: argparse.Namespace) -> Iterator[Case]:
    """Instances of the rows, with all their predictions."""
    lines = options.predictions.read_text().splitlines()
    predictions = [json.loads(line) for line in lines if line.strip()]
    for line in options.rows.read_text().splitlines():
        row = json.loads(line)
        name = row["instance_id"]
        if options.instance and name not in options.instance:
            continue
        mine = [one["model_patch"] for one in predictions if one["instance_id"] == name]
        if not mine:
            continue
        instance = Instance(
            id=name,
            repo=row["repo"],
            base_commit=row["base_commit"],
            problem=row["problem_statement"],
            image=row["image"],
        )
        repository = options.repos / (row["repo"].replace("/", "__") + ".git")
        texts = [(f"candidate {number + 1}", text) for number, text in enumerate(mine)]
        yield Case(instance, repository, texts)


if __name__ == "__main__":
    main()
