"""The recorded tests of the demo judge patches by running: the planted ones, and some of ours."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import tomllib

import pytest

from swe_router import assets
from swe_router.agents import edit_tool
from swe_router.models.sampling_seeds import SamplingSeeds
from swe_router.models.scripted import ScriptedModel
from swe_router.records import Instance, Verdict
from swe_router.settings import load
from swe_router.verifiers.reproduction.reproduction import ReproductionVerifier
from tests.doubles.project import Project, outcome

pytestmark = pytest.mark.box

SUITE = assets.assets_root() / "eval" / "suites" / "demo"
ROWS = {
    row["instance_id"]: row
    for row in map(json.loads, (SUITE / "instances.jsonl").read_text("ascii").splitlines())
}
SETTINGS = load("demo")
INTERPOLATE, TOTALS = "confet/interpolate.py", "gridtext/report/totals.py"
CALENDAR = "slotkeeper/export/ics.py"
JOINED = '    return "".join(line + "\\r\\n" for line in lines)\n'
FOLD = """\
    folded = []
    for line in lines:
        data, pieces = line.encode(), []
        while len(data) > 75 - bool(pieces){only}:
            cut = 75 - bool(pieces)
            while data[cut] & 0xC0 == 0x80:
                cut -= 1
            pieces.append(data[:cut])
            data = data[cut:]{strip}
        folded.append(b"\\r\\n ".join([*pieces, data]).decode())
    return "".join(line + "\\r\\n" for line in folded)
"""
GIT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """The start state of the instances in question, as files out of their streams."""
    made = {}
    for name in ("demo__confet-11", "demo__gridtext-13", "demo__slotkeeper-17"):
        folder = tmp_path_factory.mktemp(name)
        package = ROWS[name]["repo"].removeprefix("demo/")
        bare = folder / "x.git"
        subprocess.run(["git", "init", "-q", "--bare", bare], check=True, env=GIT)
        stream = (SUITE / "repos" / f"{package}.fi").read_bytes()
        command = ["git", "fast-import", "--quiet"]
        subprocess.run(command, cwd=bare, input=stream, check=True, env=GIT)
        command = ["git", "archive", ROWS[name]["base_commit"]]
        told = subprocess.run(command, cwd=bare, capture_output=True, check=True, env=GIT)
        with tarfile.open(fileobj=io.BytesIO(told.stdout)) as tar:
            files = {
                one.name: tar.extractfile(one).read().decode()  # type: ignore[union-attr]
                for one in tar.getmembers()
                if one.isfile()
            }
        made[name] = Project(folder, files)
    return made


def recorded(instance_id: str) -> SamplingSeeds:
    """The demo's writer as a run asks it."""
    tier = SETTINGS.tiers[SETTINGS.verify.writer]
    return SamplingSeeds(tier, lambda session: ScriptedModel(tier, session=session), instance_id)


def issue(name: str) -> Instance:
    row = ROWS[name]
    return Instance(
        id=name, repo=row["repo"], base_commit=row["base_commit"], problem=row["problem_statement"]
    )


def judged(home: Project, name: str, patch: str) -> Verdict:
    verifier = ReproductionVerifier(SETTINGS.verify)
    context = home.context(writer=recorded(name))
    verdict = verifier.verify(outcome(patch), (), issue(name), context)
    assert verifier.check(Verdict.model_validate_json(verdict.model_dump_json())) == verdict.outcome
    return verdict


def planted(home: Project, name: str) -> str:
    """The patch that the local tier's recording makes."""
    path = SUITE / "recordings" / "local" / f"{name}.toml"
    calls = [
        call
        for step in tomllib.loads(path.read_text("ascii"))["step"]
        for call in step.get("call", ())
        if call["tool"] == "edit"
    ]
    files: dict[str, bytes] = {}
    for call in calls:
        before = files.get(call["path"], home.files[call["path"]].encode())
        files[call["path"]] = edit_tool.apply_edit(call["path"], before, call)
    return home.patch({path: data.decode() for path, data in files.items()})


