"""Arrays in, arrays out: shifts, weights, covariances, random numbers, entropy pooling. They know no table and no risk factor."""
