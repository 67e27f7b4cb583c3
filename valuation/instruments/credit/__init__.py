"""Credit default swaps and bonds of names that may default, one module an instrument."""
