"""What N candidates of one instance cost to verify against each other, in times of one.

Usage: python benchmarks/cross_evaluation.py [--split demo] [--instance ID] [--candidates 8]
           [--distinct 6] [--predictions FILE] [--repos DIR] [--sandbox auto] [--repeat 3]
           [--names applies,syntax,repo-tests,reproduction]

Candidates are those of --predictions (or of the shipped sample run), made up to N by a comment
line more: another patch, whose tests are really run. --distinct is the realistic mix: of five
runs of one strong model on 53 instances, 3.9 patches of five have an effect of their own
(candidates by kkkkkk0725/swebench-reliability-study). Wall seconds, the median of --repeat rounds
in which the cases take turns, so that a busy machine is as busy for each; the work of an engine
is not seen in this process's CPU.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router import assets, plugins, settings
from swe_router.assemble import preflight
from swe_router.assemble.repositories import graph_of, repo_cache
from swe_router.candidates.entries import entries, patch_of
from swe_router.diffs import effect
from swe_router.instances import splits
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    Candidate,
    Instance,
    Outcome,
    Plan,
    Trajectory,
    digest_of,
)
from swe_router.sandboxes import fitting
from swe_router.sandboxes.warm import WarmBoxes
from swe_router.solve.verifying import Checks, together

HUNK = re.compile(r"^(@@ -\d+(?:,\d+)? \+\d+)(?:,(\d+))?( @@.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    name: str
    patches: tuple[str, ...]
    cores: int
    warm: bool


def variant(text: str, number: int) -> str:
    """The patch with one comment line more, below the first line that it adds."""
    head = HUNK.search(text)
    added = re.compile(r"^\+(?!\+\+)([ \t]*).*\n", re.MULTILINE).search(
        text, head.end() if head else 0
    )
    if head is None or added is None:
        raise SystemExit("the patch adds no line: name another instance")
    first, count, rest = head.groups()
    line = f"+{added.group(1)}# variant {number}\n"
    body = text[head.end() : added.end()] + line + text[added.end() :]
    return f"{text[: head.start()]}{first},{int(count or 1) + 1}{rest}{body}"


def outcome(instance: Instance, number: int, text: str) -> Outcome:
    plan = Plan(arm=Arm(model="x"), budget=Budget(dollars=Decimal(0)))
    attempt = Attempt(id=f"{number}-x", instance_id=instance.id, plan=plan,
                      trajectory=Trajectory(exit="submitted"))  # fmt: skip
    made = Candidate(attempt_id=attempt.id, patch=text, digest=digest_of(text))
    return Outcome(attempt=attempt, candidate=made)


def patches_of(path: Path, instance_id: str, wanted: int) -> list[str]:
    """So many patches of an instance, each with an effect of its own."""
    rows = (patch_of(where, entry) for where, entry in entries(path))
    found = [text for name, text, _ in rows if name == instance_id]
    distinct = list({effect(text): text for text in found if text.strip()}.values())
    if not distinct:
        raise SystemExit(f"{path} holds no patch of {instance_id}")
    return [*distinct, *(variant(distinct[0], n) for n in range(wanted))][:wanted]


@contextmanager
def stack(given: argparse.Namespace, instance: Instance) -> Iterator[Callable[[Case], float]]:
    """What verifies a case and gives its seconds."""
    wished = settings.load("demo" if given.split == "demo" else "hybrid",
                           split=given.split, repos=given.repos,
                           sandbox__kind=given.sandbox)  # fmt: skip
    verify = wished.verify.model_copy(update={"names": tuple(given.names.split(","))})
    verifiers = [(name, plugins.load("verifiers", name)(verify)) for name in verify.names]
    kind = preflight.sandbox_kind(wished)
    repos = repo_cache(wished.repos, _say, images=kind == "docker")
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock"
        lock.touch()
        options: dict[str, Any] = {"start": repos.path} if kind == "local" else {}
        boxes = plugins.load("sandboxes", kind)(
            wished.sandbox, run="benchmark", lock=lock, **options
        )
        graph = graph_of(repos, instance, _say)

        def seconds(case: Case) -> float:
            warm = WarmBoxes(boxes, ahead=2) if case.warm and kind == "docker" else None
            checks = Checks(verifiers=verifiers, open_sandbox=(warm or boxes).open,
                            apply=fitting.apply, steps=lambda _: (), graph=graph,
                            seconds=verify.seconds, clock=time.time, cores=case.cores)  # fmt: skip
            outcomes = [outcome(instance, n, text) for n, text in enumerate(case.patches, 1)]
            begun = time.perf_counter()
            made = together(checks, instance, outcomes)
            if warm is not None:
                warm.close()
            took = time.perf_counter() - begun
            said = {v.verifier: v.outcome for v in made[-1].verdicts}
            print(f"  {case.name}: {took:.1f} s, the last candidate {said}", file=sys.stderr)
            return took

        yield seconds


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("split", "demo"), ("instance", "demo__slotkeeper-17"), ("repos", None),
                          ("sandbox", "auto"), ("names", "applies,syntax,repo-tests,reproduction"),
                          ("predictions", None)):  # fmt: skip
        parser.add_argument(f"--{name}", default=default)
    for name, number in (("candidates", 8), ("distinct", 6), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    (instance,) = splits.load(given.split, ids=(given.instance,))
    sample = assets.root() / "runs" / "sample" / "preds.json"
    path = Path(given.predictions) if given.predictions else sample
    many = tuple(patches_of(path, instance.id, given.candidates))
    mix = tuple(many[n % given.distinct] for n in range(given.candidates))
    cores = os.cpu_count() or 1
    cases = [
        Case("one candidate", many[:1], 1, False),
        Case(f"{len(many)} distinct, one after the other, plain boxes", many, 1, False),
        Case(f"{len(many)} distinct", many, cores, True),
        Case(f"{len(many)} of which {given.distinct} distinct", mix, cores, True),
    ]
    took: dict[str, list[float]] = {case.name: [] for case in cases}
    with stack(given, instance) as seconds:
        for _ in range(given.repeat):
            for case in cases:
                took[case.name].append(seconds(case))
    one = statistics.median(took[cases[0].name])
    print(f"{instance.id}, {cores} cores, {given.names}")
    for case in cases:
        middle = statistics.median(took[case.name])
        print(f"{case.name:55s} {middle:7.1f} s  {middle / one:5.2f} x one")


if __name__ == "__main__":
    main()
