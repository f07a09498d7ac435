"""What people get wrong: each entry point of this package is broken in another way."""

from __future__ import annotations


class Nothing:
    """Has none of the methods of a policy."""

    def __init__(self, ladder): ...


class WithoutBudget(Nothing):
    """Its ``decide`` does not take the money that is left."""

    def prepare(self, batch, budget):
        return self

    def decide(self, features, history): ...

    def update(self, record):
        return self

    def state(self):
        return {}

    def restored(self, state):
        return self
