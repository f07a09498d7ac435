"""One instance, from the first decision to the chosen candidate; knows Protocols only."""
