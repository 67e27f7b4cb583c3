"""Bespoke scenarios written by analysts: a small language, the same thing as JSON and CSV, and its effect on a market.

Enter at `language.parse` for text, at `forms` for JSON and CSV, at `preview.preview` to see what a scenario does before it
is stored, and at `generate` for the scenario set.
"""
