"""A sample bank: its book, contracts and days. Enter at `book`."""
