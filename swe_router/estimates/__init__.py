"""Fitted quality and cost per arm, below the policies that decide with them."""
