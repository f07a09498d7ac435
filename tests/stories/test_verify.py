"""What a user does with ``verify``: patches of others, judged without a model or a label."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from swe_router import assets, settings
from swe_router.commands.result import CommandResult
from swe_router.commands.verify import verify_candidates as verifying
from swe_router.errors import Lost
from tests.doubles.engine import FakeSandbox
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.verifying import ONE, TWO, rows, sample_entries, verify


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    return sample_entries()


def test_a_planted_label_changes_not_one_byte(tmp_path, capsys, entries):
    told = []
    for lie in ({}, {"resolved": True}, {"resolved": 0, "existing_tests_broken": 9, "cost": 1}):
        assert verify(tmp_path, [{**one, **lie} for one in entries], "--json") == 0
        told.append(json.dumps(rows(capsys)))
    assert told[0] == told[1] == told[2]


def test_a_call_that_was_cut_off_goes_on_and_a_changed_patch_is_looked_at_again(
    tmp_path, capsys, entries
):
    out = tmp_path / "rows.jsonl"
    more = ("--json", "--out", str(out))
    assert verify(tmp_path, entries, *more, "--instances", ONE) == 0
    assert "2 candidates of 1 instances to verify" in capsys.readouterr().err
    with out.open("a") as file:
        file.write('{"instance_id": "demo__confet-19", "candi')  # killed in the middle of a line
    assert verify(tmp_path, entries, *more, "--workers", "2") == 0
    said = capsys.readouterr()
    assert "1 instances are done already" in said.err
    assert [row["instance_id"] for row in json.loads(said.out)] == [ONE, ONE, TWO, TWO]
    assert len(out.read_text().splitlines()) == 4
    changed = [{**entries[0], "model_patch": ""}, *entries[1:]]
    assert verify(tmp_path, changed, *more) == 0
    said = capsys.readouterr()
    assert "2 candidates of 1 instances to verify" in said.err
    assert [row["outcome"] for row in json.loads(said.out)] == ["fail", "pass", "pass", "pass"]
    assert verify(tmp_path, changed, *more, "--seconds", "77") == 0
    assert "4 candidates of 2 instances to verify" in capsys.readouterr().err, "other settings"


def test_rows_of_another_author_are_made_again(tmp_path, capsys, entries):
    out = str(tmp_path / "rows.jsonl")
    assert verify(tmp_path, entries[:1], "--json", "--out", out) == 0
    capsys.readouterr()
    other = [{**entries[0], "model_name_or_path": "another model"}]
    assert verify(tmp_path, other, "--json", "--out", out) == 0
    assert [row["model_name_or_path"] for row in rows(capsys)] == ["another model"]


def test_the_same_edit_is_looked_at_once_and_says_whose_it_is(tmp_path, capsys, entries):
    again = {**entries[1], "candidate": "twin", "model_patch": entries[1]["model_patch"] + "\n"}
    assert verify(tmp_path, [entries[1], again], "--json") == 0
    first, twin = rows(capsys)
    assert (first["same_as"], twin["same_as"]) == ("", first["candidate"])
    assert twin["outcome"] == first["outcome"] == "pass"


def test_people_get_a_table_and_a_count(tmp_path, capsys, entries):
    assert verify(tmp_path, [{**entries[0], "model_patch": ""}, entries[1]]) == 0
    said = capsys.readouterr().out
    assert "applies: the patch is empty" in said
    assert "2 candidates: 1 pass, 1 fail, 0 unknown" in said


def test_what_reads_like_markup_is_shown_as_it_stands_and_json_holds_what_stdout_cannot(
    tmp_path, capsys, entries
):
    odd = {**entries[1], "candidate": "[/bold] :smile:"}
    assert verify(tmp_path, [odd]) == 0
    assert "[/bold] :smile:" in capsys.readouterr().out
    entry = {**entries[1], "model_name_or_path": "caf\udce9"}
    assert verify(tmp_path, [entry], "--json") == 0
    (row,) = rows(capsys)
    assert row["model_name_or_path"] == "caf\udce9"


def test_rows_are_made_anew_when_the_calibration_of_that_name_was_fitted_anew(
    tmp_path, capsys, entries
):
    fitted = tmp_path / "mine.json"
    shipped = (assets.assets_root() / "eval" / "acceptance.json").read_text()
    out = tmp_path / "rows.jsonl"
    more = ("--json", "--out", str(out), "--set", f"verify.calibration={fitted}")
    for text, owed in ((shipped, 1), (shipped, 0), (shipped.replace('"judge": null',
                       '"judge": [0.0, 0.5]'), 1)):  # fmt: skip
        fitted.write_text(text)
        assert verify(tmp_path, [entries[1]], *more) == 0
        assert f"{owed} candidates of" in capsys.readouterr().err


def test_a_row_of_another_form_in_the_file_is_one_line(tmp_path, capsys, entries):
    out = tmp_path / "rows.jsonl"
    for damage in ({"instance_id": 5, "verdicts": []}, {"instance_id": ONE, "verdicts": 7},
                   {"instance_id": ONE, "verdicts": [{}]}):  # fmt: skip
        out.write_text(json.dumps(damage) + "\n")
        assert verify(tmp_path, entries, "--out", str(out)) == 2
        assert "something else than rows of verify" in capsys.readouterr().err


SLIPS = {
    "another split": (lambda one: {**one, "instance_id": "x__y-1"}, (), "no instance 'x__y-1'"),
    "twice": (lambda one: {**one, "candidate": "c"}, (), "is there twice"),
    "no verifier": (dict, ("--names", "repo-test"), "did you mean 'repo-tests'"),
    "no tier": (dict, ("--model", "clod", "--budget", "1"), "did you mean 'cloud'"),
    "no budget": (dict, ("--model", "cloud"), "--budget USD"),
    "no folder": (dict, ("--trajectories", "/dev/null/x"), "there is no such folder"),
    "no candidates": (dict, ("--filter", "gridtext"), "is left after --filter gridtext"),
    "no place": (dict, ("--out", "/dev/null/rows.jsonl"), "--out /dev/null/rows.jsonl"),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_is_one_line_and_exit_2(tmp_path, capsys, entries, what):
    change, words, said = SLIPS[what]
    mine = [change(one) for one in entries if one["instance_id"] == ONE]
    assert verify(tmp_path, mine, *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[-1]
    assert lines[-1].startswith("swe-router: ")


def test_an_answer_that_is_no_diff_fails_and_the_others_are_verified(tmp_path, capsys, entries):
    mine = [one for one in entries if one["instance_id"] == ONE]
    assert verify(tmp_path, [{**mine[0], "model_patch": "I fixed it."}, mine[1]], "--json") == 0
    bad, good = rows(capsys)
    assert [bad["outcome"], good["outcome"]] == ["fail", "pass"]
    assert "does not apply" in bad["verdicts"][0]["evidence"]["why"]


def test_a_file_of_something_else_is_not_written_to(tmp_path, capsys, entries):
    out = tmp_path / "notes.jsonl"
    out.write_text('{"my": "notes"}\n')
    assert verify(tmp_path, entries, "--out", str(out)) == 2
    assert "something else than rows of verify" in capsys.readouterr().err
    assert out.read_text() == '{"my": "notes"}\n'


class Sandboxes:
    """A factory of sandboxes in which ``what`` happens."""

    def __init__(self, what, sandbox=None):
        self.what, self.sandbox = what, sandbox or FakeSandbox()

    @contextmanager
    def open(self, instance):
        self.what()
        yield self.sandbox


def looked(tmp_path, entries, what, said, sandbox=None) -> CommandResult:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(entries))
    resolved = settings.load("demo", verify__names=["applies"], verify__writer="")
    wish = verifying.VerifyRequest(
        predictions_file=file,
        output_file=tmp_path / "rows.jsonl",
        sandbox_factory=Sandboxes(what, sandbox),
    )
    return verifying.verify_candidates(resolved, wish, said.append)


def raises(error):
    def act():
        raise error

    return act


def test_a_broken_sandbox_is_unknown_with_the_reason_and_is_tried_again(tmp_path, entries):
    said: list[str] = []
    shown = looked(tmp_path, entries[:1], raises(Lost("container killed")), said)
    (row,) = shown.facts
    assert (shown.exit_code, row["outcome"]) == (0, "unknown")
    assert row["why"] == "applies could not look: Lost: container killed"
    assert (
        looked(tmp_path, entries[:1], raises(Lost("again")), said)
        .facts[0]["why"]
        .endswith("Lost: again")
    )


def test_a_fault_of_ours_costs_one_row_and_is_said(tmp_path, entries):
    said: list[str] = []
    shown = looked(tmp_path, entries[:1], raises(ZeroDivisionError("oops")), said)
    (row,) = shown.facts
    assert (shown.exit_code, row["outcome"]) == (1, "unknown")
    assert "ZeroDivisionError: oops" in row["why"]
    assert any("a fault of swe-router's own" in line for line in said)


def test_a_stop_ends_with_130_keeps_no_half_verdict_and_leaves_nothing(tmp_path, entries):
    def here():
        return {path.name for path in Path(tempfile.gettempdir()).glob("swe-router-box-*")
                if (path / "ledger.jsonl").exists()}  # fmt: skip

    before, said = here(), []

    def stop():
        os.kill(os.getpid(), signal.SIGINT)
        while not said or "again: at once" not in said[-1]:
            time.sleep(0.01)  # the main thread is on its way to the handler

    shown = looked(tmp_path, entries, stop, said)
    assert (shown.exit_code, shown.facts) == (130, [])
    assert not (tmp_path / "rows.jsonl").exists()
    assert any("again: at once" in line for line in said)
    assert here() <= before


def test_a_patch_that_was_stripped_is_judged_with_a_word_on_what_was_mended(
    tmp_path, capsys, entries
):
    whole = entries[1]
    bare = {**whole, "candidate": "stripped", "model_patch": whole["model_patch"].rstrip("\n")}
    for order in ([whole, bare], [bare, whole]):
        assert verify(tmp_path, order, "--json") == 0
        said = capsys.readouterr()
        assert "1 patches were stripped of their last line end" in said.err
        told = {row["candidate"]: row["verdicts"][0]["evidence"] for row in json.loads(said.out)}
        assert told["stripped"]["mended"] == "its last line was ended"
        assert "refused when graded" in told["stripped"]["why"]
        assert "mended" not in told[whole["candidate"]]
        assert "cleanly" in told[whole["candidate"]]["why"]


class Killed(BaseException):
    """The end of a process, as far as an exception can be one."""


def test_a_kill_keeps_the_candidates_that_were_looked_at_and_they_are_not_looked_at_again(
    tmp_path, entries
):
    texts = [entries[1]["model_patch"].replace("+", f"+#{n}\n+", 1) for n in range(4)]
    four = [{**entries[1], "candidate": f"c{n}", "model_patch": text}
            for n, text in enumerate(texts)]  # fmt: skip
    opened, said = [], []

    def dies():
        opened.append(1)
        if len(opened) > 3:
            raise Killed

    sandbox = PlainSandbox(tmp_path / "box")
    sandbox.must(
        "git init -q && git -c user.name=p -c user.email=p@x commit -qm base --allow-empty"
    )
    with pytest.raises(Killed):
        looked(tmp_path, four, dies, said, sandbox)
    out = tmp_path / "rows.jsonl"
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(kept) == 3
    assert all(row["unfinished"] and row["verdicts"] for row in kept)
    opened.clear()
    shown = looked(tmp_path, four, lambda: opened.append(1), said, sandbox)
    assert len(opened) == 1, "the one that the kill took"
    assert "3 candidates were looked at already" in " ".join(said)
    assert "1 candidates of 1 instances to verify" in said
    assert [row["candidate"] for row in shown.facts] == ["c0", "c1", "c2", "c3"]
    rows_ = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows_) == 4
    assert not any("unfinished" in row for row in rows_)


def test_the_closing_line_says_how_long_it_took_and_not_what_side_by_side_adds_up_to(
    tmp_path, entries
):
    four = [{**entries[1], "candidate": f"c{n}", "model_patch": entries[1]["model_patch"].replace(
        "+", f"+#{n}\n+", 1)} for n in range(4)]  # fmt: skip
    said: list[str] = []
    begun = time.monotonic()
    shown = looked(tmp_path, four, lambda: time.sleep(0.8), said)
    took = time.monotonic() - begun
    (line,) = [one for one in said if one.startswith("[1/1]")]
    told = float(line.partition(" in ")[2].partition(" s")[0])
    assert told <= took + 0.6
    assert sum(row["seconds"] for row in shown.facts) >= 4 * 0.7
