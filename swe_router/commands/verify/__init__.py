"""``verify``: the verifiers over the candidates of a predictions file."""
