"""Whether a run folder may be trusted, belongs together, and what it still owes."""
