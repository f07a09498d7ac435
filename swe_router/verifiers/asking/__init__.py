"""What verifiers that ask a model share: fenced material, answers paid once, JSON that counts."""
