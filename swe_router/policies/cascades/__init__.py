"""Policies that look at what a tier left before they ask the next one."""
