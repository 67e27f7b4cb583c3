"""Market data and the moves in it: files brought in, calendars, history, proxies, shifts. Enter at `moves`."""
