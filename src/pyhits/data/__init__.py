"""Recorded data: trajectories, times, files, repair, diagnostics."""
