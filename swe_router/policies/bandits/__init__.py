"""Policies that learn during a run, and one that plans a whole batch."""
