"""Scenarios that are drawn: Monte Carlo, block by block. Enter at `monte_carlo`."""
