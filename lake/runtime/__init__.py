"""The machine, Spark and its Java: what is here, and how it is started. Enter at `spark`."""
