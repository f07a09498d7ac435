"""A run folder whose files do not belong together, or cannot be read: one sentence and exit 2."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest

from swe_router import __version__, jsonl
from swe_router.__main__ import main
from swe_router.integrity import consistency
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Verdict, digest_of
from tests.doubles import earlier_runs

ONE = "demo__confet-7"
READERS = ("show", "replay", "report", "export", "leaderboard", "grade", "resume")


@pytest.fixture
def run(tmp_path):
    return earlier_runs.unpacked("ray", tmp_path / "in")


def command(name, run, tmp_path):
    out = str(tmp_path / "out")
    more = ["--format", "experiments", "--out", out] if name == "export" else []
    return [name, str(run), *more]


def settings(run, change, *, sealed=True):
    file = run / "settings.json"
    tree = json.loads(file.read_text("utf-8"))
    seal = tree.pop("seal", "")
    change(tree)
    file.write_text(json.dumps({**tree, "seal": digest_of(tree) if sealed else seal}), "utf-8")


def refused(name, run, tmp_path, capsys):
    assert main(command(name, run, tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.startswith("swe-router: ")
    assert said.count("\n") == 1, "one sentence"
    return said


@pytest.mark.parametrize("name", READERS)
def test_a_ledger_that_is_gone_is_missed_by_every_command(name, run, tmp_path, capsys):
    (run / "ledger.jsonl").unlink()
    assert "ledger.jsonl is missing" in refused(name, run, tmp_path, capsys)
    assert not (run / "ledger.jsonl").exists(), "none is begun in its place"


@pytest.mark.parametrize("how", ["empty", "cut", "opening only", "another run's"])
@pytest.mark.parametrize("name", ["show", "replay", "report", "resume"])
def test_a_ledger_that_holds_less_than_the_records_is_refused(how, name, run, tmp_path, capsys):
    file = run / "ledger.jsonl"
    rows = file.read_text("utf-8").splitlines(keepends=True)
    kept = {"empty": [], "opening only": rows[:1], "cut": rows[: len(rows) // 2]}.get(how)
    if kept is None:
        other = earlier_runs.unpacked("killed", tmp_path / "other")
        kept = (other / "ledger.jsonl").read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(kept), "utf-8")
    assert "ledger.jsonl was cut, or is another run's" in refused(name, run, tmp_path, capsys)


def test_a_killed_run_without_its_ledger_is_not_gone_on_with(tmp_path, capsys):
    run = earlier_runs.unpacked("killed", tmp_path / "in")
    (run / "records.jsonl").unlink(missing_ok=True)  # only the steps still know of money
    (run / "ledger.jsonl").unlink()
    assert "ledger.jsonl is missing" in refused("resume", run, tmp_path, capsys)


@pytest.mark.parametrize("name", earlier_runs.NAMES)
def test_a_run_that_is_whole_is_sound(name, tmp_path):
    consistency.check_run(RunFolder(earlier_runs.unpacked(name, tmp_path)), will_spend=True)


@pytest.mark.parametrize("name", READERS)
def test_another_format_is_refused_by_every_command(name, run, tmp_path, capsys):
    settings(run, lambda tree: tree.update(schema="swe-router/9"))
    assert "another format ('swe-router/9'" in refused(name, run, tmp_path, capsys)


@pytest.mark.parametrize("change", [{"code": "99.1.0"}, {"rules": 999}])
@pytest.mark.parametrize("name", READERS)
def test_a_newer_version_is_refused_by_every_command(change, name, run, tmp_path, capsys):
    settings(run, lambda tree: tree.update(change))
    said = refused(name, run, tmp_path, capsys)
    assert f"this is {__version__}" in said


@pytest.mark.parametrize("name", ["resume", "grade"])
def test_settings_that_were_edited_are_not_gone_on_with(name, run, tmp_path, capsys):
    settings(run, lambda tree: tree["settings"].update(candidates=3), sealed=False)
    assert "seal" in refused(name, run, tmp_path, capsys)


@pytest.mark.parametrize("name", READERS)
def test_instances_that_are_gone_are_missed(name, run, tmp_path, capsys):
    (run / "instances.jsonl").unlink()
    assert "instances.jsonl is missing" in refused(name, run, tmp_path, capsys)


@pytest.mark.parametrize("name", READERS)
def test_instances_that_were_cut_are_missed_in_a_run_that_keeps_no_digest_of_them(
    name, tmp_path, capsys
):
    run = earlier_runs.unpacked("killed", tmp_path / "in")
    file = run / "instances.jsonl"
    concluded = (
        (run / "records.jsonl").read_text("utf-8") if (run / "records.jsonl").exists() else ""
    )
    kept = [line for line in file.read_text("utf-8").splitlines(keepends=True)
            if json.loads(line)["id"] in concluded]  # fmt: skip
    assert kept, "the records alone would say nothing"
    file.write_text("".join(kept), "utf-8")
    assert "instances.jsonl was cut" in refused(name, run, tmp_path, capsys)


@pytest.mark.parametrize("name", READERS)
def test_a_ledger_of_another_run_of_the_same_settings_is_refused(name, run, tmp_path, capsys):
    file = run / "ledger.jsonl"
    first, *rest = file.read_text("utf-8").splitlines()
    own = json.loads((run / "settings.json").read_text("utf-8"))["seal"]
    file.write_text("\n".join([json.dumps({**json.loads(first), "run": own}), *rest]) + "\n")
    consistency.check_run(RunFolder(run), will_spend=True)
    dearer = [line.replace('"usd":"0.0', '"usd":"0.1') for line in rest]
    file.write_text("\n".join([json.dumps({**json.loads(first), "run": "9" * 64}), *dearer]) + "\n")
    assert "another run's" in refused(name, run, tmp_path, capsys)


@pytest.mark.parametrize("name", ["show", "report"])
def test_settings_that_were_edited_are_told_by_who_only_looks(name, run, tmp_path, capsys):
    assert main([name, str(run), "--json"]) == 0
    assert "was changed after" not in capsys.readouterr().out
    settings(run, lambda tree: tree["settings"].update(candidates=3), sealed=False)
    assert main([name, str(run)]) == 0
    assert "was changed after the run began" in " ".join(capsys.readouterr().out.split())
    assert main([name, str(run), "--json"]) == 0
    assert "was changed after" in str(json.loads(capsys.readouterr().out)["notes"])


def test_a_record_of_another_run_is_refused(run, tmp_path, capsys):
    other = RunFolder(earlier_runs.unpacked("killed", tmp_path / "other"))
    with (run / "records.jsonl").open("a") as file:
        file.write(other.records_file.read_text("utf-8").splitlines(keepends=True)[0])
    assert "record of another run" in refused("show", run, tmp_path, capsys)


@pytest.mark.parametrize("how", ["cut", "no gzip", "bit", "unknown key", "no object", "deep"])
@pytest.mark.parametrize("name", ["replay", "export", "show"])
def test_steps_that_cannot_be_read_are_named(how, name, run, tmp_path, capsys):
    (file,) = (run / "trajectories" / ONE).glob("1-local.jsonl.gz")
    data = file.read_bytes()
    step = json.loads(gzip.decompress(data).splitlines()[0])
    made = {
        "cut": data[: len(data) // 2],
        "no gzip": b"nonsense",
        "bit": data[:100] + bytes([data[100] ^ 255]) + data[101:],
        "unknown key": gzip.compress(json.dumps({**step, "mood": "fine"}).encode() + b"\n"),
        "no object": gzip.compress(b"[1]\n"),
        "deep": gzip.compress(b"[" * 100_000 + b"\n"),
    }
    file.write_bytes(made[how])
    words = command(name, run, tmp_path) + ([ONE, "1-local"] if name == "show" else [])
    assert main(words) == 2
    assert file.name in capsys.readouterr().err


DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["show", "replay", "report", "resume"])
@pytest.mark.parametrize(
    ("file", "text"),
    [("settings.json", DEEP), ("settings.json", "[]"), ("settings.json", None),
     ("ledger.jsonl", f"{DEEP}\n"), ("ledger.jsonl", "[1]\n"), ("ledger.jsonl", None),
     ("ledger.jsonl", '{"op":"settle"}\n'), ("records.jsonl", f"{DEEP}\n"),
     ("records.jsonl", "1\n"), ("records.jsonl", None), ("instances.jsonl", None)],
)  # fmt: skip
def test_a_file_of_a_run_that_cannot_be_read_is_named(name, file, text, run, tmp_path, capsys):
    (run / file).unlink()
    if text is None:
        (run / file).mkdir()
    else:
        (run / file).write_text(text)
    code = main(command(name, run, tmp_path))
    said = capsys.readouterr().err
    assert (code, file in said or str(run) in said) == (2, True), said


@pytest.mark.parametrize("session", [{"from": "x", "to": None}, {"from": 1}, {"from": [], "to": 1}])
def test_a_session_without_its_times_is_named(run, session, tmp_path, capsys):
    (run / "sessions.jsonl").write_text(json.dumps(session) + "\n")
    assert main(command("show", run, tmp_path)) == 2
    assert "sessions.jsonl:1 is no session" in capsys.readouterr().err
    assert main(command("resume", run, tmp_path)) == 2
    said = capsys.readouterr().err
    assert "sessions.jsonl:1 is no session" in said
    assert "nothing is owed" not in said, "told before what is damaged"


@pytest.mark.parametrize(
    ("line", "name", "usd"),
    [(0, "budget", "Infinity"), (1, "usd", "-1"), (1, "usd", "NaN")],
)
def test_an_amount_without_an_end_or_below_0_is_damage_of_the_ledger(
    run, line, name, usd, tmp_path, capsys
):
    rows = [json.loads(one) for one in run.joinpath("ledger.jsonl").read_text().splitlines()]
    assert name in rows[line]
    rows[line][name] = usd
    run.joinpath("ledger.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert main(command("show", run, tmp_path)) == 2
    assert f"ledger.jsonl:{line + 1} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1:], "ledger.jsonl:1 is damaged (the opening entry"),
        (lambda rows: [{**rows[0], "schema": "swe-router/2"}, *rows[1:]], "of another format"),
        (lambda rows: [*rows, {"op": "gift", "usd": "1"}], "knows no entry 'gift'"),
        (lambda rows: [*rows, {"at": 1.0}], "(no 'op')"),
    ],
)
@pytest.mark.parametrize("name", ["show", "replay", "resume"])
def test_a_ledger_that_cannot_be_understood_is_named_in_words(
    name, change, said, run, tmp_path, capsys
):
    file = run / "ledger.jsonl"
    rows = [json.loads(one) for one in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(one) + "\n" for one in change(rows)))
    told = refused(name, run, tmp_path, capsys)
    assert said in told
    assert "Error(" not in told


@pytest.mark.parametrize("name", ["show", "replay", "report", "resume"])
def test_a_record_of_another_format_is_refused(name, run, tmp_path, capsys):
    file = run / "records.jsonl"
    file.write_text(file.read_text().replace('"swe-router/1"', '"swe-router/2"', 1))
    assert "of another format ('swe-router/2'" in refused(name, run, tmp_path, capsys)


def test_a_replay_says_what_it_could_not_replay(run, tmp_path, capsys):
    (run / "records.jsonl").unlink()
    main(command("replay", run, tmp_path))
    assert "not concluded, of which nothing can be replayed" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_damaged_line_of_the_ledger_comes_with_advice(run, tmp_path, capsys):
    file = run / "ledger.jsonl"
    rows = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join([*rows[:4], "nonsense\n", *rows[5:]]), "utf-8")
    said = refused("resume", run, tmp_path, capsys)
    assert "ledger.jsonl:5 is damaged" in said
    assert "restore the line" in said
    assert "nothing is owed" not in said


def test_every_line_of_a_run_is_utf_8_whatever_a_name_holds(tmp_path):
    verdict = Verdict(
        candidate="", verifier="syntax", outcome="pass",
        evidence={"files": {"n\udcff.py": 1, "m\udcfe.py": 2}, "said": "\ud800", "n": [Decimal(1)]},
    )  # fmt: skip
    path = tmp_path / "x.jsonl"
    jsonl.append_value(path, verdict.model_dump(mode="json"))
    jsonl.append_value(path, {"patch": "+a\udcffb"})
    path.read_text("utf-8")
    first, second = jsonl.read_lines(path)
    assert first["evidence"]["files"] == {"n\\xff.py": 1, "m\\xfe.py": 2}
    assert second["patch"].encode("utf-8", "surrogateescape") == b"+a\xffb", (
        "patches stay as they are"
    )


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "much", None, []])
@pytest.mark.parametrize("place", ["rate", "limit"])
def test_a_figure_of_the_settings_that_is_none_is_one_sentence(place, value, run, tmp_path, capsys):
    def change(tree):
        if place == "rate":
            tree["rates"]["local"]["bands"][0]["input"] = value
        else:
            tree["settings"]["tiers"]["local"]["attempt_usd"] = value

    settings(run, change)
    said = refused("show", run, tmp_path, capsys)
    assert "settings.json" in said
    assert ("bands.0.input" if place == "rate" else "attempt_usd") in said
    assert "pydantic" not in said
