"""Policies played over recorded runs, without spending a cent."""
