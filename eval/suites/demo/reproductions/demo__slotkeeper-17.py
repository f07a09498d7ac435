"""What the issue of demo__slotkeeper-17 says, as tests: content lines of at most 75 octets."""

from datetime import datetime

import pytest

from slotkeeper.booking import Ledger, Room
from slotkeeper.export import to_ics
from slotkeeper.interval import Interval


def exported(title, name="attic"):
    ledger, room = Ledger(), Room(name)
    ledger.book(room, Interval(datetime(2024, 6, 3, 9), datetime(2024, 6, 3, 10)), title)
    return to_ics(ledger.of(room))


@pytest.mark.parametrize("title", ["x" * 200, "\u6771" * 60, "a" + "\u00fc" * 90], ids=["ascii", "ja", "de"])
def test_folded(title):
    text = exported(title)
    assert all(len(line.encode("utf-8")) <= 75 for line in text.split("\r\n"))
    assert f"SUMMARY:{title}\r\n" in text.replace("\r\n ", "")


def test_blanks_and_any_line_that_is_long():
    title, name = "x " * 80 + "y", "the room of " + "many names " * 9 + "here"
    text = exported(title, name)
    assert all(len(line.encode("utf-8")) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "")
    assert f"SUMMARY:{title}\r\n" in unfolded
    assert f"LOCATION:{name}\r\n" in unfolded


def test_a_line_of_75_octets_is_not_folded():
    assert "SUMMARY:" + "x" * 67 + "\r\n" in exported("x" * 67)
