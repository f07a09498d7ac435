"""``report``: how often the verifiers of runs were wrong."""
