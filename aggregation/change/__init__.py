"""Why two numbers differ: by member and cause, by the few that matter, by convention. Enter at `explain`."""
