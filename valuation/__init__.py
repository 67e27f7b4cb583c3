"""The map step: values every contract, per unit, under every scenario, once.

Enter at `plan` (wanted minus present, and its price) and `runners`; one batch, without Spark, at `batch.value_batch`.
"""
