"""P(a patch is right), from its verdicts: signals, calibration, thresholds."""
