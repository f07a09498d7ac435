"""The doctor knocks at a tier's own server, and the summary says why there is no patch."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
from pathlib import Path

import pytest

from swe_router import settings
from swe_router.__main__ import main
from swe_router.commands import doctor
from swe_router.sandboxes import resource_limits
from tests.doubles.served import Provider

PRESET = """
[tiers.local]
dialect = "vllm"
model = "m"
base_url = "http://127.0.0.1:{port}/v1"
window = 32768
attempt_usd = 1
price = "free"
"""


def said(tmp_path: Path, port: int, check: str = "tier local") -> dict[str, object]:
    file = tmp_path / "preset.toml"
    file.write_text(PRESET.format(port=port))
    resolved = settings.load(str(file))
    rows = doctor.doctor(resolved, tmp_path).facts["checks"]
    return next(row for row in rows if row["check"] == check)


def test_a_server_that_is_down_is_no_usable_tier(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, nobody answers
        row = said(tmp_path, taken.getsockname()[1])
    assert not row["ok"]
    assert "start the server" in str(row["detail"])


def test_a_server_that_listens_and_answers_is_fine(tmp_path: Path) -> None:
    with Provider() as server:
        assert said(tmp_path, server.port)["ok"]


def test_how_fast_workers_are_and_how_far_a_disk_is_limited_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "as nice as this process" in str(said(tmp_path, 1, "workers")["detail"])
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    told = str(said(tmp_path, 1, "workers")["detail"])
    assert "127.0.0.1:1" in told
    assert "RAY_worker_niceness=0" in told
    sandbox = str(said(tmp_path, 1, "local sandbox")["detail"])
    assert "16g per file" in sandbox or "no local sandbox" in sandbox


def looked(*words: str) -> dict[str, dict[str, object]]:
    """Check -> row of ``doctor``, in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(["doctor", *words, "--json"])
    facts = json.loads(out.getvalue())
    assert code == (0 if facts["ok"] else 1)
    return {row["check"]: row for row in facts["checks"]}


def test_doctor_takes_the_options_that_choose_what_a_run_is_of(tmp_path: Path) -> None:
    assert looked("--slice", "0:2")["repositories"]["detail"] == "1: demo/confet"
    assert "3:" in str(looked("--slice", "0:15")["repositories"]["detail"])
    gone = looked("--filter", "nosuch", "--workers", "2", "--candidates", "2", "--shuffle")
    assert "none of the 15 instances" in str(gone["split demo"]["detail"])
    lost = looked("--from", str(tmp_path / "nosuch.json"))
    assert "nosuch.json" in str(lost["split demo"]["detail"])
    assert main(["doctor", "--rest"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "scaffold=nosuch"), "no scaffold named 'nosuch'"),
        (("--candidates", "2", "--set", "selector=majorty"), "did you mean 'majority'"),
        (("--policy-set", "nosuch=1"), "nosuch"),
        (("--budget", "0.001"), "pays for no attempt"),
    ],
)
def test_doctor_refuses_what_run_would_refuse(words: tuple[str, ...], said: str) -> None:
    assert said in str(looked(*words)["settings"]["detail"])


def test_what_of_a_local_sandbox_is_limited_as_a_whole_is_told_as_it_is() -> None:
    sandbox = settings.load("demo").sandbox
    groups = resource_limits.make_cgroups(f"swe-router-test-{os.getpid()}", sandbox)
    have = {file.name for path in groups for file in path.iterdir()}
    resource_limits.remove_cgroups(groups)
    told = resource_limits.describe_limits(sandbox)
    whole = bool(have & {"memory.max", "memory.limit_in_bytes"})
    assert ("memory to 4g a process and not a sandbox" in told) is not whole
    assert ("processes to 1024" in told) is ("pids.max" in have)
    assert ("no cgroup can be made" in told) is not (whole and "pids.max" in have)
    if whole:
        assert any(told in str(row["detail"]) for row in looked().values())
