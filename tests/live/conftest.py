"""The vLLM servers of the tier ``vllm``, started as a user starts them."""

from __future__ import annotations

import os

import pytest

from tests.live.vllm_server import VllmServer


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory):
    """One of our own, with a window that holds an attempt."""
    _require_vllm()
    with VllmServer.started(tmp_path_factory.mktemp("served"), window=16384) as server:
        yield server


@pytest.fixture(scope="session")
def short_window_server(tmp_path_factory):
    """``SWE_ROUTER_VLLM_URL`` and ``_MODEL`` of one that runs, else one of our own.

    Its window is small: a prompt that fills it takes a CPU seconds, not minutes.
    """
    url = os.environ.get("SWE_ROUTER_VLLM_URL")
    if url:
        yield VllmServer.running(url, os.environ["SWE_ROUTER_VLLM_MODEL"])
        return
    _require_vllm()
    with VllmServer.started(tmp_path_factory.mktemp("short"), window=4096) as server:
        yield server


def _require_vllm():
    """``tests/live/vllm_setup.sh`` prints these two variables."""
    if not {"SWE_ROUTER_VLLM", "SWE_ROUTER_VLLM_WEIGHTS"} <= set(os.environ):
        pytest.skip("run tests/live/vllm_setup.sh FOLDER and set what it prints")
