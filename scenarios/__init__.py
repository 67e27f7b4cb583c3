"""Market history and scenarios, always as absolute levels of risk factors.

Enter at `market.landing_catalogue` to bring market files in, at `generators.GENERATORS` to make a scenario set, at `store` for the lake.
"""
