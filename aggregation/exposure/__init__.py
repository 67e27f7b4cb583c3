"""Exposure to counterparties through time: netting sets, profiles, CVA. Enter at `profiles`."""
