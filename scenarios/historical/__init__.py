"""Scenarios from moves that happened: plain, filtered, and whole periods replayed. Enter at `historical`."""
