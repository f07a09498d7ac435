"""A run folder keeps what it was made with, and nothing of today is needed to read it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swe_router import settings
from swe_router.__main__ import main
from swe_router.agents import loop_rules, manifest
from swe_router.errors import UsageError
from swe_router.journal import run_inputs
from swe_router.journal.header import Header, header_of_run, is_unchanged
from swe_router.journal.run_folder import INPUTS_FOLDER, RunFolder, text_digest
from swe_router.records import digest_of
from swe_router.wiring.policy_wiring import build_policy
from tests.doubles import earlier_runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def earlier(tmp_path):
    return lambda name: earlier_runs.unpacked(name, tmp_path / name)


def keeping(path):
    """The run as today's code would have left it: with what it was made with in its folder."""
    run = RunFolder(path)
    texts = run_inputs.stored_texts(run, header_of_run(run))
    (path / INPUTS_FOLDER).mkdir()
    for text in texts.values():
        (path / INPUTS_FOLDER / text_digest(text)).write_bytes(text.encode())
    tree = json.loads(run.settings_file.read_text("utf-8"))
    tree.pop("seal")
    tree |= {"made_with": {key: text_digest(text) for key, text in texts.items()}, "rules": 1}
    run.settings_file.write_text(json.dumps({**tree, "seal": digest_of(tree)}), "utf-8")
    return run


def tomorrow(place):
    """This code with another prompt, another tool and other rules; gives its folder."""
    shutil.copytree(ROOT / "swe_router", place / "swe_router",
                    ignore=shutil.ignore_patterns("__pycache__", "_assets"))  # fmt: skip
    shutil.copytree(ROOT / "prompts", place / "prompts")
    for name in ("scaffolds", "eval", "queries"):
        (place / name).symlink_to(ROOT / name)
    for name in ("system", "nudge", "malformed"):
        prompt = place / "prompts" / f"{name}.md.j2"
        prompt.write_text("Tomorrow. " + prompt.read_text("utf-8"), "utf-8")
    tools = place / "swe_router" / "agents" / "tools.py"
    tools.write_text(tools.read_text("utf-8").replace("Find code.", "Find any code."), "utf-8")
    loop = place / "swe_router" / "agents" / "loop_rules.py"
    text = loop.read_text("utf-8")
    loop.write_text(
        f"{text}\nVERSIONS = {{**VERSIONS, 99: LoopRules(True, True, True)}}\nCURRENT = 99\n"
    )
    return place


SCRIPT = """
import sys
from swe_router.__main__ import main
from swe_router.agents import manifest
sheet = manifest.read_manifest("default")
assert sheet.rules == 99
assert "Tomorrow" in sheet.text("system")
assert "any code" in sheet.offered[0].description
sys.exit(max(main(["replay", one]) for one in sys.argv[1:]))
"""


def test_another_prompt_tool_and_rule_break_no_run_of_before(earlier, tmp_path):
    runs = [earlier(name) for name in earlier_runs.NAMES]
    kept = keeping(shutil.copytree(runs[-1], tmp_path / "kept" / runs[-1].name)).path
    place = tomorrow(tmp_path / "tomorrow")
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, (*runs, kept))],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("all as recorded") == 4


@pytest.mark.parametrize("name", earlier_runs.NAMES)
def test_a_run_of_before_is_shown_replayed_and_exported(earlier, name, tmp_path, capsys):
    run = str(earlier(name))
    assert main(["show", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usd"] >= 0
    assert main(["replay", run]) == 0
    assert "all as recorded" in capsys.readouterr().out
    out = str(tmp_path / "out")
    assert main(["export", run, "--partial", "--format", "experiments", "--out", out]) == 0


def test_a_new_run_keeps_scaffold_prompts_tools_and_rules(tmp_path):
    chosen = settings.load("demo")
    texts = run_inputs.current_inputs(chosen)
    header = Header(
        chosen, chosen.digest(), {}, {}, "local", {}, 1.0,
        made_with={key: text_digest(text) for key, text in texts.items()},
    )  # fmt: skip
    run = RunFolder.create(tmp_path, "one", header.as_json(), [], texts.values())
    assert run_inputs.stored_manifest(run, header_of_run(run)) == manifest.read_manifest(
        chosen.scaffold
    )
    assert {"scaffold", "tools", "calibration", "prompt/system", "prompt/handover",
            "prompt/first-minimal", "prompt/reproduction"} <= texts.keys()  # fmt: skip
    assert header_of_run(run).rules == loop_rules.CURRENT
    kept = Path(run_inputs.verify_settings(run, header_of_run(run)).calibration)
    assert kept.parent == run.path / INPUTS_FOLDER


@pytest.mark.parametrize("how", ["changed", "gone", "a path"])
def test_what_a_run_was_made_with_is_checked_before_it_is_used(earlier, how, capsys):
    run = keeping(earlier("ray"))
    digest = header_of_run(run).made_with["prompt/system"]
    file = run.path / INPUTS_FOLDER / digest
    if how == "changed":
        file.write_text(file.read_text("utf-8") + " And more.", "utf-8")
    elif how == "gone":
        file.unlink()
    else:
        text = run.settings_file.read_text("utf-8")
        run.settings_file.write_text(text.replace(digest, "../settings.json"), "utf-8")
    assert main(["replay", str(run.path)]) == 2
    assert "SHA-256" if how == "a path" else digest in capsys.readouterr().err


def test_rules_of_a_newer_version_are_refused():
    with pytest.raises(UsageError, match="newer swe-router"):
        loop_rules.rules_of(max(loop_rules.VERSIONS) + 1)


def test_an_earlier_run_with_a_scaffold_that_is_not_there_any_more_says_so(earlier, capsys):
    run = RunFolder(earlier("ray"))
    tree = json.loads(run.settings_file.read_text("utf-8"))
    tree["prompts"]["prompt/system"] = "0" * 64
    run.settings_file.write_text(json.dumps(tree), "utf-8")
    assert main(["replay", str(run.path)]) == 2
    assert "does not keep what it was made with" in capsys.readouterr().err


def test_the_seal_of_a_new_run_fits(tmp_path):
    chosen = settings.load("demo", workers=3)
    header = Header(chosen, chosen.digest(), {}, {}, "local", {}, 1.0)
    assert is_unchanged(RunFolder.create(tmp_path, "one", header.as_json(), []))


def test_an_old_run_keeps_the_defaults_of_its_policy(earlier):
    """``cascade`` skipped the cheap tier above 9.95 when the run was made; today it never does."""
    old = header_of_run(RunFolder(earlier("imported")))
    assert build_policy(old).knobs.thresholds == (9.95,)
    assert build_policy(replace(old, knobs={"thresholds": [3.0]})).knobs.thresholds == (3.0,)
    assert build_policy(replace(old, knobs={})).knobs.thresholds == ()
