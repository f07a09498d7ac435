"""The complexity of an issue, 1 to 10, and how it is fitted."""
