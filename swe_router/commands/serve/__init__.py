"""``serve``: a model of the local tier, started and watched."""
