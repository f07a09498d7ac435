"""Policies of stated rules: nothing is learned but, at most, exemplars."""
