"""The reduce step: nets positions, multiplies by cached vectors, converts currency, measures. Enter at `questions`."""
