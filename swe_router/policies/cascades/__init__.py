"""Policies that look at a tier's result before they try the next one."""
