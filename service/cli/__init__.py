"""The command line: one command a question, and the commands that bring in, value and serve. Enter at `main`."""
