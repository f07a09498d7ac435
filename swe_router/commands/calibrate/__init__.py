"""``calibrate``: graded verdicts to a calibration, recorded attempts to a stop-loss."""
