"""A proxy and a company's certificate: every client of ours goes by them."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from swe_router.cli.certificates import FILES, FOLDERS, one_certificate
from swe_router.codegraph import repo_building
from swe_router.codegraph.git_objects import RepoError
from swe_router.errors import NoConnection
from swe_router.models import server_probe
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.records import CallLimits, Message
from swe_router.settings import Tier
from tests.doubles.served import Provider

KINDS = {"anthropic": AnthropicModel, "openai": OpenAIModel, "vllm": VllmModel}
TALK = (Message(role="user", content="Hello."),)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def tier(dialect: str, url: str) -> Tier:
    base = url.removesuffix("/v1") if dialect == "anthropic" else url
    return Tier(dialect=dialect, model="m", base_url=base, window=9000, attempt_usd=1)


def called(dialect: str, url: str) -> None:
    limits = CallLimits(max_output_tokens=10, timeout=60)
    KINDS[dialect](tier(dialect, url), session="x#1").complete(TALK, limits=limits)


def listed(dialect: str, url: str) -> None:
    server_probe.list_models(tier(dialect, url), "")


every_way = pytest.mark.parametrize("ask", [called, listed])
every_dialect = pytest.mark.parametrize("dialect", list(KINDS))


@pytest.fixture
def bare(monkeypatch):
    """No proxy and no certificate in the environment."""
    for name in (*FILES, *FOLDERS, *PROXIES, *(name.lower() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """A certificate that no system knows, for 127.0.0.1: its file, and a server's context."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "company.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=company", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


@every_way
@every_dialect
def test_a_proxy_is_gone_through(bare, dialect, ask):
    with Provider() as proxy:
        bare.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        ask(dialect, "http://models.company.invalid/v1")
    assert proxy.paths[0].startswith("http://models.company.invalid/v1/")


@every_way
@every_dialect
def test_no_proxy_is_gone_through_to_a_server_that_is_spared(bare, dialect, ask):
    with Provider() as proxy, Provider() as server:
        bare.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        bare.setenv("NO_PROXY", "127.0.0.1")
        ask(dialect, server.url)
    assert (proxy.paths, len(server.paths)) == ([], 1)


@every_way
@every_dialect
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_companys_certificate_is_believed_by_whichever_name_it_is_given(
    bare, company, dialect, ask, name
):
    cert, context = company
    with Provider(tls=context) as server:
        with pytest.raises(NoConnection, match="certificate"):
            ask(dialect, server.url)
        bare.setenv(name, str(cert))
        given = {name: str(cert)}
        one_certificate(given)
        for other, value in given.items():
            bare.setenv(other, value)
        ask(dialect, server.url)


def test_git_believes_it_too(bare, company):
    cert, context = company
    with Provider(tls=context) as server:
        with pytest.raises(RepoError, match="certificate"):
            repo_building.check_answers(f"{server.url}/o/n.git")
        given = {"SSL_CERT_FILE": str(cert)}
        one_certificate(given)
        for name, value in given.items():
            bare.setenv(name, value)
        with pytest.raises(RepoError, match="not found"):  # it was spoken to, and has none
            repo_building.check_answers(f"{server.url}/o/n.git")
