"""What README.md and ``--help`` tell a user to type: sandboxes, all policies, a hub on loopback.

A stand-in takes the place of what needs a key or a hub, and of nothing else: ``verified`` is served
by a hub on loopback with the demo's rows, whose images no registry has; so its plans are made
(``--dry-run``) and its patches graded and verified as the demo's. Of a split a few instances are
taken where the words do not say which: ``.ci/run`` runs the whole demo.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from swe_router.ledger import log_reader
from tests.doubles import hub, readme, world
from tests.doubles.written import compare

pytestmark = pytest.mark.box
README = readme.of_readme((readme.ROOT / "README.md").read_text("utf-8"))
FOUND = [one for one in (*README, *readme.of_help()) if one.tier == readme.BOX]
FEW = ["--instances", "demo__confet-3", "demo__slotkeeper-17"]
"""The first is resolved and the second is not, whatever the policy: ``--failed`` finds one."""
AMISS = {"tier local", "tier sonnet", "tier o3", "images"}
"""What a dry run on ``verified`` must find here, and nothing else: nobody serves the local model,
the keys are none, and no registry has the images. It ends with 1, as README says of faults."""
AS_DEMO = ("swe-router grade", "swe-router verify")
"""These need the images of the real split: here they work on the demo, whose rows the hub has."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return world.make(tmp_path_factory.mktemp("home"))


@pytest.fixture
def run(home, httpserver: HTTPServer):
    """Start a command as a user does, from the user's folder."""
    hub.serve(httpserver, list(world.hub_rows()))
    keys = {"ANTHROPIC_API_KEY": "no-key", "OPENAI_API_KEY": "no-key", "COLUMNS": "100"}
    env = {**os.environ, **hub.environment(httpserver, home), **keys}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"

    def start(words):
        done = subprocess.run(
            words, cwd=home, env=env, capture_output=True, text=True, timeout=900, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return start


def stood_in(one):
    """The words of a command with what stands in for keys, images and hours."""
    # A shell puts the user's home in the place of the tilde.
    words = [word.replace("~", ".") for word in readme.filled(one.words)]
    if one.text.startswith("swe-router run"):
        if "verified" in words:
            return [*words, *([] if "--dry-run" in words else ["--dry-run"])]
        if "--repo" in words:
            return [*words, "--preset", "demo", "--dry-run"]
        few = [] if "--failed" in words else FEW
        return [*words, *few, "--sandbox", "local"]
    if one.text.startswith(AS_DEMO):
        words[words.index("verified")] = "demo"
        return [*words, "--sandbox", "local", *(FEW if words[1] == "verify" else [])]
    return words


def test_every_command_that_needs_sandboxes_or_a_hub_runs(home, run):
    print(readme.table(FOUND))
    failed, ran = [], 0
    for one in FOUND:
        words = stood_in(one)
        if words[1] == "verify":  # the rows that lie there are another's
            (home / "rows.jsonl").unlink(missing_ok=True)
        if {"stop_loss=stop.json", "verify.calibration=mine.json", "features.jsonl"} & set(words):
            _made_before(run)
        code, out, err = run(words)
        ran += 1
        looked = "--dry-run" in words and "verified" in words
        if code != int(looked) or not out.strip():
            failed.append(f"{one.place}: {' '.join(words)}: exit {code}: {err.strip()[-400:]}")
        elif looked:
            failed += _amiss(one, out)
        elif words[1] == "run" and "--dry-run" not in words:
            failed += _run_folder(one, home, run)
        elif words[1] not in ("run", "grade", "resume"):
            failed += compare(one, words, home, run)
        if "--notify" in words and json.loads((home / "ended.jsonl").read_text())["event"] != "end":
            failed.append(f"{one.place}: {one.text}: nobody was told")
    print(f"{len(FOUND)} commands found, {ran} run")
    assert not failed, "\n".join(failed)
    assert ran == len(FOUND) > 8


def _amiss(one, out):
    """A dry run that found anything but what is amiss here, or that did not say how it ended."""
    found = {line[4:].partition(": ")[0] for line in out.splitlines() if line.startswith("NO: ")}
    said = [] if out.rstrip().endswith("nothing was started or spent") else [out[-300:]]
    return [f"{one.place}: {one.text}: {what}" for what in (*said, *sorted(found ^ AMISS))]


def _made_before(run):
    """The files that the commands above these in the README write."""
    for one in README:
        if one.text.startswith(("swe-router calibrate", "swe-router features")):
            assert run(readme.filled(one.words))[0] == 0


def _run_folder(one, home, run):
    """The files of a finished run against what ``show --json`` says of it."""
    path = (home / "runs" / "latest").resolve()
    facts = json.loads(run(["swe-router", "show", "latest", "--json"])[1])
    records = [json.loads(line) for line in (path / "records.jsonl").read_text().splitlines()]
    preds = json.loads((path / "preds.json").read_text())
    grades = [json.loads(line) for line in (path / "grades.jsonl").read_text().splitlines()]
    won = sum(row["outcome"] == "resolved" for row in grades)
    said = (path / "report.md").read_text()
    book = log_reader.read_ledger(path / "ledger.jsonl")
    paid = book.settled
    # What verifiers ask is the run's, and no attempt's.
    own = sum(usd for name, usd in paid.items() if name != "overhead")
    checks = {
        "instances": facts["instances"] == len(records) == (1 if "--failed" in one.text else 2),
        "preds.json": set(preds) == {row["instance"]["id"] for row in records},
        "resolved": facts["resolved"] == won and f"{won} resolved" in said,
        "usd": facts["usd"] == float(sum(paid.values())) and not book.lost,
        "records' usd": sum(Decimal(str(row["usd"])) for row in records) == own,
        "replay": run(["swe-router", "replay", "latest"])[0] == 0,
    }
    return [f"{one.place}: {one.text}: {name} differs" for name, held in checks.items() if not held]


def test_a_run_of_the_readme_that_is_cut_off_is_finished_by_resume(home, run):
    """``swe-router resume latest`` with something to do, not only on a finished run."""
    path = (home / "runs" / "latest").resolve()
    half = home / "runs" / "half"
    shutil.copytree(path, half)
    lines = (half / "records.jsonl").read_text().splitlines(keepends=True)
    (half / "records.jsonl").write_text("".join(lines[:-1]))
    code, out, err = run(["swe-router", "resume", "half", "--json"])
    assert code == 0, err
    assert json.loads(out)["instances"] == len(lines)
