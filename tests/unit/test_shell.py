"""Shell text is read as Bash reads it, also where its grammar is known to slip."""

from __future__ import annotations

import pytest

from swe_router.sandboxes.leak_audit import audit_trajectory
from swe_router.shell import all_commands, commands, program
from tests.unit.test_audit import instance, steps


def words(script: str) -> list[list[str]]:
    return [one.words for one in commands(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("if python x.py; then y; fi", [["python", "x.py"], ["y"]]),
        ("for f in a b; do c $f; done", [["for", "f", "in", "a", "b"], ["c", "$f"]]),
        ("f() { git fetch; }\nf", [["git", "fetch"], ["f"]]),
        ("case x in a) b;; *) c;; esac", [["b"], ["c"]]),
        ("[ -f .git/x ] && [[ ! -d y || -e z ]]",
         [["[", "-f", ".git/x", "]"], ["[[", "!", "-d", "y", "||", "-e", "z", "]]"]]),
        ("export A=b C='d e'", [["export", "A=b", "C=d e"]]),
        ("A=1 say \\ a 2#b '' \"c  \" # no", [["A=1", "say", " a", "2#b", "", "c  "]]),
        ("cat < in arg > out more", [["cat", "arg", "more"]]),
        ("echo a\\\n b", [["echo", "a", "b"]]),
        ("(cd x; a) | b & c", [["cd", "x"], ["a"], ["b"], ["c"]]),
    ],
)  # fmt: skip
def test_commands_in_every_compound_are_seen(script, expected):
    assert words(script) == expected


def test_a_redirection_belongs_to_the_last_command_of_a_list_or_pipeline():
    last = commands("a && b | c > f 2>> g &> h")[-1]
    assert (last.words, last.writes, last.piped) == (["c"], [("f", False), ("h", False)], True)


def test_a_compound_that_writes_is_a_write_of_unknown_text():
    found = commands("{ a; b; } > f")
    assert [(one.words, one.writes) for one in found] == [
        (["a"], []), (["b"], []), ([], [("f", False)])
    ]  # fmt: skip


def test_here_documents_nest_follow_each_other_and_may_lack_their_end():
    script = (
        "git commit -m \"$(cat <<'E'\nit's\nE\n)\" && cat <<A <<-B >f\n"
        "one\nA\n\ttwo $x\n\tB\ncat <<C\n"
    )
    found = list(all_commands(script))
    assert [one.words[0] for one in found] == ["git", "cat", "cat", "cat"]
    assert found[0].words[-1].startswith("$(cat <<'E'"), "an expansion stays as it stands"
    assert [one.document for one in found[1:]] == ["it's\n", None, ""]
    assert found[2].body == "two $x\n"


def test_a_document_begins_behind_the_quoted_text_of_its_line():
    first, second = commands('cat <<E; echo "a\nb"\nc\nE\n')
    assert (first.document, second.words) == ("c\n", ["echo", "a\nb"])


def test_a_shift_is_no_here_document():
    assert words("echo $((1 << 2)) '<<E'\nls") == [["echo", "$((1 << 2))", "<<E"], ["ls"]]


def test_a_dollar_before_a_closing_quote_is_no_expansion():
    assert commands('grep ":$"')[0].known
    assert not commands('grep "$x"')[0].known
    assert not commands("grep $'a'")[0].known


@pytest.mark.parametrize(
    "script",
    [
        "(" * 5000, "[[ " + "! " * 5000 + "a ]]", "$(" * 3000, "a=(" * 1000 + ")" * 1000,
        "if a; then " * 300, "cat <<A\n" * 300, "eval " * 300, "`" * 999,
    ],
)  # fmt: skip
def test_deep_nesting_is_no_error(script):
    assert isinstance(list(all_commands(script)), list)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("timeout -s KILL 5 env -u A B=c python x", ("python", "x")),
        ("nice -n 5 git log", ("git", "log")),
        ("find . | xargs -n 1 grep x", ("find", ".")),
        ("sudo -u me A=b", ()),
    ],
)
def test_the_program_behind_its_wrappers(line, expected):
    assert program(commands(line)[0].words).words == expected


def test_what_xargs_runs_is_known_as_such():
    assert program(["xargs", "-n", "1", "python", "x.py"]).wrappers == {"xargs"}


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("bash -lc 'git fetch'", ["net"]),
        ("bash <<'E'\ngit fetch\nE", ["net"]),
        ("cat <<'E' | bash\ngit fetch\nE", ["net"]),
        ("eval git fetch", ["net"]),
        ("nice -n 5 git fetch", ["net"]),
        ("while git fetch; do :; done < .git/packed-refs", ["net"]),
        ("python - < x <<'E'\nprint(1)\nE\ncat <<'F' > y\nos.system('git fetch')\nF", []),
        ("cat < .git/packed-refs", ["history"]),
    ],
)
def test_the_audit_sees_what_a_shell_would_run(script, kinds):
    assert [one.kind for one in audit_trajectory(steps(script), instance())] == kinds


def test_a_finding_quotes_the_command_without_its_redirections():
    (found,) = audit_trajectory(steps("git fetch --all > out 2>&1"), instance())
    assert found.detail == "step 0: git fetch --all"
