"""One module an instrument: its terms, the risk factors it reads, its value. `valuation.catalogue.INSTRUMENTS` lists them."""