@pytest.mark.parametrize("name", ["demo__confet-11", "demo__gridtext-13"])
def test_the_planted_patch_is_refused_and_the_fix_is_not(
    homes: dict[str, Project], name: str
) -> None:
    home = homes[name]
    refused = judged(home, name, planted(home, name))
    assert refused.outcome == "fail"
    (test,) = refused.evidence["tests"].values()
    assert ["failed", "failed"] in test["results"].values()
    assert judged(home, name, ROWS[name]["patch"]).outcome == "pass"


@pytest.mark.parametrize(
    ("name", "path", "old", "new"),
    [
        (  # every `$${` is taken for literal text, and nothing beside it is expanded any more
            "demo__confet-11",
            INTERPOLATE,
            "    return REFERENCE.sub(expand, doc.raw(path))\n",
            "    raw = doc.raw(path)\n    if '$${' in raw:\n"
            "        return raw.replace('$${', '${')\n    return REFERENCE.sub(expand, raw)\n",
        ),
        (  # right for a value by itself, expanded once more where another one refers to it
            "demo__confet-11",
            INTERPOLATE,
            "    return REFERENCE.sub(expand, doc.raw(path))\n",
            "    held = doc.raw(path).replace('$${', '\\0{')\n"
            "    text = REFERENCE.sub(expand, held).replace('\\0{', '${')\n"
            "    return text if not _open else REFERENCE.sub(expand, text)\n",
        ),
        (  # a group in which nothing is known has a total of 0
            "demo__gridtext-13",
            TOTALS,
            "    return sum(values)\n",
            "    return sum(one for one in values if one is not None)\n",
        ),
        (  # the count goes down with the missing amounts
            "demo__gridtext-13",
            TOTALS,
            "        cells = group.values(column)\n",
            "        cells = [one for one in group.values(column) if one is not None]\n",
        ),
        (  # the very text of the issue's example, and nothing else
            "demo__confet-11",
            INTERPOLATE,
            "    return REFERENCE.sub(expand, doc.raw(path))\n",
            "    parts = doc.raw(path).split('$${HOME}')\n"
            "    return '${HOME}'.join(REFERENCE.sub(expand, part) for part in parts)\n",
        ),
        (  # an amount of zero is taken for a missing one
            "demo__gridtext-13",
            TOTALS,
            "        out.append([value, len(cells), total(cells), mean(cells)])\n",
            "        there = [one for one in cells if one]\n        out.append(["
            "value, len(cells), total(there) if there else None, mean(there)])\n",
        ),
        (  # only the line that the report was about is folded
            "demo__slotkeeper-17",
            CALENDAR,
            JOINED,
            FOLD.format(only=' and line.startswith("SUMMARY")', strip=""),
        ),
        (  # blanks at the place where a line is folded are lost
            "demo__slotkeeper-17",
            CALENDAR,
            JOINED,
            FOLD.format(only="", strip=".lstrip()"),
        ),
    ],
)
def test_another_wrong_patch_is_judged_by_running(
    homes: dict[str, Project], name: str, path: str, old: str, new: str
) -> None:
    home = homes[name]
    changed = home.files[path].replace(old, new)
    assert changed != home.files[path]
    verdict = judged(home, name, home.patch({path: changed}))
    assert verdict.outcome == "fail"
    (test,) = verdict.evidence["tests"].values()
    assert "failed" in [after for _, after in test["results"].values()]


def test_a_right_patch_that_looks_otherwise_passes(homes: dict[str, Project]) -> None:
    home = homes["demo__confet-11"]
    old = "    return REFERENCE.sub(expand, doc.raw(path))\n"
    new = "    parts = doc.raw(path).split('$${')\n"
    new += "    return '${'.join(REFERENCE.sub(expand, part) for part in parts)\n"
    patch = home.patch({INTERPOLATE: home.files[INTERPOLATE].replace(old, new)})
    # 'a ${x $${y} }' aside, that is the same; the issue speaks of no such thing.
    assert judged(home, "demo__confet-11", patch).outcome == "pass"


def test_a_right_patch_that_cuts_octets_and_not_letters_passes(homes: dict[str, Project]) -> None:
    home = homes["demo__slotkeeper-17"]
    new = home.files[CALENDAR].replace(JOINED, FOLD.format(only="", strip=""))
    patch = home.patch({CALENDAR: new})
    assert judged(home, "demo__slotkeeper-17", patch).outcome == "pass"
