"""README.md and ``--help`` are executed: what they tell a user to type works as it stands."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
import time

import pytest
import typer

from swe_router.__main__ import main
from swe_router.cli.app import app
from tests.doubles import readme, world
from tests.doubles.written import compare

README = (readme.ROOT / "README.md").read_text("utf-8")
FOUND = {"README.md": readme.of_readme(README), "--help": readme.of_help()}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder, and the user in it."""
    monkeypatch.chdir(world.make(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def run(words):
    """(exit code, stdout, stderr) of a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _script(words) if words[0] == "python" else main(words[1:])
    return code, out.getvalue(), err.getvalue()


def _script(words):
    before = sys.argv
    sys.argv = words[1:]
    try:
        runpy.run_path(words[1], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def test_every_command_that_needs_no_service_runs_as_it_is_written(home, monkeypatch):
    known: set[str] = set()
    for source, found in FOUND.items():
        print(readme.table(found))
        every_one_runs(source, found, home, monkeypatch, known)


def every_one_runs(source, found, home, monkeypatch, known):
    """``known`` are commands that ran before, in the same words: they are not run again."""
    ran, failed = [], []
    for one in found:
        words = readme.filled(one.words)
        if one.tier not in (readme.HERE, readme.BOX):
            continue
        if one.tier == readme.BOX and not one.trimmed:
            continue
        ran.append(one)
        if words[0] == "export":
            for name, _, value in (word.partition("=") for word in words[1:]):
                monkeypatch.setenv(name, value)
            continue
        if one.text in known:
            continue
        known.add(one.text)
        before = time.process_time()
        failed += tried(one, [*words, *one.trimmed], home)
        print(f"{time.process_time() - before:6.2f} s  {one.text}")
    whole = [one for one in found if one.tier == readme.BOX]
    never = [one for one in found if one.tier not in (readme.HERE, readme.BOX)]
    short = sum(bool(one.trimmed) for one in whole)
    print(
        f"{source}: {len(found)} commands found: {len(ran) - short} run here, {len(whole)} in"
        f" tests/live/test_readme_docker.py ({short} of them here too, shortened), and"
        f" {len(never)} by {', '.join(sorted({one.tier for one in never})) or 'nobody'}"
    )
    assert not failed, "\n".join(failed)
    assert len(ran) - short + len(whole) + len(never) == len(found) > 8
    assert {one.words[0] for one in ran} <= {"swe-router", "python", "export"}


def tried(one, words, home):
    """What is amiss with a command: its exit code, its silence, or its files against --json."""
    code, out, err = run(words)
    if code and "doctor" not in words:
        return [f"{one.place}: {one.text}: exit {code}: {err.strip()[-300:]}"]
    if not out.strip():
        return [f"{one.place}: {one.text}: said nothing"]
    if "--dry-run" in words and "\nNO: " in out:
        return [f"{one.place}: {one.text}: the demo lacks something: {out[-300:]}"]
    return compare(one, words, home, run, code) if "--help" not in words else []


def test_a_command_that_cannot_run_here_is_in_the_file_that_is_said_to_run_it():
    for head, (file, words) in readme.ELSEWHERE.items():
        assert re.search(re.escape(words) if "|" not in words else words,
                         (readme.ROOT / file).read_text("utf-8")), head  # fmt: skip
    used = [one.text for found in FOUND.values() for one in found]
    heads = [*readme.ELSEWHERE, *readme.TRIMMED, *readme.NEEDS_BOX]
    idle = [head for head in heads if not any(text.startswith(head) for text in used)]
    assert set(idle) <= {"apt install bubblewrap"}, "said of commands that nobody is told to type"


@pytest.mark.parametrize("word", ["NOBODY", "x=NOBODY", "http://NOBODY:1/v1", "KEY=…", "<name>"])
def test_a_placeholder_that_nobody_explained_is_an_error(word):
    with pytest.raises(LookupError, match="placeholder"):
        readme.filled(["swe-router", word])


def test_words_that_only_look_like_placeholders_are_left_alone():
    words = ["DeepSeek-Coder-V2-Lite", "demo__confet-14", "--set", "a.b=V2.x"]
    assert readme.filled(words) == words


def test_every_option_that_the_readme_names_is_an_option_of_some_command():
    known = {flag for _, command in readme._commands(typer.main.get_command(app), "")
             for parameter in command.params for flag in (*parameter.opts,
                                                          *parameter.secondary_opts)}  # fmt: skip
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    foreign = {"--trust-remote-code", "--served-model-name", "--port", "--enable-prefix-caching",
               "--labels", "--help"}  # fmt: skip
    assert named - known - foreign == set()
