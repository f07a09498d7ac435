#!/usr/bin/env bash
# GitPython 3.2.1: the text that Repo.git.diff() gives cannot be applied again.
#
# Input: a repository with one changed file.
# Expected: what `git diff` prints; `git apply` takes it.
# Seen: the last newline is gone (the output of every command is stripped of it by default), and git
#       says "corrupt patch". strip_newline_in_stdout=False keeps it. A patch of a benchmark run that
#       was taken this way is counted as one that does not apply.
source "$(dirname "$0")/common.bash"
packages GitPython==3.2.1
seen <<'PY'
import subprocess
from pathlib import Path

import git

repo = git.Repo.init("work")
file = Path("work/a.py")
file.write_text("one\ntwo\n")
repo.index.add(["a.py"])
repo.index.commit("first")
file.write_text("one\nthree\n")
bare, whole = repo.git.diff(), repo.git.diff(strip_newline_in_stdout=False)
file.write_text("one\ntwo\n")


def applied(text):
    Path("p.diff").write_text(text)
    return subprocess.run(
        ["git", "apply", "--check", "../p.diff"], cwd="work", capture_output=True, text=True
    )


print("GitPython", git.__version__, repr(bare[-8:]), applied(bare).stderr.strip())
assert applied(whole).returncode == 0
assert bare == whole[:-1]
assert "corrupt patch" in applied(bare).stderr, "changed: the diff can be applied"
PY
