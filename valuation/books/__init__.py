"""What is to be valued: contracts held, positions brought in, and branches. Enter at `contracts`."""
