"""The environment variables that workers of a Ray cluster get from the command."""

from __future__ import annotations

from collections.abc import Mapping

from swe_router import gateways
from swe_router.settings import Settings

PASSED_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"),
    *("HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"),
)
"""Variables that this program and its libraries read, in addition to the tiers' keys."""


def worker_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Those that are set, keys of the tiers included; nothing of it is ever written to a file."""
    tiers = settings.tiers.values()
    keys = [tier.api_key_env for tier in tiers]
    keys += [name for tier in tiers for name in gateways.header_variables(tier.headers).values()]
    return {name: environ[name] for name in (*keys, *PASSED_VARIABLES) if name and name in environ}
