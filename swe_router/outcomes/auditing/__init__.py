"""The auditor of outcome tables: faults that would make a leaderboard wrong, found beforehand."""
