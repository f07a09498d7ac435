"""Policies that learn while they go, and one that plans a whole batch."""
