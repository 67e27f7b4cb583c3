"""Open Source Risk Engine: what it needs to value trades in our market, and its values of them."""
