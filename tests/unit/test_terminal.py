"""Other people's text reaches a terminal as text: no escape, no title, no turned direction."""

from __future__ import annotations

import gzip
import io
import json
import os
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from swe_router.__main__ import main
from swe_router.cli.output import talk
from swe_router.reports.live_view import LiveView
from swe_router.terminal import Console, escaped_controls
from tests.doubles import earlier_runs

ORDERS = ("\x1b[31mred", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x07", "\x9b31m", "\x90q\x9c",
          "\u202egpj", "\u2066x", "\x08\x08", "a\x00b", "\x7f", "\ud800")  # fmt: skip
ACTING = [*map(chr, (*range(9), *range(11, 32), *range(0x7F, 0xA0))), "\u202e", "\u2066"]


def obeyed(text):
    return [one for one in text if one in ACTING]


@pytest.mark.parametrize("order", ORDERS)
def test_a_control_character_is_written_out(order):
    assert not obeyed(escaped_controls(f"a\tb\n{order}"))
    assert escaped_controls("a\tb\nä 漢 👍") == "a\tb\nä 漢 👍"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_a_console_shows_what_it_is_given_and_keeps_its_own_colours(order, terminal):
    to = io.StringIO()
    console = Console(file=to, force_terminal=terminal, width=80, markup=False, highlight=False)
    table = Table("name")
    table.add_row(f"x{order}")
    console.print(Text(f"y{order}", style="red"), table, f"z{order}")
    text = to.getvalue().replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert ("\x1b[31m" in to.getvalue()) == terminal
    assert not obeyed(text)


def test_the_live_view_and_the_talk_show_it_too(capsys):
    to = io.StringIO()
    with LiveView(1, Decimal(1), Console(file=to, width=80)) as view:
        view.say("\x1b[2Jgone")
        view.event("a__b-1", "local", 1, "\x1b]0;t\x07bash")
    talk("\x9b2J")
    assert not obeyed(to.getvalue() + capsys.readouterr().err)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_run_with_hostile_texts_is_shown_as_text(more, tmp_path, capsys):
    run = earlier_runs.unpacked("ray", tmp_path)
    (file,) = (run / "trajectories" / "demo__confet-7").glob("*.jsonl.gz")
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for row in rows:
        row["completion"]["message"]["content"] = "".join(ORDERS)
        for action in row["actions"]:
            action["observation"] = "".join(ORDERS)
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert main(["show", str(run), "demo__confet-7", "1-local", *more]) == 0
    said = capsys.readouterr().out
    assert not obeyed(said)
    assert "31mred" in said


def test_an_error_is_shown_as_text(capsys):
    assert main(["show", "\x1b[31mno\u202erun"]) == 2
    assert not obeyed(capsys.readouterr().err)


TALK = """
import sys
from swe_router.cli.output import talk
from swe_router.terminal import Console
talk("one")
Console(stderr=True).print("two")
talk("three")
print("the result")
"""


def test_work_goes_on_when_nobody_reads_its_log_any_more():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=gone, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"the result\n")


def shell(command, *more):
    words = shlex.join([sys.executable, "-m", "swe_router", *command])
    return subprocess.run(
        ["/bin/sh", "-c", f"{words} {' '.join(more)}"], capture_output=True, check=False
    )


IN_A_NOTEBOOK = """
import builtins, sys

class ZMQInteractiveShell: ...

builtins.get_ipython = ZMQInteractiveShell
from swe_router.terminal import Console
from rich import console
print(console.Console().is_jupyter, Console().is_jupyter, Console(quiet=True).is_jupyter)
"""


def test_in_a_notebook_what_is_drawn_as_text_is_no_output_of_the_cell():
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False", "False"]


def test_a_closed_stderr_sends_no_talk_to_stdout(tmp_path):
    done = shell(["show", "nothing", "--out", str(tmp_path)], "2>&-")
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_stdout_that_takes_nothing_is_one_line_and_no_traceback(tmp_path):
    done = shell(["policies", "cascade", "--json"], ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith(b"swe-router: no space left")
    assert done.stderr.count(b"\n") == 1


def test_without_a_command_the_help_is_printed_and_no_empty_line_of_error(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert "Usage: swe-router" in out
    assert err == ""
