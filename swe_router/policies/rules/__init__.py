"""Policies with fixed rules: at most exemplars are learned."""
