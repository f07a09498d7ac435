"""``grade``: official verdicts on a run or on a predictions file."""
