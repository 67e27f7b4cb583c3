"""Arrays in, arrays out: ranks, estimators, contributions, effects, tests. They know no table and no trade."""
