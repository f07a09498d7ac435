"""One certificate setting for all HTTP clients of the product.

The SDKs read ``SSL_CERT_FILE``, the hub's and Docker's clients ``REQUESTS_CA_BUNDLE``, git
``GIT_SSL_CAINFO``: one of them, set for a company's certificate, is meant for all.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
FOLDERS = ("SSL_CERT_DIR", "GIT_SSL_CAPATH")


def one_certificate(environ: MutableMapping[str, str]) -> None:
    """Give the certificates that one variable names to the others that are not set."""
    given = next((environ[name] for name in FILES if environ.get(name)), "")
    names = FOLDERS if given and os.path.isdir(given) else FILES  # noqa: PTH112
    for name in names if given else ():
        environ.setdefault(name, given)
