"""When to give an attempt up, and how the rule is fitted."""
