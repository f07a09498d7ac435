"""Use cases: one per command; what a command does, without parsing and without drawing."""
