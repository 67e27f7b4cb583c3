"""Regulatory capital: SA-CCR, CVA, credit and market risk, and the capital report. Enter at `capital`."""
