"""Whether the numbers were right: P&L against VaR, with every test. Enter at `backtest`."""
