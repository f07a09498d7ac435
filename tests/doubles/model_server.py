"""A program that is started as ``vllm serve``: health, models, chat, metrics, and ways to fail.

Variables of its environment: ``FAKE_START`` seconds until it listens; ``FAKE_FAIL`` text that it
writes before it ends with code 1; ``FAKE_DEAF`` ignores SIGTERM; ``FAKE_OPEN`` asks for no key;
``FAKE_SICK`` a file: while it exists, the health is bad; ``FAKE_BROKEN`` a file: while it exists, a
start ends at once; ``FAKE_FALLS`` a file: while it exists, a chat call removes it and the server
dies without an answer. ``FAKE_SHARED`` names shared
memory that it takes. ``/crash`` ends it. A child process stands for the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

METRICS = (
    'vllm:cache_config_info{block_size="128",kv_cache_max_concurrency="11.375",'
    'kv_cache_size_tokens="46592",num_gpu_blocks="364"} 1.0\n'
)


def program(folder: Path) -> Path:
    """An executable ``vllm`` in a folder."""
    path = folder / "vllm"
    path.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def weights(folder: Path, **changes: Any) -> Path:
    """A folder with the ``config.json`` of SmolLM2-135M and a file in the place of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "head_dim": 64,
        "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 8192,
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "tie_word_embeddings": True, "vocab_size": 49152,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(269_060_552)
    return folder


class Handler(BaseHTTPRequestHandler):
    """As much of vLLM as ``serve`` asks."""

    names: tuple[str, ...] = ()
    window = 0
    open_to_all = "FAKE_OPEN" in os.environ

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def _reply(self, status: int, value: Any) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _allowed(self) -> bool:
        key = os.environ.get("VLLM_API_KEY", "")
        asked = self.headers.get("authorization", "")
        if self.open_to_all or not key or asked == f"Bearer {key}":
            return True
        self._reply(401, {"error": "Unauthorized"})
        return False

    def do_GET(self) -> None:
        """Health, models, metrics, and the end of it all."""
        if self.path == "/health":
            sick = Path(os.environ.get("FAKE_SICK", "/nowhere")).exists()
            self._reply(503 if sick else 200, "")
        elif self.path == "/crash":
            os._exit(17)
        elif self.path == "/metrics":
            self._reply(200, METRICS)
        elif self.path == "/v1/models" and self._allowed():
            rows = [{"id": name, "max_model_len": self.window} for name in self.names]
            self._reply(200, {"object": "list", "data": rows})

    def do_POST(self) -> None:
        """A chat answer of as many tokens as were asked for."""
        if not self._allowed():
            return
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tokens = asked.get("max_tokens", 1)
        falls = Path(os.environ.get("FAKE_FALLS", "/nowhere"))
        if falls.exists():
            falls.unlink()
            os._exit(18)
        message = {"role": "assistant", "content": "1 2 3"}
        self._reply(200, {
            "id": "c", "object": "chat.completion", "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens},
        })  # fmt: skip


def main() -> None:
    """Be ``vllm serve MODEL ...``."""
    words = argparse.ArgumentParser()
    words.add_argument("command")
    words.add_argument("model")
    words.add_argument("--served-model-name", nargs="+", default=[])
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--port", type=int)
    words.add_argument("--max-model-len", type=int)
    given, _ = words.parse_known_args()
    if "FAKE_DEAF" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if Path(os.environ.get("FAKE_BROKEN", "/nowhere")).exists():
        sys.exit("RuntimeError: broken")
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "engine"])
    if name := os.environ.get("FAKE_SHARED"):
        shared_memory.SharedMemory(name, create=True, size=4096)
    handle, _path = tempfile.mkstemp()
    os.close(handle)
    print("INFO starting", flush=True)
    if text := os.environ.get("FAKE_FAIL"):
        print(text, flush=True)
        sys.exit(1)
    time.sleep(float(os.environ.get("FAKE_START", "0")))
    Handler.names, Handler.window = tuple(given.served_model_name), given.max_model_len
    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
