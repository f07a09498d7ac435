"""What every Sandbox promises; the live tests run the same checks over Docker."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swe_router.sandboxes.local import LocalSandboxes, best_wall
from swe_router.settings import SandboxSettings
from tests.live.sandboxes import instance, repository

QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class SandboxContract:
    """Needs a fixture ``box`` with a work tree at /testbed, whose output cap is 2000 bytes."""

    def test_exit_code_and_merged_output(self, sandbox):
        result = sandbox.run("echo out; echo err >&2; exit 7", timeout=20)
        assert (result.exit_code, result.output) == (7, "out\nerr\n")
        assert not result.timed_out

    def test_a_missing_program_is_an_ordinary_result(self, sandbox):
        assert sandbox.run("no-such-program-here", timeout=20).exit_code == 127

    def test_a_missing_folder_is_an_ordinary_result(self, sandbox):
        result = sandbox.run("pwd", timeout=20, cwd="/no/such/folder")
        assert result.exit_code != 0
        assert "/no/such/folder" in result.output

    def test_starts_at_testbed_with_nothing_on_standard_input(self, sandbox):
        result = sandbox.run("cat; basename $(pwd)", timeout=20)
        assert result.exit_code == 0
        assert result.output.strip() in {"testbed", "tree"}

    def test_relative_paths_begin_at_the_work_folder(self, sandbox):
        sandbox.write("below/file", b"1")
        assert sandbox.read(f"{sandbox.workdir}/below/file") == sandbox.read("below/file") == b"1"
        assert sandbox.run("cat file", timeout=20, cwd="below").output == "1"
        assert (
            sandbox.run("pwd", timeout=20).output == sandbox.run("pwd", timeout=20, cwd=".").output
        )

    def test_exports_and_functions_do_not_survive(self, sandbox):
        sandbox.run("export LEAKED=yes; cd /; leak() { :; }", timeout=20)
        result = sandbox.run('echo "[$LEAKED]"; leak', timeout=20)
        assert result.output.startswith("[]\n")
        assert result.exit_code == 127

    def test_the_environment_of_a_command(self, sandbox):
        result = sandbox.run('echo "$LANG $TZ $GIT_CONFIG_KEY_0=$GIT_CONFIG_VALUE_0"', timeout=20)
        assert result.output == "C.UTF-8 UTC safe.directory=*\n"

    def test_a_timeout_kills_the_whole_tree(self, sandbox):
        began = time.monotonic()
        result = sandbox.run("setsid sleep 987 & (sleep 986 &) ; sleep 985", timeout=0.4)
        assert result.timed_out
        assert result.exit_code == 124
        assert time.monotonic() - began < 100, "it waited for the command's 985 seconds"
        assert sleeps(sandbox) == []

    def test_background_processes_end_with_their_command(self, sandbox):
        result = sandbox.run("sleep 984 & setsid sleep 983 & nohup sleep 982 & echo on", timeout=20)
        assert result.output.startswith("on")
        assert sleeps(sandbox) == []

    def test_a_command_that_itself_exits_124_has_not_timed_out(self, sandbox):
        result = sandbox.run("exit 124", timeout=20)
        assert (result.exit_code, result.timed_out) == (124, False)

    def test_output_is_bounded_and_the_missing_bytes_are_counted(self, sandbox):
        result = sandbox.run("echo first; head -c 3000000 /dev/zero; echo; echo last", timeout=60)
        assert result.output.startswith("first\n")
        assert result.output.endswith("last\n")
        assert result.dropped == 3_000_000 + len("first\n\nlast\n") - 2000
        assert f"{result.dropped} bytes left out" in result.output

    def test_printing_cannot_end_the_output_early(self, sandbox):
        fake = "0" * 32 + " 0 0 1"
        result = sandbox.run(f"echo {fake}; printf '\\n%s\\n' '{fake}'; exit 5", timeout=20)
        assert result.exit_code == 5
        assert result.output == f"{fake}\n\n{fake}\n"

    def test_bytes_that_are_no_text_become_replacement_characters(self, sandbox):
        result = sandbox.run("printf 'a\\377b'", timeout=20)
        assert result.output == "a\ufffdb"

    def test_any_text_but_nul_reaches_the_shell_unchanged(self, sandbox):
        text = "%s \\n \\\\ 'x' \"$y\" `z` \t é 😀 -e\n\nend\x01\x7f\x81"
        result = sandbox.run(f"cat <<'EOF'\n{text}\nEOF\n", timeout=20)
        assert result.output == text + "\n"
        with pytest.raises(ValueError, match="NUL"):
            sandbox.run("echo a\0b", timeout=20)

    def test_a_command_longer_than_the_kernel_takes(self, sandbox):
        result = sandbox.run(f"x={'y' * 300_000}; echo ${{#x}}; exit 3", timeout=20)
        assert (result.exit_code, result.output) == (3, "300000\n")

    @QUICK
    @given(data=st.binary(max_size=300))
    def test_files_round_trip_byte_for_byte(self, sandbox, data):
        sandbox.write("/testbed/deep/er/file.bin", data)
        assert sandbox.read("/testbed/deep/er/file.bin") == data

    def test_a_file_of_many_pieces_round_trips(self, sandbox):
        data = bytes(range(256)) * 300
        sandbox.write("/testbed/-odd name's", data)
        assert sandbox.read("/testbed/-odd name's") == data

    def test_reading_names_what_is_wrong(self, sandbox):
        with pytest.raises(FileNotFoundError):
            sandbox.read("/testbed/absent")
        with pytest.raises(IsADirectoryError):
            sandbox.read("/testbed")
        sandbox.write("/testbed/big", b"x" * 11)
        assert sandbox.read("/testbed/big", limit=11) == b"x" * 11
        with pytest.raises(ValueError, match="larger"):
            sandbox.read("/testbed/big", limit=10)

    def test_writing_keeps_the_mode_and_says_what_failed(self, sandbox):
        sandbox.write("/testbed/tool", b"#!/bin/sh\n")
        sandbox.run("chmod 755 tool", timeout=20)
        sandbox.write("/testbed/tool", b"#!/bin/sh\necho ran\n")
        assert sandbox.run("./tool", timeout=20).output == "ran\n"
        with pytest.raises(OSError, match="cannot write"):
            sandbox.write("/testbed/tool/below", b"")

    def test_a_command_may_close_its_output_or_kill_its_timer(self, sandbox):
        assert sandbox.run("exec >&- 2>&-; sleep 300", timeout=0.3).timed_out
        killed = sandbox.run("kill -9 $PPID; sleep 300", timeout=20)
        assert killed.exit_code != 0
        assert killed.output == ""
        assert sandbox.run("echo alive", timeout=20).output == "alive\n"

    def test_a_command_that_kills_all_it_can_loses_itself_and_nothing_else(self, sandbox):
        sandbox.write("/testbed/work", b"kept")
        for attack in ("kill -9 -1", "kill -9 1; kill -STOP 1", "kill -9 -1 & kill -TERM -1"):
            if "process" not in sandbox.identity:
                assert sandbox.run(f"{attack}; sleep 300", timeout=1.5).exit_code != 0
        assert sandbox.read("/testbed/work") == b"kept"


def sleeps(sandbox):
    """Numbers of the sleeps that still run in the sandbox."""
    code = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'sleep 9[0-9]*' | sort -u"
    return [line for line in sandbox.run(code, timeout=20).output.splitlines() if line != "sleep 9"]


@pytest.fixture(scope="module")
def sandboxes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract")
    bare, commit = repository(folder)
    made = LocalSandboxes(
        SandboxSettings(output_bytes=2000),
        start=lambda _: bare,
        run="contract",
        lock=folder / "lock",
        wall=best_wall(unsafe=True),
    )
    return made, instance(commit)


class TestLocal(SandboxContract):
    @pytest.fixture(scope="class")
    def sandbox(self, sandboxes):
        made, wanted = sandboxes
        with made.open(wanted) as sandbox:
            yield sandbox


def test_closing_twice_is_safe_and_a_closed_sandbox_is_lost(sandboxes):
    made, wanted = sandboxes
    with made.open(wanted) as sandbox:
        sandbox.close()
        sandbox.close()
        with pytest.raises(Exception, match="gone"):
            sandbox.run("true", timeout=5)
