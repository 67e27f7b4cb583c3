"""The positions of a date, by dimension: loaded, filtered, changed. Enter at `book`."""
