"""A rubric of one issue: the looks of its writer into the repository, and what it wrote."""
