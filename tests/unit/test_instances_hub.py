"""The official loader against a hub of our own: a real server that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from swe_router.errors import UsageError
from swe_router.instances.rows import from_hub
from swe_router.instances.splits import load

SHA = "a" * 40
HELD = "SWE-bench/SWE-bench_Verified"
ROW = {
    "instance_id": "o__r-1",
    "repo": "o/r",
    "base_commit": "c" * 40,
    "problem_statement": "It breaks.\u2028\nBadly.",
    "image": "img:1",
    "eval_script": "#!/bin/bash",
    "log_parser": "parse_log_pytest",
    "eval_type": "pass_and_fail",
    "hints_text": None,
}


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW, {**ROW, "instance_id": "o__r-2"}]), out)
    return out.getvalue()


FILES = {"README.md": b"---\nlicense: mit\n---\n", "data/test-00000-of-00001.parquet": parquet()}


def answer(request: Request) -> Response:
    """The part of the hub's API that the loader uses, for one data set."""
    files, api = f"/datasets/{HELD}/resolve/", f"/api/datasets/{HELD}"
    if request.path.startswith(files):
        name = request.path.removeprefix(files).partition("/")[2]
        if name not in FILES:
            return Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        tag = hashlib.sha256(FILES[name]).hexdigest()
        return Response(FILES[name], headers={"X-Repo-Commit": SHA, "ETag": f'"{tag}"'})
    if request.path.startswith(f"{api}/tree/{SHA}"):
        below = request.path.removeprefix(f"{api}/tree/{SHA}").strip("/")
        entries = [
            {"type": "file", "path": name, "size": len(data), "oid": "b" * 40}
            for name, data in FILES.items()
            if name.rpartition("/")[0] == below
        ]
        if not below:
            entries.append({"type": "directory", "path": "data", "size": 0, "oid": "d" * 40})
        return Response(json.dumps(entries), content_type="application/json")
    if request.path.startswith(api):
        info = {"id": HELD, "sha": SHA, "tags": [], "siblings": [{"rfilename": n} for n in FILES]}
        return Response(json.dumps(info), content_type="application/json")
    return Response(status=404, headers={"X-Error-Code": "RepoNotFound"})


@pytest.fixture
def hub(httpserver: HTTPServer, tmp_path):
    """``rows.from_hub`` against the local server, with a cache of its own."""
    for method in ("GET", "HEAD"):
        httpserver.expect_request(re.compile(".*"), method=method).respond_with_handler(answer)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": httpserver.url_for("").rstrip("/"),
    }
    return partial(from_hub, env=env)


def test_the_official_loader_brings_the_rows_from_a_hub(hub):
    first, second = load("verified", hub=hub)
    assert (first.id, second.id) == ("o__r-1", "o__r-2")
    assert first.problem == "It breaks.\u2028\nBadly."


def test_a_data_set_that_the_hub_lacks_is_told_in_one_line(hub):
    with pytest.raises(UsageError) as told:
        load("lite", hub=hub)
    assert "cannot load SWE-bench/SWE-bench_Lite from http://" in str(told.value)
    assert "doesn't exist on the Hub" in str(told.value)
    assert "--split FILE.parquet" in str(told.value)
    assert "\n" not in str(told.value)
