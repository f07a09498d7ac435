"""What the issue of demo__slotkeeper-13 says, as tests: a refused move leaves everything as it was."""

from datetime import datetime

import pytest

from slotkeeper.booking import Ledger, Room
from slotkeeper.errors import Conflict
from slotkeeper.interval import Interval


def hours(start, end):
    return Interval(datetime(2024, 6, 3, *start), datetime(2024, 6, 3, *end))


def test_refused_move():
    ledger, room = Ledger(), Room("attic")
    first = ledger.book(room, hours((9,), (10,)))
    second = ledger.book(room, hours((11,), (12,)))
    with pytest.raises(Conflict):
        ledger.move(second.id, first.when)
    assert ledger[second.id] == second


def test_move_onto_part_of_its_own_time():
    ledger, room = Ledger(), Room("attic")
    booking = ledger.book(room, hours((9,), (10,)))
    ledger.move(booking.id, hours((9, 30), (10, 30)))
    assert ledger[booking.id].when == hours((9, 30), (10, 30))
