"""Files as people have them, read into rows: dated values, positions, actual P&L, hierarchies. Enter at `dated_values` and `positions`."""
