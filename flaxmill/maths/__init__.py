"""Losses, metrics, optimizers and calibration: pure functions, which recipes import."""
