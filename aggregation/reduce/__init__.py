"""Filter, net, multiply, convert: P&L by group and scenario. Enter at `selection`."""
