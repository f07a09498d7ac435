"""Policies compared over one outcome table: scores, intervals, rows."""
