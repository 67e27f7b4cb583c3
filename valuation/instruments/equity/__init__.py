"""Equities and what is written on them, one module an instrument."""
