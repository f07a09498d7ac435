"""One vLLM server for all tests of the tier ``vllm``, started as a user starts it."""

from __future__ import annotations

import os

import pytest

from tests.live.vllm_server import VllmServer


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory):
    """``SWE_ROUTER_VLLM_URL`` and ``_MODEL`` of one that runs, else one of our own.

    ``tests/live/vllm_setup.sh`` prints ``SWE_ROUTER_VLLM`` and ``SWE_ROUTER_VLLM_WEIGHTS``.
    """
    url = os.environ.get("SWE_ROUTER_VLLM_URL")
    if url:
        yield VllmServer.running(url, os.environ["SWE_ROUTER_VLLM_MODEL"])
        return
    if not {"SWE_ROUTER_VLLM", "SWE_ROUTER_VLLM_WEIGHTS"} <= set(os.environ):
        pytest.skip("run tests/live/vllm_setup.sh FOLDER and set what it prints")
    with VllmServer.started(tmp_path_factory.mktemp("served")) as server:
        yield server
