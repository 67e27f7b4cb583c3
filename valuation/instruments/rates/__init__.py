"""Bonds and swaps, one module an instrument."""
