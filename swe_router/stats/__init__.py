"""Statistics with their sources: intervals, tests, regressions, hulls."""
