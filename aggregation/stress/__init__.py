"""Losses under chosen scenarios, stressed periods, reverse stress, and the book at later dates. Enter at `stress_test`."""
