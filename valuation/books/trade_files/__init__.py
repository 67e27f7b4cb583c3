"""Trades as other systems write them, read into the rows of a positions file."""
