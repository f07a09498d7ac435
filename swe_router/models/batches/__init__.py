"""Calls in batches: the two APIs, and the lane that collects, sends and hands out."""
