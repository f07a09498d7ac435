"""What a patch does, read from its text."""
