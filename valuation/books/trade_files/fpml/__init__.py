"""Trades of FpML 5 documents, of the confirmation and the record-keeping view. Enter at `document`."""
