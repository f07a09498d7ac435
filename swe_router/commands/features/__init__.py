"""``features``: the features of a split, and a model's ratings of its issues."""
