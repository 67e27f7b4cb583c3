"""Values at later dates: cash received, rolled values, P&L realised and explained unit by unit. Enter at `rolled_values`."""
