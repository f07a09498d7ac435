"""Somebody outside is told the end and 80% of the money, and his faults break nothing."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from swe_router.__main__ import main
from swe_router.commands.run.notifier import Notifier
from swe_router.errors import DiskFull, UsageError
from tests.doubles import earlier_runs

D = Decimal
FACTS = {"run": "r", "resolved": 3, "usd": 0.5, "ended": "budget", "by_tier": {"local": 1}}


@pytest.fixture
def server():
    got, status = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *args): ...

    made = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}/secret-path", got, status
    made.shutdown()
    made.server_close()


def test_a_url_is_posted_the_end_and_the_spending_once_a_cap(server):
    url, got, _ = server
    told = Notifier(url, print)
    for spent, cap in (("0.79", "1"), ("0.8", "1"), ("0.9", "1"), ("0.9", "2"), ("1.7", "2")):
        told.notify_spending("r", D(spent), D(cap))
    told.notify_end(FACTS, 3)
    assert sorted((row["usd"], row["budget"]) for row in got[:2]) == [(0.8, 1.0), (1.7, 2.0)]
    assert got[2] == {"event": "end", "run": "r", "resolved": 3, "usd": 0.5, "ended": "budget",
                      "code": 3}  # fmt: skip
    assert len(got) == 3


def test_a_command_has_it_on_its_standard_input_and_its_words_go_nowhere(tmp_path, capfd):
    Notifier(f"cat >{tmp_path / 'told'}; echo noise; echo noise >&2", print).notify_end(FACTS, 0)
    assert json.loads((tmp_path / "told").read_text())["event"] == "end"
    assert "noise" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("hook", ["exit 3", "no-such-command", "http://127.0.0.1:9/secret-path",
                                  "'unclosed"])  # fmt: skip
def test_a_hook_that_fails_is_said_and_breaks_nothing(hook):
    said = []
    Notifier(hook, said.append).notify_end(FACTS, 0)
    [line] = said
    assert "did not take it" in line
    assert "secret" not in line, "a path of a webhook is a key"


def test_a_refusal_of_the_url_is_a_failure_too(server):
    url, _, status = server
    status[0], said = 500, []
    Notifier(url, said.append).notify_end(FACTS, 0)
    assert said == ["--notify 127.0.0.1 did not take it: HTTPError"]


def test_no_hook_does_nothing_and_the_environment_may_name_one(tmp_path):
    Notifier(None, pytest.fail, {}).notify_end(FACTS, 0)
    hook = {"SWE_ROUTER_NOTIFY": f"cat >{tmp_path / 'told'}"}
    Notifier(None, pytest.fail, hook).notify_end(FACTS, 0)
    assert (tmp_path / "told").exists()


@pytest.mark.parametrize("hook", ["ftp://host/x", "http://", "https:///key", "slack://T0/key"])
def test_a_url_that_nothing_can_be_sent_to_is_refused_beforehand_without_its_key(hook):
    with pytest.raises(UsageError, match="--notify") as refused:
        Notifier(hook, pytest.fail, {})
    assert "key" not in str(refused.value)
    Notifier("curl -d @- https://host/x", pytest.fail, {})  # a command may hold a URL


def test_an_empty_hook_is_none_whatever_the_environment_says():
    Notifier("", pytest.fail, {"SWE_ROUTER_NOTIFY": "exit 3"}).notify_end(FACTS, 0)


def test_a_launch_that_breaks_is_told_by_the_kind_of_its_error_alone(server):
    url, got, _ = server
    with pytest.raises(DiskFull), Notifier(url, pytest.fail).notifying_faults("r"):
        raise DiskFull("no space left to write /secret/place")
    assert got == [{"event": "end", "run": "r", "error": "DiskFull"}]


def test_a_resume_that_finds_nothing_to_do_has_ended_too(tmp_path, capsys):
    run = earlier_runs.unpacked("ray", tmp_path / "in")
    code = main(["resume", str(run), "--notify", f"cat >{tmp_path / 'told'}"])
    assert "nothing is owed" in capsys.readouterr().err
    told = json.loads((tmp_path / "told").read_text())
    assert (told["event"], told["code"], told["run"]) == ("end", code, run.name)
