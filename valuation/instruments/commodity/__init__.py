"""Commodities, one module an instrument."""
