#!/usr/bin/env bash
# litellm 1.108.7: its proxy answers a wrong key with HTTP 400, "No connected db.".
#
# Input: the proxy with a master key and no database, as its quick start sets it up; a chat request
#        with another key.
# Expected: HTTP 401, as OpenAI, whose API it speaks, says of a wrong key.
# Seen: HTTP 400, type no_db_connection, message "No connected db.": to a client that goes by the
#       status the conversation is at fault, and to a reader the proxy.
source "$(dirname "$0")/common.bash"
packages 'litellm[proxy]==1.108.7'
seen <<'PY'
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
folder = pathlib.Path.cwd()
(folder / "config.yaml").write_text("""
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_base: "http://127.0.0.1:9/v1", api_key: none}}
general_settings: {master_key: sk-the-right-one}
""")
log = (folder / "log").open("w")
proxy = subprocess.Popen(
    [pathlib.Path(sys.executable).parent / "litellm", "--config", folder / "config.yaml",
     "--host", "127.0.0.1", "--port", str(port)],
    stdout=log, stderr=log, env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
home = f"http://127.0.0.1:{port}"


def answer(headers):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    asked = urllib.request.Request(
        f"{home}/v1/chat/completions", body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


try:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{home}/health/liveliness", timeout=2)
            break
        except OSError:
            assert proxy.poll() is None, (folder / "log").read_text()[-2000:]
            time.sleep(1)
    wrong = answer({"authorization": "Bearer sk-another"})
finally:
    proxy.terminate()
    proxy.wait(30)
print("litellm", version("litellm"))
print("wrong key:", wrong[0], wrong[1]["type"], wrong[1]["message"])
assert (wrong[0], wrong[1]["type"]) == (400, "no_db_connection"), "changed: it is refused as a key"
PY
