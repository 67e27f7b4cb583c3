"""What is to be valued: contracts held, positions and orders brought in, and branches. Enter at `contracts`."""
