"""One module an instrument: its terms, the risk factors it reads, its value. `valuation.catalogue.INSTRUMENTS` lists them.

`fields`, `schedules` and `reads` hold what they share: types of terms, payment schedules, reading a market.
"""
