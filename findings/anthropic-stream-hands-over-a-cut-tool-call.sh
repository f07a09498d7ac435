#!/usr/bin/env bash
# anthropic 2.14.0: a tool call that max_tokens cut in a stream comes out as a shorter valid call.
#
# Input: a stream as the Messages API sends it, cut by max_tokens inside the second argument of a
#        tool call: {"path": "a.py", "line": 12, "text": "def f(
# Expected: an error, or something that tells the call from a whole one: its JSON never ended.
# Seen: get_final_message() gives input {"path": "a.py", "line": 12}. The half argument is gone, the
#       raw text too. Nothing but stop_reason says so; cut in the first argument, input is {}.
source "$(dirname "$0")/common.bash"
packages anthropic==2.14.0
seen <<'PY'
import http.server
import json
import threading

import anthropic

CALL = '{"path": "a.py", "line": 12, "text": "def f('
EVENTS = [
    {"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {
        "type": "tool_use", "id": "toolu_1", "name": "edit", "input": {}}},
    {"type": "content_block_delta", "index": 0, "delta": {
        "type": "input_json_delta", "partial_json": CALL}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
     "usage": {"output_tokens": 16}},
    {"type": "message_stop"},
]


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in EVENTS).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *parts):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(
    api_key="none", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0
)
tools = [{"name": "edit", "input_schema": {
    "type": "object", "required": ["path", "line", "text"], "properties": {
        "path": {"type": "string"}, "line": {"type": "integer"}, "text": {"type": "string"}}}}]
with client.messages.stream(
    model="m", max_tokens=16, messages=[{"role": "user", "content": "go on"}], tools=tools
) as stream:
    message = stream.get_final_message()
server.shutdown()
(call,) = message.content
print("anthropic", anthropic.__version__, message.stop_reason, call.type, call.input)
assert message.stop_reason == "max_tokens"
assert call.input == {"path": "a.py", "line": 12}, "changed: a cut call is distinguished"
PY
