"""Valuation sets: requested, planned, valued in process or on Spark, stored and sealed. Enter at `requests`."""
