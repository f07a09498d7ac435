"""Files that a command wrote, opened and held against what the same command says with --json."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from pathlib import Path


def compare(one, words, home, run, ended=0):
    """What is amiss: no single JSON value, a file that is not there, a figure that differs.

    ``ended`` is the exit code of the same command without ``--json``. Only ``doctor`` may end with
    anything but 0, and only where what it found on this machine is not ``ok``.
    """
    if words[0] == "python":
        return []
    code, out, err = run([*_unwritten(words), "--json"])
    try:
        facts = json.loads(out, parse_constant=_refuse)
    except ValueError as error:
        return [f"{one.place}: {one.text} --json: {error}: {out[:80]!r} {err[-200:]}"]
    due = int(not facts["ok"]) if words[1] == "doctor" else 0
    if (ended, code) != (due, due):
        return [f"{one.place}: {one.text}: exit {ended}, --json: {code}, not {due}: {err[-200:]}"]
    if "--out" not in words or "--dry-run" in words:
        return []
    out_path = home / words[words.index("--out") + 1]
    check = {"report": _report, "leaderboard": _board, "export": _export, "calibrate": _fit,
             "features": _features, "verify": _rows}[words[1]]  # fmt: skip
    try:
        check(out_path, facts, words)
    except (AssertionError, OSError, KeyError, ValueError) as error:
        return [f"{one.place}: {one.text}: {type(error).__name__}: {error}"]
    return []


def _unwritten(words):
    """The command without its files, where its facts do not hang on them: these are drawn."""
    if words[1] not in ("report", "leaderboard") or "--out" not in words:
        return words
    at = words.index("--out")
    return [*words[:at], *words[at + 2 :]]


def _refuse(name):
    raise ValueError(f"{name} is not JSON")


def _json(path: Path):
    return json.loads(path.read_text("utf-8"), parse_constant=_refuse)


def _lines(path: Path):
    return [json.loads(line, parse_constant=_refuse)
            for line in path.read_text("utf-8").splitlines()]  # fmt: skip


def _picture(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG"), path
    width, height = struct.unpack(">II", data[16:24])
    assert min(width, height) > 300, f"{path}: {width} x {height}"


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def _report(out: Path, facts, words) -> None:
    assert _json(out / "report.json") == facts
    _picture(out / "report.png")
    head = f"{facts['candidates']} candidates of {facts['instances']} instances"
    for name in ("report.md", "report.html"):
        text = _text((out / name).read_text("utf-8"))
        assert head in text, f"{name} lacks {head!r}"
        for group in facts["groups"]:
            assert group["verifier"] in text, name
    page = _text((out / "report.html").read_text("utf-8"))
    for group in facts["groups"]:
        if group["tpr"]["rate"] is not None:
            assert f"{group['tpr']['rate']:.2f} [{group['tpr']['low']:.2f}" in page


def _board(out: Path, facts, words) -> None:
    assert _json(out / "leaderboard.json") == facts
    lines = list(csv.DictReader(io.StringIO((out / "leaderboard.csv").read_text("utf-8"))))
    assert [line["policy"] for line in lines] == [row["policy"] for row in facts["rows"]]
    page = _text((out / "leaderboard.html").read_text("utf-8"))
    for line, row in zip(lines, facts["rows"], strict=True):
        for name in ("rate", "usd", "hull_margin_pp"):
            assert line[name] == ("" if row[name] is None else str(row[name])), (line, name)
        if row["rate"] is not None:
            assert f"{row['rate']:.1%}" in page, row["policy"]
    _picture(out / "leaderboard.png")
    _picture(out / "verifier-map.png")


def _export(out: Path, facts, words) -> None:
    assert facts["written"]
    for name in facts["written"]:
        assert Path(name).stat().st_size, name
    form = words[words.index("--format") + 1]
    if form == "statement":
        told = _json(out / "statement.json")
        assert told["run"] == facts["run"]
        assert told["tests"]["n"] == len(_lines(out / "tests.jsonl"))
        assert facts["run"] in (out / "statement.md").read_text("utf-8")


def _fit(out: Path, facts, words) -> None:
    made = _json(out)
    if "--stop-loss" in words:
        assert {name: value for name, value in facts.items() if name != "out"} == made
    else:
        assert made["name"] == out.stem
        told = sum(one["right"] + one["wrong"] for one in facts["classes"].values())
        assert len(made["held_out"]) == told
        assert {row[0] is not None for row in made["held_out"]} == {True}


def _features(out: Path, facts, words) -> None:
    ids = [row["instance_id"] for row in _lines(out)]
    assert len(ids) == len(set(ids)) == facts["instances"]


def _rows(out: Path, facts, words) -> None:
    assert _lines(out) == facts
