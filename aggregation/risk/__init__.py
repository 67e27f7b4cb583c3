"""Measures of groups: VaR and its like, tables, cross tables, series, and the trades behind a number. Enter at `query`."""
