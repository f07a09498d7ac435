"""The doctor knocks at a tier's own server, and the summary says why there is no patch."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from swe_router import settings
from swe_router.assemble import machine
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
    rows = machine.doctor(resolved, tmp_path).facts["checks"]
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
    box = str(said(tmp_path, 1, "local sandbox")["detail"])
    assert "16g a file" in box or "no local sandbox" in box
