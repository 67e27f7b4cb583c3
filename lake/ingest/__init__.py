"""Landing files: reads what a user brings, row by row answerable. Enter at `formats.read_source` and `positions.read_positions`."""
