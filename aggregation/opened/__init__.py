"""What a question reads, opened once a process: vectors, books, branches, and which valuation set answers. Enter at `inputs`."""
