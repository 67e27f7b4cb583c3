"""Credit risk-weighted assets of counterparties: standardised and by internal ratings, on exposures at default. Enter at `question`."""
