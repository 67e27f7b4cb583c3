"""The map step: values every contract, per unit, under every scenario, once.

Enter at `sets.plan` (wanted minus present, and its price) and `sets.run`; one batch, without Spark, at `batch.value_batch`.
"""
