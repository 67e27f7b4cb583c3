"""What a pricer sees: levels by scenario, and the market at a later date. Enter at `scenario_market`."""
