"""How likely a stress is, what follows from part of one, and which move loses most. Enter at `plausibility`."""
