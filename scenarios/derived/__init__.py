"""Scenario sets made from other sets: reweighted, on another market, part of one. Enter at `reweighted`."""
