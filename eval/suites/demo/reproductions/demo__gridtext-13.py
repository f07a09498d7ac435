"""What the issue of demo__gridtext-13 says, as tests: a missing amount is unknown, not zero."""

from gridtext.readers import read_csv
from gridtext.report import summarise


def test_the_table_of_the_issue():
    table = read_csv("city,amount\nOslo,10\nOslo,\nOslo,20\n")
    assert summarise(table, "city", "amount").rows == [("Oslo", 3, 30, 15)]


def test_an_amount_of_zero_is_there():
    table = read_csv("city,amount\nOslo,0\nOslo,\nOslo,10\nRoma,0\n")
    assert summarise(table, "city", "amount").rows == [("Oslo", 3, 10, 5), ("Roma", 1, 0, 0)]


def test_every_amount_missing():
    table = read_csv("city,amount\nRoma,\nRoma,\n")
    assert summarise(table, "city", "amount").rows == [("Roma", 2, None, None)]
