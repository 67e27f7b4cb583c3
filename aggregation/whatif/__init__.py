"""Other books: hypothetical trades, branches, the cheapest hedge under a limit. Enter at `what_if`."""
