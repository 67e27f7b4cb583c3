"""Arrays in, arrays out: no Spark, no files, no trades."""
