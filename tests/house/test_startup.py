"""What a command may load before it does its work: each entry is paid at every start."""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
import typer.core
import typer.main

from swe_router.cli.app import app_of, build_app
from swe_router.lazy_imports import deferred_module, uncollected_loading

ROOT = Path(__file__).resolve().parents[2]
NEVER = {
    "adjustText", "anthropic", "datasets", "docker", "fsspec", "genai_prices", "git", "httpx",
    "httpx2", "huggingface_hub", "matplotlib", "modal", "networkx", "numpy", "openai", "pandas",
    "psutil", "pyarrow", "ray", "requests", "scipy", "sklearn", "stamina", "swebench", "tenacity",
    "unidiff",
}  # fmt: skip
"""Modules that no look, plan or replay needs; each takes 5 ms to 2 s of CPU to import."""
SCRIPT = """
import gc, json, os, sys
from pathlib import Path
from swe_router.__main__ import main
code = main(sys.argv[2:])
heads = {name.partition(".")[0] for name in sys.modules}
heads |= {name for name in sys.modules if name.startswith("swe_router.")}
found = [code, sorted(heads), gc.isenabled(), gc.get_freeze_count()]
Path(sys.argv[1]).write_text(json.dumps(found))
"""


@cache
def loaded(*words: str) -> frozenset[str]:
    """Top-level modules, and all of our own, that a command has loaded when it is done."""
    with tempfile.TemporaryDirectory() as place:
        told = Path(place, "told.json")
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(told), *words],
            capture_output=True, text=True, check=True, cwd=place,
        )  # fmt: skip
        code, heads, collects, kept = json.loads(told.read_text())
    assert code == 0
    assert collects, "a long run must not grow by what it left"
    assert kept > 20_000, "what was loaded is looked through again and again"
    return frozenset(heads)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--dry-run", "--split", "demo", "--budget", "1"),
        ("show", str(ROOT / "runs" / "sample")),
        ("show", str(ROOT / "runs" / "sample"), "--json"),
        ("replay", str(ROOT / "runs" / "sample")),
    ],
    ids=["dry run", "show", "show --json", "replay"],
)
def test_a_look_a_plan_or_a_replay_loads_nothing_that_it_does_not_use(words):
    assert loaded(*words) & NEVER == set()


@pytest.mark.parametrize("extra", [(), ("--json",), ("demo__confet-3",)])
def test_a_look_at_a_run_does_not_load_what_makes_one(extra):
    rooms = {"agents", "codegraph", "models", "policies", "sandboxes", "solve", "verifiers"}
    names = loaded("show", str(ROOT / "runs" / "sample"), *extra)
    assert names & {f"swe_router.{room}" for room in rooms} <= {"swe_router.agents"}


def test_a_plan_does_not_load_what_drives_a_run():
    names = loaded("run", "--dry-run", "--split", "demo", "--budget", "1")
    drivers = {"commands.run.run_driver", "commands.run.worker", "pool", "wiring.run_wiring"}
    assert names & {f"swe_router.{module}" for module in drivers} == set()


def test_a_replay_loads_the_comparison_of_selectors_only_when_it_is_asked_for():
    names = loaded("replay", str(ROOT / "runs" / "sample"))
    assert "swe_router.commands.replay" in names
    assert "swe_router.commands.compare_selectors" not in names


def test_a_command_is_read_alone_and_reads_as_it_does_among_all():
    whole = typer.main.get_command(build_app())
    assert isinstance(whole, typer.core.TyperGroup)
    assert len(whole.commands) > 15
    for name, command in whole.commands.items():
        alone = typer.main.get_command(app_of([name, "--help"]))
        assert isinstance(alone, typer.core.TyperGroup)
        assert list(alone.commands) == [name]
        told = [[one.opts for one in group.params] for group in (command, alone.commands[name])]
        assert told[0] == told[1]
    assert app_of(["shwo"]) is app_of([]) is app_of(["--version"])


def test_what_each_worker_and_each_driver_imports_is_light():
    script = """if True:
        import importlib, json, sys
        heads = lambda: {name.partition(".")[0] for name in sys.modules}
        for name in sys.argv[1:]:
            importlib.import_module(name)
            print(json.dumps([name, sorted(heads())]))
    """
    modules = ["swe_router.commands.verify.verify_candidates", "swe_router.commands.replay",
               "swe_router.commands.run.run_driver",
               "swe_router.commands.run.worker"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, *modules], capture_output=True, text=True, check=True
    )
    loads = dict(json.loads(line) for line in done.stdout.splitlines())
    assert {name: set(heads) & NEVER for name, heads in loads.items()} == {
        name: set() for name in modules
    }
    assert "jinja2" not in loads[modules[0]], "no prompt is filled in without a model"


def test_loading_that_is_broken_off_leaves_the_collector_on():
    with (
        contextlib.suppress(KeyboardInterrupt),
        uncollected_loading("swe_router_has_no_such_module"),
    ):
        assert not gc.isenabled()
        raise KeyboardInterrupt
    assert gc.isenabled()
    with uncollected_loading("json"):
        assert gc.isenabled(), "it is there already"


def test_a_deferred_module_is_imported_by_its_first_use():
    name = "wsgiref.headers"
    sys.modules.pop(name, None)
    stand_in = deferred_module(name)
    assert name not in sys.modules
    assert stand_in.Headers is sys.modules[name].Headers


def test_a_deferred_module_that_is_absent_says_so_where_it_is_used():
    absent = deferred_module("swe_router_has_no_such_module")
    with pytest.raises(ModuleNotFoundError, match="swe_router_has_no_such_module"):
        absent.anything  # noqa: B018
