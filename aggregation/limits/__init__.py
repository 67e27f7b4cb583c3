"""Limits of VaR, ES and loss: brought in, their use, and what trades not yet done would do. Enter at `use` and `pre_trade`."""
