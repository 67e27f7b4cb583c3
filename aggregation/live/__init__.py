"""VaR during the day: the answer of the end of the day for the levels and trades so far. Enter at `live_book`."""
