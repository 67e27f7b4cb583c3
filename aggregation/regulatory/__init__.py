"""Regulatory capital: regimes as data, SA-CCR, CVA, credit and market risk, and the capital report. Enter at `regimes`."""
