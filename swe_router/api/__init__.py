"""The package in a notebook: runs, boards and their rows as Python values; prints nothing."""
