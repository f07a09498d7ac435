"""A hub of data sets on loopback: the part of its protocol that the official loader speaks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

SHA = "a" * 40
VERIFIED = "SWE-bench/SWE-bench_Verified"


Rows = Sequence[Mapping[str, Any]]


def serve(server: HTTPServer, rows: Rows, held: str = VERIFIED) -> None:
    """Let ``server`` hold one data set, ``held``, whose test split is ``rows``."""
    serve_splits(server, {held: {"test": rows}})


def serve_splits(server: HTTPServer, held: Mapping[str, Mapping[str, Rows]]) -> None:
    """Let ``server`` hold data sets: id -> split -> rows."""
    stored = {name: _files(splits) for name, splits in held.items()}

    def answer(request: Request) -> Response:
        for name, files in stored.items():
            if re.match(rf"(/api)?/datasets/{re.escape(name)}(/|$)", request.path):
                return _answer(request, name, files)
        return Response(status=404, headers={"X-Error-Code": "RepoNotFound"})

    for method in ("GET", "HEAD"):
        server.expect_request(re.compile(".*"), method=method).respond_with_handler(answer)


def _files(splits: Mapping[str, Rows]) -> dict[str, bytes]:
    files = {"README.md": b"---\nlicense: mit\n---\n"}
    for split, rows in splits.items():
        out = io.BytesIO()
        try:
            pq.write_table(pa.Table.from_pylist(list(rows)), out)
        except pa.ArrowNotImplementedError:  # an object without a key: published as JSON lines
            text = "".join(json.dumps(row) + "\n" for row in rows)
            files[f"data/{split}.jsonl"] = text.encode()
        else:
            files[f"data/{split}-00000-of-00001.parquet"] = out.getvalue()
    return files


def environment(server: HTTPServer, home: Path) -> dict[str, str]:
    """What a process needs in its environment to ask this hub, with a cache of its own."""
    measured = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}
    return measured | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": server.url_for("").rstrip("/"),
    }


def _answer(request: Request, held: str, files: Mapping[str, bytes]) -> Response:
    below, api = f"/datasets/{held}/resolve/", f"/api/datasets/{held}"
    if request.path.startswith(below):
        name = request.path.removeprefix(below).partition("/")[2]
        if name not in files:
            return Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        tag = hashlib.sha256(files[name]).hexdigest()
        return Response(files[name], headers={"X-Repo-Commit": SHA, "ETag": f'"{tag}"'})
    if request.path.startswith(f"{api}/tree/{SHA}"):
        folder = request.path.removeprefix(f"{api}/tree/{SHA}").strip("/")
        entries = [
            {"type": "file", "path": name, "size": len(data), "oid": "b" * 40}
            for name, data in files.items()
            if name.rpartition("/")[0] == folder
        ]
        if not folder:
            entries.append({"type": "directory", "path": "data", "size": 0, "oid": "d" * 40})
        return Response(json.dumps(entries), content_type="application/json")
    if request.path.startswith(api):
        info = {"id": held, "sha": SHA, "tags": [], "siblings": [{"rfilename": n} for n in files]}
        return Response(json.dumps(info), content_type="application/json")
    return Response(status=404, headers={"X-Error-Code": "RepoNotFound"})
