"""``swe_router.run`` for real: its example, an interrupt, and what a resume makes of it."""

from __future__ import annotations

import doctest
import signal
import subprocess
import sys
import textwrap

import pytest

import swe_router
from swe_router.api import runner
from tests.doubles import readme

pytestmark = pytest.mark.box


def test_the_example_of_run_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (example,) = (one for one in doctest.DocTestFinder().find(runner) if one.examples)
    said = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert tried == 3
    assert not failed, "".join(said)
    assert swe_router.load_run().ended == "done"
    assert capfd.readouterr() == ("", "")


def test_the_python_of_the_readme_runs_as_it_is_written(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (block,) = readme.python_blocks((readme.ROOT / "README.md").read_text("utf-8"))
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["run"].ended == "done"
    out, err = capfd.readouterr()
    assert "[15/15]" in out, "the block asks for progress"
    assert err == ""


INTERRUPTED = textwrap.dedent("""
    import os, signal, swe_router
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch(line):
        if "working" in line:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        run = swe_router.run("demo", budget=1, instances=["demo__confet-3", "demo__confet-14",
                             "demo__confet-11"], progress=watch)
    except KeyboardInterrupt:
        run = swe_router.load_run()
    print(run.ended, [row["standing"] for row in run.instances].count("owed") > 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run = run.resume()
    print(run.ended, sorted({row["standing"] for row in run.instances}), run.spend["spent"] < 1)
""")


def test_an_interrupt_leaves_the_process_alive_and_the_run_to_be_resumed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, cwd=tmp_path,
        check=True, timeout=600, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert done.stdout.splitlines() == ["stopped True", "done ['resolved'] True"]
    assert done.stderr == ""
