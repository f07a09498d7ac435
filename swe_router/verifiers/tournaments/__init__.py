"""Changes against each other: who takes part, which pairs are compared, and what it comes to."""
