"""What N candidates of one instance cost to verify against each other, in times of one.

Usage: python benchmarks/cross_evaluation.py [--split demo] [--instance ID] [--candidates 8]
           [--distinct 6] [--predictions FILE] [--trajectories DIR] [--repos DIR] [--sandbox auto]
           [--repeat 3] [--names applies,syntax,...]

All verifiers of a live run take part. On the demo its recorded writer gives the tests of the
issue; elsewhere scripts are harvested from --trajectories.
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
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from swe_router import assets, settings
from swe_router.candidates import joining, trajectory_folders
from swe_router.candidates.joining import ForeignCandidates
from swe_router.candidates.prediction_files import entries, patch_of
from swe_router.candidates.trajectory import ForeignTrajectory
from swe_router.instances import splits
from swe_router.patch_identity import effect_digest
from swe_router.records import Instance
from swe_router.wiring.verifier_stack import StandaloneVerification

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


def patches_of(path: Path, instance_id: str, wanted: int) -> list[str]:
    """So many patches of an instance, each with an effect of its own."""
    rows = (patch_of(where, entry) for where, entry in entries(path))
    found = [text for name, text, _ in rows if name == instance_id]
    distinct = list({effect_digest(text): text for text in found if text.strip()}.values())
    if not distinct:
        raise SystemExit(f"{path} holds no patch of {instance_id}")
    return [*distinct, *(variant(distinct[0], n) for n in range(wanted))][:wanted]


def seconds(
    given: argparse.Namespace, instance: Instance, case: Case, trajectories: list[ForeignTrajectory]
) -> float:
    """Wall seconds of one case, with everything that verifying it starts and ends."""
    demo = given.split == "demo"
    wished = settings.load(
        "demo" if demo else "hybrid", split=given.split, repos=given.repos,
        sandbox__kind=given.sandbox, sandbox__warm=2 if case.warm else 0,
        verify__names=given.names.split(",") if given.names else None,
        verify__writer="writer" if demo else "", budget=Decimal(1),
    )  # fmt: skip
    found = [
        ForeignCandidates(instance_id=instance.id, name=str(n), patch=text, model="x", named=True)
        for n, text in enumerate(case.patches, 1)
    ]
    joined = joining.join(found, trajectories, "benchmark")[instance.id]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lock = place / "lock"
        lock.touch()
        begun = time.perf_counter()
        stack = StandaloneVerification(
            wished,
            run_name="benchmark",
            folder=place,
            lock_file=lock,
            say=_say,
            stopping=lambda: False,
            cores=case.cores,
        )
        made = stack.verify_case(instance, joined, lambda attempt, verifier: None)
        stack.close()
        took = time.perf_counter() - begun
    outcomes = {v.verifier: v.outcome for v in made[-1].verdicts}
    print(f"  {case.name}: {took:.1f} s, the last candidate {outcomes}", file=sys.stderr)
    return took


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("split", "demo"), ("instance", "demo__confet-11"), ("repos", None),
                          ("sandbox", "auto"), ("names", ""), ("predictions", None),
                          ("trajectories", None)):  # fmt: skip
        parser.add_argument(f"--{name}", default=default)
    for name, number in (("candidates", 8), ("distinct", 6), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    (instance,) = splits.load_instances(given.split, ids=(given.instance,))
    sample = assets.assets_root() / "runs" / "sample" / "preds.json"
    path = Path(given.predictions) if given.predictions else sample
    many = tuple(patches_of(path, instance.id, given.candidates))
    mix = tuple(many[n % given.distinct] for n in range(given.candidates))
    cores = os.cpu_count() or 1
    cases_ = [
        Case("one candidate", many[:1], 1, False),
        Case("one candidate, all cores", many[:1], cores, True),
        Case(f"{len(many)} distinct, one after the other, plain sandboxes", many, 1, False),
        Case(f"{len(many)} distinct", many, cores, True),
        Case(f"{len(many)} of which {given.distinct} distinct", mix, cores, True),
    ]
    trajectories = (
        trajectory_folders.read_trajectories(Path(given.trajectories), {instance.id}, _say)
        if given.trajectories
        else []
    )
    took: dict[str, list[float]] = {case.name: [] for case in cases_}
    for _ in range(given.repeat):
        for case in cases_:
            took[case.name].append(seconds(given, instance, case, trajectories))
    one = statistics.median(took[cases_[0].name])
    print(f"{instance.id}, {cores} cores, {given.names or 'every verifier'}")
    for case in cases_:
        middle = statistics.median(took[case.name])
        print(f"{case.name:55s} {middle:7.1f} s  {middle / one:5.2f} x one")


if __name__ == "__main__":
    main()
