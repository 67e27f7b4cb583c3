"""Prices of an independent library, QuantLib, for the contracts of every instrument type: a module each, named like the type.

A module has

- `contracts(rng, n)`: terms of n random contracts on the market of `market.oracle_market`, as a positions file may have them;
- `price(terms, quotes)`: a function that gives the price of one unit of a contract in the state that `quotes` stands at. What it
  sets up once is not timed;
- `TOLERANCE`: the largest difference allowed, as a fraction of `SIZE(terms)`, with the reason beside it;
- `SIZE(terms)`: what one unit is measured by, such as its face; by default the strike, or 1 where there is none.
"""
