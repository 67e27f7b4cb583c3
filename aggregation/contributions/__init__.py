"""What makes up a number: by position, by risk factor, by risk class. Enter at `contributions`."""
