"""Numbers from a trajectory, a patch and its author; opinions, never proofs."""
