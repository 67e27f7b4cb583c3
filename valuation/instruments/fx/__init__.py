"""Currencies, one module an instrument."""
