"""Outcome tables: their form, those that ship, labels and issue data."""
